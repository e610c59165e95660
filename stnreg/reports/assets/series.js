"use strict";
// A volume is one picture: its axial slices, tile beside tile. x runs to the left, y to the back, z up.
const [NX, NY, NZ] = DATA.size;
const COUNT = [NX, NY, NZ];
const PLANES = [
  { name: "sagittal", normal: 0, width: NY, height: NZ, at: (s, c, r) => [s, c, NZ - 1 - r], letters: ["A", "P"] },
  { name: "coronal", normal: 1, width: NX, height: NZ, at: (s, c, r) => [c, s, NZ - 1 - r], letters: ["R", "L"] },
  { name: "axial", normal: 2, width: NX, height: NY, at: (s, c, r) => [c, r, s], letters: ["R", "L"] },
];
const LOSS = [46, 98, 230], GAIN = [230, 60, 54];
const FAINT = 12;  // of 127: smaller changes have no colour
const state = { shown: DATA.names[0], change: false, place: [...DATA.place], last: 2, timer: null };
const volumes = {}, overlays = {}, views = [];

function draw(view) {
  const { plane, context, slider } = view, number = state.place[plane.normal];
  const voxels = volumes[state.shown], change = state.change ? overlays[state.shown] : undefined;
  const picture = context.createImageData(plane.width, plane.height);
  slider.value = number;
  for (let row = 0; row < plane.height; row++)
    for (let column = 0; column < plane.width; column++) {
      const [x, y, z] = plane.at(number, column, row), i = (z * NY + y) * NX + x, grey = voxels[i];
      let colour = [grey, grey, grey];
      const strain = change ? change[i] - 128 : 0;
      if (Math.abs(strain) > FAINT) {
        const share = Math.min(Math.abs(strain) / 127, 1) * 0.75, full = strain < 0 ? LOSS : GAIN;
        colour = full.map((v) => share * v + (1 - share) * grey);
      }
      picture.data.set([...colour, 255], 4 * (row * plane.width + column));
    }
  context.putImageData(picture, 0, 0);
  context.fillStyle = "#999";
  context.font = "10px sans-serif";
  context.fillText(plane.letters[0], 3, 11);
  context.fillText(plane.letters[1], plane.width - 10, 11);
}

function show() {
  views.forEach(draw);
  for (const button of document.querySelectorAll("[data-show]"))
    button.setAttribute("aria-pressed", String(button.dataset.show === state.shown));
  document.getElementById("flicker").setAttribute("aria-pressed", String(state.timer !== null));
  document.getElementById("change")?.setAttribute("aria-pressed", String(state.change));
  document.getElementById("shown").textContent = state.shown;
}

function scroll(normal, steps) {
  state.last = normal;
  state.place[normal] = Math.min(Math.max(state.place[normal] + steps, 0), COUNT[normal] - 1);
  show();
}

// The next visit; the template is not among them.
function next(steps) {
  const visits = DATA.names.slice(0, -1), now = visits.indexOf(state.shown);
  state.shown = visits[(Math.max(now, 0) + (now < 0 ? 0 : steps) + visits.length) % visits.length];
  show();
}

function flicker(on) {
  if (state.timer !== null) clearInterval(state.timer);
  state.timer = on ? setInterval(() => next(1), Number(document.getElementById("every").value)) : null;
  show();
}

function build(plane) {
  const holder = document.createElement("div"), canvas = document.createElement("canvas"), slider = document.createElement("input");
  canvas.width = plane.width;
  canvas.height = plane.height;
  canvas.id = plane.name;
  canvas.style.width = "100%";
  canvas.setAttribute("aria-label", plane.name);
  Object.assign(slider, { type: "range", min: 0, max: COUNT[plane.normal] - 1, step: 1 });
  slider.setAttribute("aria-label", plane.name + " slice");
  slider.addEventListener("input", () => scroll(plane.normal, Number(slider.value) - state.place[plane.normal]));
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); scroll(plane.normal, event.deltaY > 0 ? -1 : 1); }, { passive: false });
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / box.width * plane.width);
    const row = Math.floor((event.clientY - box.top) / box.height * plane.height);
    state.place = plane.at(state.place[plane.normal], column, row).map((v, k) => Math.min(Math.max(v, 0), COUNT[k] - 1));
    state.last = plane.normal;
    show();
  });
  holder.append(canvas, slider);
  document.getElementById("planes").append(holder);
  views.push({ plane, context: canvas.getContext("2d"), slider });
}

// One scale for all planes, as large as the window allows.
function fit() {
  const width = PLANES.reduce((sum, plane) => sum + plane.width, 0), height = Math.max(NZ, NY);
  const scale = Math.max(Math.min((innerWidth - 80) / width, innerHeight * 0.66 / height), 1);
  for (const { plane, context } of views) context.canvas.parentElement.style.width = `${plane.width * scale}px`;
}

document.addEventListener("keydown", (event) => {
  if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
  const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (event.key === " ") { event.preventDefault(); flicker(state.timer === null); }
  else if (event.key === "ArrowLeft") next(-1);
  else if (event.key === "ArrowRight") next(1);
  else if (event.key === "c" && DATA.overlays[state.shown]) { state.change = !state.change; show(); }
  else if (steps) { event.preventDefault(); scroll(state.last, steps); }
});
document.getElementById("flicker").addEventListener("click", () => flicker(state.timer === null));
document.getElementById("every").addEventListener("change", () => { if (state.timer !== null) flicker(true); });
document.getElementById("change")?.addEventListener("click", () => { state.change = !state.change; show(); });
for (const button of document.querySelectorAll("[data-show]"))
  button.addEventListener("click", () => { state.shown = button.dataset.show; show(); });

PLANES.forEach(build);
fit();
addEventListener("resize", fit);
const unpacked = (from, to) => Object.entries(from).map(async ([name, source]) => { to[name] = await unpack(source); });
Promise.all([...unpacked(DATA.volumes, volumes), ...unpacked(DATA.overlays, overlays)])
  .then(() => { show(); document.body.dataset.ready = "yes"; });
