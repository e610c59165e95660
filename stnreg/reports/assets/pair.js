const $ = (id) => document.getElementById(id);
const DATA = JSON.parse($("data").textContent);
// A volume is one picture: its axial slices, tile beside tile. x runs to the left, y to the back, z up.
const [NX, NY, NZ] = DATA.size, COUNT = DATA.size;
const PLANES = [
  { name: "sagittal", normal: 0, width: NY, height: NZ, at: (s, c, r) => [s, c, NZ - 1 - r] },
  { name: "coronal", normal: 1, width: NX, height: NZ, at: (s, c, r) => [c, s, NZ - 1 - r] },
  { name: "axial", normal: 2, width: NX, height: NY, at: (s, c, r) => [c, r, s] },
];
const state = { place: [...DATA.place], last: 2, view: "slices", cross: true, overlay: null };
const volumes = {}, views = [], waiting = [];
let tiles = [];
let overlay = () => {};  // what lays more over a picture

function slice(voxels, plane, number) {
  const found = new Uint8Array(plane.width * plane.height);
  for (let row = 0; row < plane.height; row++)
    for (let column = 0; column < plane.width; column++) {
      const [x, y, z] = plane.at(number, column, row);
      found[row * plane.width + column] = voxels[(z * NY + y) * NX + x];
    }
  return found;
}

const millimetre = (axis) => DATA.origin[axis] + DATA.spacing * state.place[axis];

function voxelOfFixed() {
  const point = [0, 1, 2].map(millimetre);
  return DATA.lps_to_fixed.map((row) => Math.round(row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3]));
}

function draw({ plane, context, slider, caption, lines }) {
  const number = state.place[plane.normal], { width, height } = plane, one = { width, height };
  for (const name of Object.keys(volumes)) one[name] = slice(volumes[name], plane, number);
  const picture = compose(context, one, look);
  overlay(picture, plane, number);
  context.putImageData(picture, 0, 0);
  slider.value = number;
  const says = `${plane.name}, ${millimetres(plane.normal, millimetre(plane.normal))}`;
  slider.setAttribute("aria-valuetext", says);
  caption.textContent = says;
  const across = ACROSS[plane.normal], down = DOWN[plane.normal];
  const row = down === 2 ? NZ - 1 - state.place[2] : state.place[down];
  lines[0].style.left = `${100 * (state.place[across] + 0.5) / width}%`;
  lines[1].style.top = `${100 * (row + 0.5) / height}%`;
  for (const line of lines) line.hidden = !state.cross;
}

function show() {
  $("tiles").hidden = state.view !== "slices";
  $("planes").hidden = state.view !== "planes";
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
  $("cross").setAttribute("aria-pressed", String(state.cross));
  if (state.view === "slices") tiles.forEach((tile) => tile.repaint());
  else {
    views.forEach(draw);
    $("where").textContent = `${[0, 1, 2].map((axis) => millimetres(axis, millimetre(axis))).join(", ")}; voxel ${voxelOfFixed().join(", ")} of the fixed image`;
  }
}

function scroll(normal, steps) {
  state.last = normal;
  state.place[normal] = Math.min(Math.max(state.place[normal] + steps, 0), COUNT[normal] - 1);
  show();
}

function choose(view) {
  state.view = view;
  fit();
  show();
}

function build(plane) {
  const holder = document.createElement("figure"), frame = document.createElement("div"), canvas = document.createElement("canvas");
  const slider = document.createElement("input"), caption = document.createElement("figcaption");
  canvas.width = plane.width;
  canvas.height = plane.height;
  canvas.id = plane.name;
  frame.className = "frame";
  frame.append(canvas);
  LETTERS[plane.normal].forEach((letter, side) => {
    const mark = Object.assign(document.createElement("span"), { className: `letter ${["left", "right", "top", "bottom"][side]}`, textContent: letter });
    mark.setAttribute("aria-hidden", "true");
    frame.append(mark);
  });
  const lines = ["vertical", "horizontal"].map((kind) => Object.assign(document.createElement("span"), { className: `cross ${kind}` }));
  frame.append(...lines);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", plane.name);
  Object.assign(slider, { type: "range", min: 0, max: COUNT[plane.normal] - 1, step: 1 });
  slider.setAttribute("aria-label", `${plane.name} slice`);
  slider.addEventListener("input", () => scroll(plane.normal, Number(slider.value) - state.place[plane.normal]));
  frame.addEventListener("wheel", (event) => { event.preventDefault(); scroll(plane.normal, event.deltaY > 0 ? -1 : 1); }, { passive: false });
  frame.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / box.width * plane.width);
    const row = Math.floor((event.clientY - box.top) / box.height * plane.height);
    state.place = plane.at(state.place[plane.normal], column, row).map((v, k) => Math.min(Math.max(v, 0), COUNT[k] - 1));
    state.last = plane.normal;
    show();
  });
  holder.append(frame, caption, slider);
  $("planes").append(holder);
  views.push({ plane, context: canvas.getContext("2d"), slider, caption, lines, holder });
}

// One scale for all planes, as large as the window allows.
function fit() {
  const width = PLANES.reduce((sum, plane) => sum + plane.width, 0), height = Math.max(NZ, NY);
  const scale = Math.max(Math.min((innerWidth - 80) / width, innerHeight * 0.6 / height), 1);
  for (const { plane, holder } of views) holder.style.width = `${plane.width * scale}px`;
}

const decisions = new Decisions(DATA.key);
const deciding = connectDecision(document.querySelector(".decide"), decisions, () => DATA.id, () => {});
const looking = connectLook(document.querySelector(".look"), () => { if (document.body.dataset.ready) show(); });
const keys = {
  ...looking.keys, ...deciding.keys,
  b: () => document.querySelector("[data-show=before]").click(),
  x: () => { state.cross = !state.cross; show(); },
  1: () => choose("slices"), 2: () => choose("planes"),
};

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  else if (steps && state.view === "planes" && event.target.type !== "range") { event.preventDefault(); scroll(state.last, steps); }
});
// A button that was pressed with the mouse gives the keys back.
document.addEventListener("click", (event) => { if (event.detail && event.target.tagName === "BUTTON") event.target.blur(); });
$("cross").addEventListener("click", () => keys.x());
$("export").addEventListener("click", () => download("decision.tsv", decisions.table([DATA])));
for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => choose(button.dataset.view));

look.contour = DATA.slices.contour;
PLANES.forEach(build);
fit();
addEventListener("resize", fit);
waiting.push(buildTiles($("tiles"), DATA.slices, $("where")).then((found) => { tiles = found; }));
waiting.push(...Object.entries(DATA.volumes).map(async ([name, source]) => {
  const voxels = await unpack(source);
  volumes[name] = name.endsWith("_codes") ? voxels.map((value) => value >> 4) : voxels;
}));
setTimeout(() => Promise.all(waiting).then(() => {
  document.body.dataset.ready = "yes";
  deciding.refresh();
  looking.refresh();
}));
