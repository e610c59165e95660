
// A deformation over the planes. Displacements and log J are known at every few voxels, and trilinear between them.
const WARP = DATA.warp, LINE = [90, 220, 255], SHRINK = [40, 90, 255], GROW = [255, 50, 40];
const [WX, WY, WZ] = WARP.size;
const fields = {};

// Component `channel` of a field at a voxel of the volumes, 0 where the field says 128.
function sampled(field, channel, place) {
  const low = [], share = [];
  for (let k = 0; k < 3; k++) {
    const at = place[k] / WARP.step;
    low[k] = Math.min(Math.floor(at), WARP.size[k] - 2);
    share[k] = at - low[k];
  }
  let sum = 0;
  for (let corner = 0; corner < 8; corner++) {
    let weight = 1, index = 0;
    for (let k = 2; k >= 0; k--) {
      const upper = corner >> k & 1;
      weight *= upper ? share[k] : 1 - share[k];
      index = index * WARP.size[k] + low[k] + upper;
    }
    sum += weight * field[4 * index + channel];
  }
  return sum - 128;
}

// How much of each pixel is on a line: where a coordinate of the moving image is a multiple of `lines_mm`.
function lines(plane, number) {
  const covered = new Float32Array(plane.width * plane.height), { width, height } = plane;
  for (let axis = 0; axis < 3; axis++) {
    if (axis === plane.normal) continue;
    const place = new Float32Array(width * height);
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const voxel = plane.at(number, column, row);
        place[row * width + column] = DATA.origin[axis] + DATA.spacing * voxel[axis] + WARP.unit_mm * sampled(fields.vectors, axis, voxel);
      }
    for (let row = 1; row < height - 1; row++)
      for (let i = row * width + 1; i < (row + 1) * width - 1; i++) {
        const slope = Math.hypot(place[i + 1] - place[i - 1], place[i + width] - place[i - width]) / 2;
        const off = Math.abs(place[i] - WARP.lines_mm * Math.round(place[i] / WARP.lines_mm)) / Math.max(slope, 1e-6);
        covered[i] = Math.max(covered[i], 0.65 * Math.min(Math.max(1.2 - off, 0), 1));
      }
  }
  return covered;
}

function blend(data, i, colour, share) {
  for (let k = 0; k < 3; k++) data[4 * i + k] = (1 - share) * data[4 * i + k] + share * colour[k];
}

overlay = (picture, plane, number) => {
  if (state.overlay === "grid") lines(plane, number).forEach((share, i) => blend(picture.data, i, LINE, share));
  if (state.overlay === "jacobian")
    for (let i = 0; i < plane.width * plane.height; i++) {
      const strain = sampled(fields.jacobian, 0, plane.at(number, i % plane.width, Math.floor(i / plane.width))) / 127;
      blend(picture.data, i, strain < 0 ? SHRINK : GROW, 0.8 * Math.min(Math.abs(strain), 1));
    }
};

// Below the planes, so that they stay where they are when it comes and goes.
$("planes").insertAdjacentHTML("afterend",
  `<p class="legend" id="legend">log Jacobian: -${WARP.limit.toFixed(2)} (moving half as large) <span class="colours"></span> +${WARP.limit.toFixed(2)} (twice)</p>`);

function layOver(name) {
  state.overlay = state.overlay === name ? null : name;
  if (state.overlay) state.view = "planes";
  fit();
  for (const button of document.querySelectorAll("[data-overlay]"))
    button.setAttribute("aria-pressed", String(button.dataset.overlay === state.overlay));
  $("legend").classList.toggle("on", state.overlay === "jacobian");
  show();
}

Object.assign(keys, { g: () => layOver("grid"), j: () => layOver("jacobian") });
for (const button of document.querySelectorAll("[data-overlay]"))
  button.addEventListener("click", () => layOver(button.dataset.overlay));
waiting.push(...["vectors", "jacobian"].map(async (name) => {
  fields[name] = await unpack(WARP[name], WARP.size, WARP.tiles, 4);
}));
