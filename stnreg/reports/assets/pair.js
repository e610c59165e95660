"use strict";
// A volume is one picture: its axial slices, tile beside tile. x runs to the left, y to the back, z up.
const [NX, NY, NZ] = DATA.size;
const PLANES = [
  { name: "sagittal", normal: 0, width: NY, height: NZ, at: (s, c, r) => [s, c, NZ - 1 - r], letters: ["A", "P"] },
  { name: "coronal", normal: 1, width: NX, height: NZ, at: (s, c, r) => [c, s, NZ - 1 - r], letters: ["R", "L"] },
  { name: "axial", normal: 2, width: NX, height: NY, at: (s, c, r) => [c, r, s], letters: ["R", "L"] },
];
const COUNT = [NX, NY, NZ];
const NAMES = { fixed: "fixed", before: "moving, before", after: "moving, after registration" };
const EDGE = [255, 140, 0];
const state = { shown: "after", edges: false, place: [...DATA.place], last: 2, timer: null, overlay: null };
const volumes = {};
const views = [];
const waiting = [];  // what has to be unpacked before anything is drawn
let overlay = () => {};  // what lays more over a picture

async function unpack(source, [nx, ny, nz] = DATA.size, tiles = DATA.tiles, channels = 1) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, picture.width, picture.height).data;
  const voxels = new Uint8Array(channels * nx * ny * nz);
  for (let z = 0; z < nz; z++) {
    const left = (z % tiles) * nx, top = Math.floor(z / tiles) * ny;
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++)
        for (let k = 0; k < channels; k++)
          voxels[((z * ny + y) * nx + x) * channels + k] = pixels[4 * ((top + y) * picture.width + left + x) + k];
  }
  return voxels;
}

function slice(voxels, plane, number) {
  const found = new Float32Array(plane.width * plane.height);
  for (let row = 0; row < plane.height; row++)
    for (let column = 0; column < plane.width; column++) {
      const [x, y, z] = plane.at(number, column, row);
      found[row * plane.width + column] = voxels[(z * NY + y) * NX + x];
    }
  return found;
}

function smooth(values, width, height) {
  const out = new Float32Array(values.length);
  for (let row = 1; row < height - 1; row++)
    for (let column = 1; column < width - 1; column++) {
      let sum = 0;
      for (let dy = -1; dy <= 1; dy++)
        for (let dx = -1; dx <= 1; dx++) sum += values[(row + dy) * width + column + dx];
      out[row * width + column] = sum / 9;
    }
  return out;
}

// Where the slope is steep and steepest across itself.
function edges(values, width, height) {
  const even = smooth(values, width, height), slope = new Float32Array(values.length), marks = new Uint8Array(values.length);
  const dx = (i) => even[i + 1] - even[i - 1], dy = (i) => even[i + width] - even[i - width];
  for (let row = 1; row < height - 1; row++)
    for (let i = row * width + 1; i < (row + 1) * width - 1; i++) slope[i] = Math.hypot(dx(i), dy(i));
  for (let row = 2; row < height - 2; row++)
    for (let i = row * width + 2; i < (row + 1) * width - 2; i++) {
      if (slope[i] < 24) continue;
      const across = Math.abs(dx(i)) > Math.abs(dy(i)) ? 1 : width;
      marks[i] = slope[i] >= slope[i - across] && slope[i] > slope[i + across] ? 1 : 0;
    }
  return marks;
}

function draw(view) {
  const { plane, context, slider } = view, number = state.place[plane.normal];
  slider.value = number;
  const under = slice(volumes[state.edges ? "fixed" : state.shown], plane, number);
  const marks = state.edges ? edges(slice(volumes[state.shown === "before" ? "before" : "after"], plane, number), plane.width, plane.height) : null;
  const picture = context.createImageData(plane.width, plane.height);
  for (let i = 0; i < under.length; i++) {
    const colour = marks && marks[i] ? EDGE : [under[i], under[i], under[i]];
    picture.data.set([...colour, 255], 4 * i);
  }
  overlay(picture, plane, number);
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
  document.getElementById("edges").setAttribute("aria-pressed", String(state.edges));
  document.getElementById("flicker").setAttribute("aria-pressed", String(state.timer !== null));
  document.getElementById("shown").textContent = state.timer === null ? "" : NAMES[state.shown];
}

function scroll(normal, steps) {
  state.last = normal;
  state.place[normal] = Math.min(Math.max(state.place[normal] + steps, 0), COUNT[normal] - 1);
  show();
}

function flicker() {
  if (state.timer !== null) {
    clearInterval(state.timer);
    state.timer = null;
  } else {
    state.edges = false;
    state.timer = setInterval(() => {
      const [one, other] = document.getElementById("between").value.split(" ");
      state.shown = state.shown === one ? other : one;
      show();
    }, 600);
  }
  show();
}

function build(plane) {
  const holder = document.createElement("div"), canvas = document.createElement("canvas"), slider = document.createElement("input");
  canvas.width = plane.width;
  canvas.height = plane.height;
  canvas.id = plane.name;
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
  const scale = Math.max(Math.min((innerWidth - 80) / width, innerHeight * 0.68 / height), 1);
  for (const { plane, context } of views) context.canvas.parentElement.style.width = `${plane.width * scale}px`;
}

document.addEventListener("keydown", (event) => {
  if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (event.key === " ") { event.preventDefault(); flicker(); }
  else if (event.key === "e") { state.edges = !state.edges; show(); }
  else if (steps) { event.preventDefault(); scroll(state.last, steps); }
});
document.getElementById("flicker").addEventListener("click", flicker);
document.getElementById("edges").addEventListener("click", () => { state.edges = !state.edges; show(); });
for (const button of document.querySelectorAll("[data-show]"))
  button.addEventListener("click", () => { state.shown = button.dataset.show; state.edges = false; show(); });

PLANES.forEach(build);
fit();
addEventListener("resize", fit);
waiting.push(...Object.entries(DATA.volumes).map(async ([name, source]) => { volumes[name] = await unpack(source); }));
setTimeout(() => Promise.all(waiting)
  .then(() => { show(); document.body.dataset.ready = "yes"; }));
