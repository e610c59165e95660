"use strict";
const cards = [...document.querySelectorAll(".card")];
const filters = [...document.querySelectorAll("[data-filter]")];
const search = document.getElementById("search");
const dialog = document.getElementById("dialog");
let open = -1;

function filter() {
  const wanted = new Set(filters.filter((f) => f.getAttribute("aria-pressed") === "true").map((f) => f.dataset.filter));
  const part = search.value.trim().toLowerCase();
  let count = 0;
  for (const card of cards) {
    card.hidden = !wanted.has(card.dataset.status) || !card.dataset.id.toLowerCase().includes(part);
    count += card.hidden ? 0 : 1;
  }
  document.getElementById("count").textContent = `${count} of ${cards.length} shown`;
}

function show(number) {
  open = number;
  const copy = cards[number].cloneNode(true);
  copy.removeAttribute("class");
  copy.removeAttribute("tabindex");
  for (const picture of copy.querySelectorAll("img")) picture.loading = "eager";
  document.getElementById("one").replaceChildren(copy);
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  for (let k = open + by; k >= 0 && k < cards.length; k += by)
    if (!cards[k].hidden) { show(k); return; }
}

for (const button of filters)
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    filter();
  });
search.addEventListener("input", filter);
cards.forEach((card, number) => {
  card.addEventListener("click", (event) => { if (event.target.tagName !== "A") show(number); });
  card.addEventListener("keydown", (event) => { if (event.key === "Enter") show(number); });
});
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
document.getElementById("close").addEventListener("click", () => dialog.close());
filter();
document.body.dataset.ready = "yes";
