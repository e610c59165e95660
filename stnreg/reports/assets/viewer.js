"use strict";
// What both pages draw with: two images of one place, compared, and the outlines of what was found in each.
const COLOUR = { fixed: [70, 200, 255], moved: [255, 140, 0] };
const HEAD = 1, BRAIN = 2, CHECK_PX = 16;
const PLANE_NAMES = ["sagittal", "coronal", "axial"];
const ACROSS = [1, 0, 0], DOWN = [2, 2, 1], NORMAL = [0, 1, 2];  // LPS axes of each plane
const LETTERS = [["A", "P", "S", "I"], ["R", "L", "S", "I"], ["R", "L", "A", "P"]];  // left, right, top, bottom
const SHOWN = {
  fixed: "fixed image", moved: "moving image, after registration", before: "moving image, before registration",
  overlay: "overlay", wipe: "slider", checker: "checkerboard", colours: "fixed blue, moving red",
};
const look = { show: "moved", share: 0.5, contour: "brain", fixed: true, moved: true, timer: null };

// The grey values of a picture: the red channel, without the others.
async function greys(source) {
  const { pixels, width, height } = await pixelsOf(source);
  const values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = pixels[4 * i];
  return { values, width };
}

// Whether two codes lie on two sides of the outline that is asked for.
const APART = {
  brain: (a, b) => (a >= BRAIN) !== (b >= BRAIN),
  structures: (a, b) => a !== b && (a >= BRAIN || b >= BRAIN),
  head: (a, b) => (a >= HEAD) !== (b >= HEAD),
};

function outline(picture, codes, width, height, contour, [red, green, blue]) {
  const apart = APART[contour], data = picture.data;
  for (let row = 0; row < height - 1; row++)
    for (let column = 0; column < width - 1; column++) {
      const i = row * width + column;
      if (apart(codes[i], codes[i + 1]) || apart(codes[i], codes[i + width])) {
        data[4 * i] = red;
        data[4 * i + 1] = green;
        data[4 * i + 2] = blue;
      }
    }
}

// Draw one slice: { width, height, fixed, moved, before, fixed_codes, moved_codes } as grey values and codes.
function compose(context, slice, how) {
  const { width, height } = slice, picture = context.createImageData(width, height), data = picture.data;
  const edge = how.share * width;
  for (let i = 0, row = 0; row < height; row++)
    for (let column = 0; column < width; column++, i++) {
      const fixed = slice.fixed[i], moved = slice.moved[i];
      let red = moved, green = moved, blue = moved;
      if (how.show === "fixed" || (how.show === "wipe" && column < edge)
          || (how.show === "checker" && ((column / CHECK_PX ^ row / CHECK_PX) & 1))) red = green = blue = fixed;
      else if (how.show === "before") red = green = blue = slice.before[i];
      else if (how.show === "overlay") red = green = blue = how.share * moved + (1 - how.share) * fixed;
      else if (how.show === "colours") [green, blue] = [(fixed + moved) / 2, fixed];
      data[4 * i] = red;
      data[4 * i + 1] = green;
      data[4 * i + 2] = blue;
      data[4 * i + 3] = 255;
    }
  if (how.contour !== "none") {
    if (how.moved && how.show !== "before" && slice.moved_codes) outline(picture, slice.moved_codes, width, height, how.contour, COLOUR.moved);
    if (how.fixed && slice.fixed_codes) outline(picture, slice.fixed_codes, width, height, how.contour, COLOUR.fixed);
  }
  return picture;
}

// The slices of a pair, out of the pictures in which they lie below each other.
async function unpackTiles(tiles) {
  const names = ["fixed", "moved", "before", "fixed_codes", "moved_codes"].filter((name) => tiles[name]);
  const sheets = await Promise.all(names.map((name) => greys(tiles[name])));
  let top = 0;
  return tiles.slices.map((place) => {
    const [width, height] = place.size, slice = { ...place, width, height };
    names.forEach((name, k) => {
      const sheet = sheets[k], values = new Uint8Array(width * height);
      for (let row = 0; row < height; row++)
        values.set(sheet.values.subarray((top + row) * sheet.width, (top + row) * sheet.width + width), row * width);
      slice[name] = name.endsWith("_codes") ? values.map((value) => value >> 4) : values;
    });
    top += height;
    return slice;
  });
}

// Right, anterior and superior are positive for people, left, posterior and superior in LPS.
function millimetres(axis, lps) {
  const ras = axis === 2 ? lps : -lps;
  return `${["RL", "AP", "SI"][axis][ras < -0.05 ? 1 : 0]} ${Math.abs(ras).toFixed(0)} mm`;
}

// A slice with its letters, its caption and a crosshair, into a holder. `repaint` draws it as `look` says.
function buildTile(holder, slice, spacing) {
  const normal = NORMAL[slice.plane], letters = LETTERS[slice.plane], name = PLANE_NAMES[slice.plane];
  const says = `${name}, slice ${slice.number}, ${millimetres(normal, slice.origin[normal])}`;
  const figure = document.createElement("figure"), canvas = document.createElement("canvas");
  figure.className = "tile";
  canvas.width = slice.width;
  canvas.height = slice.height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", says);
  const frame = document.createElement("div"), caption = document.createElement("figcaption");
  frame.className = "frame";
  frame.append(canvas);
  letters.forEach((letter, side) => {
    const mark = document.createElement("span");
    mark.className = `letter ${["left", "right", "top", "bottom"][side]}`;
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = letter;
    frame.append(mark);
  });
  const lines = ["vertical", "horizontal"].map((kind) => {
    const line = document.createElement("span");
    line.className = `cross ${kind}`;
    frame.append(line);
    return line;
  });
  caption.textContent = says;
  figure.style.setProperty("--aspect", slice.width / slice.height);
  figure.append(frame, caption);
  holder.append(figure);
  const across = ACROSS[slice.plane], down = DOWN[slice.plane], sign = down === 2 ? -1 : 1;
  const tile = {
    repaint: () => canvas.getContext("2d").putImageData(compose(canvas.getContext("2d"), slice, look), 0, 0),
    cross: (point) => {
      const column = (point[across] - slice.origin[across]) / spacing / slice.width;
      const row = sign * (point[down] - slice.origin[down]) / spacing / slice.height;
      lines[0].style.left = `${100 * column}%`;
      lines[1].style.top = `${100 * row}%`;
      lines[0].hidden = column < 0 || column > 1;
      lines[1].hidden = row < 0 || row > 1;
    },
    point: (event) => {
      const box = canvas.getBoundingClientRect(), point = [...slice.origin];
      point[across] += (event.clientX - box.left) / box.width * slice.width * spacing;
      point[down] += sign * (event.clientY - box.top) / box.height * slice.height * spacing;
      return point;
    },
    frame,
  };
  lines.forEach((line) => { line.hidden = true; });
  return tile;
}

// All slices, of one height. Pointing at one draws the same point in all, and says where it is.
async function buildTiles(holder, tiles, readout) {
  const slices = await unpackTiles(tiles);
  holder.replaceChildren();
  const built = slices.map((slice) => buildTile(holder, slice, tiles.spacing_mm));
  for (const tile of built)
    tile.frame.addEventListener("pointermove", (event) => {
      const point = tile.point(event);
      for (const other of built) other.cross(point);
      readout.textContent = point.map((value, axis) => millimetres(axis, value)).join(", ");
    });
  built.forEach((tile) => tile.repaint());
  return built;
}

// The controls of how a pair is shown. `repaint` is called when one of them was used.
function connectLook(bar, repaint) {
  const refresh = () => {
    for (const button of bar.querySelectorAll("[data-show]"))
      button.setAttribute("aria-pressed", String(button.dataset.show === look.show));
    for (const button of bar.querySelectorAll("[data-of]"))
      button.setAttribute("aria-pressed", String(look[button.dataset.of]));
    bar.querySelector("#flicker").setAttribute("aria-pressed", String(look.timer !== null));
    bar.querySelector("#contour").value = look.contour;
    bar.querySelector("#share").disabled = !["overlay", "wipe"].includes(look.show);
    bar.querySelector("#shown").textContent = SHOWN[look.show];
    repaint();
  };
  const still = () => { clearInterval(look.timer); look.timer = null; };
  const show = (name) => { still(); look.show = name; refresh(); };
  const flicker = () => {
    const isOn = look.timer !== null;
    still();
    if (!isOn) {
      const [one, other] = (bar.querySelector("#between")?.value ?? "fixed moved").split(" ");
      look.show = one;
      look.timer = setInterval(() => { look.show = look.show === one ? other : one; refresh(); }, 500);
    }
    refresh();
  };
  for (const button of bar.querySelectorAll("[data-show]")) button.addEventListener("click", () => show(button.dataset.show));
  for (const button of bar.querySelectorAll("[data-of]"))
    button.addEventListener("click", () => { look[button.dataset.of] = !look[button.dataset.of]; refresh(); });
  bar.querySelector("#flicker").addEventListener("click", flicker);
  bar.querySelector("#contour").addEventListener("change", (event) => { look.contour = event.target.value; refresh(); });
  bar.querySelector("#share").addEventListener("input", (event) => { look.share = event.target.value / 100; refresh(); });
  const contours = [...bar.querySelector("#contour").options].map((option) => option.value);
  const keys = {
    " ": flicker,
    f: () => show("fixed"), m: () => show("moved"), o: () => show("overlay"), s: () => show("wipe"), c: () => show("checker"),
    e: () => { look.contour = contours[(contours.indexOf(look.contour) + 1) % contours.length]; refresh(); },
  };
  refresh();
  return { keys, refresh, still };
}

// Whether a key belongs to what is being typed or chosen, and not to the page.
function isTyping(event) {
  const tag = event.target.tagName;
  return event.ctrlKey || event.metaKey || event.altKey || tag === "SELECT" || tag === "TEXTAREA"
    || (tag === "INPUT" && event.target.type !== "range") || (tag === "BUTTON" && [" ", "Enter"].includes(event.key));
}
