const $ = (id) => document.getElementById(id);
const DATA = JSON.parse($("data").textContent);
const pairs = DATA.pairs, ids = pairs.map((pair) => pair.id), byId = new Map(pairs.map((pair) => [pair.id, pair]));
const decisions = new Decisions(DATA.key);
const RANK = ["lost", "error", "failed", "not judged", "passed"], BINS = 30;
const statuses = [...document.querySelectorAll("[data-filter]")];
const isOn = (button) => button.getAttribute("aria-pressed") === "true";
const press = (button, on) => button.setAttribute("aria-pressed", String(on));
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
let order = [], open = null;

// A pair is an outlier of a measure if it lies further from the median than 3.5 scaled median deviations.
function limits(measure) {
  const values = pairs.map((pair) => number(pair[measure])).filter((value) => value !== null).sort((a, b) => a - b);
  if (values.length < 4) return null;
  const middle = (sorted) => sorted[Math.floor(sorted.length / 2)], median = middle(values);
  const spread = 1.4826 * middle(values.map((value) => Math.abs(value - median)).sort((a, b) => a - b));
  return spread > 0 ? [median - 3.5 * spread, median + 3.5 * spread] : null;
}

const PLAIN = ["score", "correlation", "rotation", "scale"];
const LIMITS = { ...Object.fromEntries(PLAIN.map((measure) => [measure, limits(measure)])), sides: null, asymmetry: null, ...DATA.limits };
function isOutlier(pair, measure) {
  const value = number(pair[measure]), range = LIMITS[measure];
  return value !== null && range !== null && (value < range[0] || value > range[1]);
}

function tilesOf(pair) {
  const shared = DATA.shared, tiles = { ...pair.tiles };
  for (const name of ["fixed", "fixed_codes"]) if (tiles[name] in shared) tiles[name] = shared[tiles[name]];
  return tiles;
}

const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

function buildEntry(pair) {
  const entry = element("li", pair.tiles ? "card" : "line"), said = element("div");
  const name = element("button", "name", pair.id);
  name.addEventListener("click", () => show(pair.id));
  const score = number(pair.score) === null ? "" : ` ${pair.score.toFixed(2)}`;
  said.append(name, " ", element("span", pair.status.replace(" ", "-"), pair.status), score, " ");
  pair.badge = element("span", "badge");
  said.append(pair.badge);
  entry.append(said);
  if (pair.reasons && pair.status !== "passed") entry.append(element("div", "why", pair.reasons));
  pair.noted = element("div", "noted");
  entry.append(pair.noted);
  if (pair.tiles) {
    pair.canvas = element("canvas");
    pair.canvas.setAttribute("role", "img");
    pair.canvas.setAttribute("aria-label", `${pair.id} after registration`);
    pair.canvas.addEventListener("click", () => show(pair.id));
    entry.prepend(pair.canvas);
    seen.observe(pair.canvas);
    pair.canvas.pair = pair;
  }
  return entry;
}

// The middle slice of each plane, side by side.
async function paintCard(pair) {
  if (pair.painted) return pair.painted;
  pair.painted = (async () => {
    const slices = await unpackTiles(tilesOf(pair)), per = slices.length / 3, middle = Math.floor(per / 2);
    const three = [0, 1, 2].map((plane) => slices[plane * per + middle]);
    const context = pair.canvas.getContext("2d"), how = { show: "moved", share: 0.5, contour: pair.tiles.contour, fixed: true, moved: true };
    pair.canvas.width = three.reduce((sum, slice) => sum + slice.width + 2, 0);
    pair.canvas.height = Math.max(...three.map((slice) => slice.height));
    let left = 0;
    for (const slice of three) {
      context.putImageData(compose(context, slice, how), left, 0);
      left += slice.width + 2;
    }
  })();
  return pair.painted;
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) paintCard(entry.target.pair);
}, { rootMargin: "400px" });

function worth(pair, by) {
  if (by === "worst") return RANK.indexOf(pair.status) * 10 + (number(pair.score) ?? -1) - (pair.hints.length ? 5 : 0);
  if (by === "id") return pair.id;
  if (by === "decision") return ["", ...WORDS].indexOf(decisions.of(pair.id).decision);
  return number(pair[by]) ?? -Infinity;
}

function arrange() {
  const by = $("sort").value, sign = isOn($("reverse")) ? -1 : 1;
  order = [...pairs].sort((a, b) => {
    const one = worth(a, by), other = worth(b, by);
    return sign * (one < other ? -1 : one > other ? 1 : 0) || (a.id < b.id ? -1 : 1);
  });
  for (const pair of order) (pair.tiles ? $("cards") : $("lines")).append(pair.entry);
  filter();
}

function filter() {
  const wanted = new Set(statuses.filter(isOn).map((button) => button.dataset.filter)), part = $("search").value.trim().toLowerCase();
  const measure = $("measure").value, [from, to] = ["from", "to"].map((id) => ($(id).value === "" ? null : Number($(id).value)));
  const decided = $("decided").value;
  let count = 0;
  for (const pair of pairs) {
    const value = number(pair[measure]), decision = decisions.of(pair.id).decision;
    const isWanted = wanted.has(pair.status) && pair.id.toLowerCase().includes(part)
      && (from === null || (value !== null && value >= from)) && (to === null || (value !== null && value <= to))
      && (!isOn($("outliers")) || isOutlier(pair, measure))
      && (decided === "any" || decision === (decided === "none" ? "" : decided));
    pair.entry.hidden = !isWanted;
    count += isWanted ? 1 : 0;
  }
  $("count").textContent = `${count} of ${pairs.length} shown`;
}

function histogram() {
  const measure = $("measure").value, values = pairs.map((pair) => number(pair[measure])).filter((value) => value !== null);
  const svg = $("histogram"), width = 420, height = 84, base = 68;
  const out = pairs.filter((pair) => isOutlier(pair, measure)).length;
  $("outliers").textContent = `outliers ${out}`;
  svg.replaceChildren();
  if (!values.length) { svg.setAttribute("aria-label", `no pair has a ${measure}`); return; }
  const low = Math.min(...values), high = Math.max(...values), step = (high - low) / BINS || 1, counts = Array(BINS).fill(0);
  for (const value of values) counts[Math.min(Math.floor((value - low) / step), BINS - 1)]++;
  const most = Math.max(...counts), range = LIMITS[measure];
  const put = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
    return made;
  };
  counts.forEach((count, bin) => {
    if (!count) return;
    const from = low + bin * step, to = from + step, tall = Math.max(count / most * (base - 4), 2);
    const isOut = range !== null && (to <= range[0] || from >= range[1]);
    const bar = put("rect", { x: bin * width / BINS, y: base - tall, width: width / BINS - 1, height: tall, class: isOut ? "bar-outlier" : "bar-plain" });
    bar.append(Object.assign(document.createElementNS("http://www.w3.org/2000/svg", "title"), { textContent: `${from.toFixed(3)} to ${to.toFixed(3)}: ${count}` }));
    bar.addEventListener("click", () => { $("from").value = from.toPrecision(6); $("to").value = (to + step * 1e-6).toPrecision(6); filter(); });
  });
  put("text", { x: 0, y: height - 3 }, low.toFixed(2));
  put("text", { x: width, y: height - 3, "text-anchor": "end" }, high.toFixed(2));
  svg.setAttribute("aria-label", `histogram of the ${measure} of ${values.length} pairs, ${low.toFixed(2)} to ${high.toFixed(2)}, ${out} outliers`);
}

function refresh(pair) {
  const { decision, note } = decisions.of(pair.id), outlying = PLAIN.filter((measure) => isOutlier(pair, measure));
  pair.badge.textContent = [decision, ...pair.hints.map(([word]) => word), outlying.length ? `outlier: ${outlying.join(", ")}` : ""].filter(Boolean).join("; ");
  pair.entry.dataset.decision = decision;
  pair.noted.textContent = note;
}

function tally() {
  const counts = WORDS.map((word) => `${pairs.filter((pair) => decisions.of(pair.id).decision === word).length} ${word}`);
  const left = pairs.filter((pair) => !decisions.of(pair.id).decision).length;
  $("tally").textContent = `Decisions: ${counts.join(", ")}, ${left} not decided` + (decisions.isKept ? "" : ". This browser keeps nothing: export them");
}

let built = [];
const looking = connectLook(document.querySelector(".look"), () => built.forEach((tile) => tile.repaint()));
const deciding = connectDecision(document.querySelector(".decide"), decisions, () => open, () => { refresh(byId.get(open)); tally(); });

async function show(id) {
  const pair = byId.get(id);
  open = id;
  $("name").textContent = id;
  $("verdict").textContent = pair.status + (number(pair.score) === null ? "" : ` ${pair.score.toFixed(2)}`);
  $("verdict").className = pair.status.replace(" ", "-");
  const shown = order.filter((other) => !other.entry.hidden);
  $("place").textContent = `${shown.indexOf(pair) + 1} of ${shown.length}`;
  $("why").textContent = [pair.reasons, ...pair.hints.map(([word, sentence]) => `${word} ${sentence[0].toUpperCase()}${sentence.slice(1)}.`)].filter(Boolean).join(" ");
  $("figures").textContent = Object.entries(pair.figures).map(([name, value]) => `${name} ${value}`).join("; ");
  $("links").replaceChildren(...Object.entries(pair.links).flatMap(([what, href]) => [Object.assign(document.createElement("a"), { href, textContent: what }), " "]));
  deciding.refresh();
  $("dialog").classList.toggle("bare", !pair.tiles);
  if (!$("dialog").open) {
    $("dialog").showModal();
    $("dialog").focus();  // not on its first button: what is read first is the name, and keys reach the page
  }
  built = [];
  $("tiles").replaceChildren();
  if (!pair.tiles) return;
  const tiles = await buildTiles($("tiles"), tilesOf(pair), $("where"));
  if (open === id) { built = tiles; looking.refresh(); }
}

function step(by) {
  const shown = order.filter((pair) => !pair.entry.hidden || pair.id === open), at = shown.findIndex((pair) => pair.id === open);
  const next = shown[at + by];
  if (next) show(next.id);
}

function take(text, name) {
  try {
    const { taken, unknown } = decisions.read(text, ids);
    $("imported").textContent = `${name}: ${taken} decisions taken over` + (unknown.length ? `; not of this page or not understood: ${unknown.slice(0, 5).join(", ")}${unknown.length > 5 ? ` and ${unknown.length - 5} more` : ""}` : "");
  } catch (error) {
    $("imported").textContent = `${name}: ${error.message}`;
  }
  pairs.forEach(refresh);
  tally();
  arrange();
}

for (const pair of pairs) pair.entry = buildEntry(pair);
for (const button of [...statuses, $("reverse"), $("outliers")])
  button.addEventListener("click", () => { press(button, !isOn(button)); button.id === "reverse" ? arrange() : filter(); });
for (const id of ["search", "from", "to"]) $(id).addEventListener("input", filter);
$("decided").addEventListener("change", filter);
$("sort").addEventListener("change", arrange);
$("measure").addEventListener("change", () => { $("from").value = $("to").value = ""; histogram(); filter(); });
$("export").addEventListener("click", () => download("decisions.tsv", decisions.table(pairs)));
$("import").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) take(await file.text(), file.name);
  event.target.value = "";
});
$("print").addEventListener("click", async () => { await Promise.all(pairs.filter((pair) => pair.tiles).map(paintCard)); print(); });
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => $("dialog").close());
$("dialog").addEventListener("close", () => { looking.still(); byId.get(open)?.entry.querySelector(".name").focus(); open = null; });
document.addEventListener("keydown", (event) => {
  if (open === null || isTyping(event)) return;
  const keys = { ...looking.keys, ...deciding.keys, ArrowLeft: () => step(-1), ArrowRight: () => step(1) };
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
// A button that was pressed with the mouse gives the keys back.
document.addEventListener("click", (event) => { if (event.detail && event.target.tagName === "BUTTON") event.target.blur(); });

pairs.forEach(refresh);
tally();
histogram();
arrange();
document.body.dataset.ready = "yes";
// All other cards are painted while nothing else is to be done, so that the page prints whole.
(async () => {
  for (const pair of order) if (pair.tiles) {
    await new Promise((go) => setTimeout(go, 5));
    await paintCard(pair);
  }
  document.body.dataset.painted = "yes";
})();
