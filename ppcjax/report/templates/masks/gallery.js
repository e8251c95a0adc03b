"use strict";
// Masks are drawn from embedded numbers, not read back from images: browsers that
// guard privacy add noise to pixels that a page reads from a canvas.
const data = JSON.parse(document.getElementById("data").textContent);
const slider = document.getElementById("threshold");

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

// Dark violet to pale yellow, as opaque as the score is high.
const HEAT = [[38, 14, 84], [126, 30, 108], [203, 62, 76], [246, 141, 44], [250, 232, 128]];
function heat(score) {
  const at = (score / 255) * (HEAT.length - 1);
  const low = Math.min(Math.floor(at), HEAT.length - 2);
  const mix = HEAT[low].map((v, i) => v + (HEAT[low + 1][i] - v) * (at - low));
  return [...mix, Math.min(2.4 * score, 225)];
}

function paint(canvas, tile, colour) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(tile.width, tile.height);
  for (let p = 0; p < tile.width * tile.height; p++) image.data.set(colour(p), 4 * p);
  context.putImageData(image, 0, 0);
}

const CLEAR = [0, 0, 0, 0];
const VOID = 255;
// Filled so that the photo shows through, edged in full colour: an edge takes nothing
// from a class of a few pixels, and is seen on any photo.
function paintMask(canvas, tile, mask) {
  const { width, height } = tile;
  const filled = data.palette.map((rgb) => [...rgb, 165]);
  const edged = data.palette.map((rgb) => [...rgb, 255]);
  const differs = (p, q) => mask[q] !== mask[p] && mask[q] !== VOID;
  tile.masks.set(canvas, mask);
  paint(canvas, tile, (p) => {
    if (mask[p] === 0 && data.background) return CLEAR;
    if (mask[p] === VOID) return filled[VOID];
    const x = p % width;
    const edge =
      (x > 0 && differs(p, p - 1)) || (x < width - 1 && differs(p, p + 1)) ||
      (p >= width && differs(p, p - width)) ||
      (p < width * (height - 1) && differs(p, p + width));
    return edge ? edged[mask[p]] : filled[mask[p]];
  });
}

// A pixel is foreground where its score exceeds the threshold, which is where its
// level, the number of thresholds it exceeds, is greater than the slider's position.
function maskOf(tile, position) {
  const { level, best } = tile.planes;
  return level.map((value, p) => (value > position ? best[p] : 0));
}

function drawMasks(position) {
  for (const tile of data.tiles) {
    if (!tile.planes) continue;
    paintMask(tile.canvas("prediction"), tile, maskOf(tile, position));
  }
}

function describe(position) {
  const t = data.labels[position];
  const mean = data.mean_iou && data.mean_iou[position];
  const text = mean == null ? `t = ${t}` : `t = ${t}, mean IoU ${(100 * mean).toFixed(1)} %`;
  document.getElementById("threshold-value").textContent = text;
  slider.setAttribute("aria-valuetext", text);
}

function moveCursor(position) {
  const cursor = document.querySelector(".curve .cursor");
  if (!cursor) return;
  const at = cursor.ownerSVGElement.dataset;
  const share = (data.thresholds[position] - at.x0) / (at.x1 - at.x0);
  const x = Number(at.left) + share * (at.right - at.left);
  cursor.setAttribute("d", `M${x.toFixed(1)} ${at.top}V${at.bottom}`);
}

let due = 0;
function update() {
  const position = Number(slider.value);
  describe(position);
  moveCursor(position);
  cancelAnimationFrame(due);
  due = requestAnimationFrame(() => drawMasks(position));
}

async function load(tile, index) {
  const figure = document.getElementById(`tile-${index}`);
  tile.masks = new Map(); // canvas -> the mask it shows
  tile.canvas = (name) => figure.querySelector(`.${name} canvas`);
  const photo = figure.querySelector(".photo img");
  for (const canvas of figure.querySelectorAll("canvas")) {
    const copy = photo.cloneNode();
    copy.alt = ""; // the canvas above it says what it shows
    canvas.before(copy);
  }
  const all = await unpack(tile.packed);
  const size = tile.width * tile.height;
  const [score, level, best, truth] = [0, 1, 2, 3].map((k) => all.subarray(k * size, (k + 1) * size));
  tile.planes = { score, level, best, truth };
  if (data.background) paint(tile.canvas("scores"), tile, (p) => heat(score[p]));
  if (tile.has_truth) paintMask(tile.canvas("truth"), tile, truth);
  figure.addEventListener("pointermove", (event) => name(event, tile));
}

// The class below the pointer is what a canvas is called.
function name(event, tile) {
  const canvas = event.target;
  const mask = tile.masks.get(canvas);
  if (!mask) return;
  const x = Math.floor((event.offsetX * tile.width) / canvas.clientWidth);
  const y = Math.floor((event.offsetY * tile.height) / canvas.clientHeight);
  const id = mask[y * tile.width + x];
  canvas.title = id === VOID ? "void" : (data.classes[id] ?? "");
}

// Also in the dialog that shows a picture large.
const opacity = document.getElementById("opacity");
function setOpacity(share) {
  document.documentElement.style.setProperty("--masks", String(share));
}
if (opacity) {
  opacity.addEventListener("input", () => setOpacity(opacity.value / 100));
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "m" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input:not([type=range]), select, textarea")) return;
    opacity.value = opacity.value > 0 ? 0 : 100;
    setOpacity(opacity.value / 100);
  });
}

if (slider) {
  slider.addEventListener("input", update);
  for (const button of document.querySelectorAll("[data-position]")) {
    button.addEventListener("click", () => {
      slider.value = button.dataset.position;
      update();
    });
  }
  update();
}
// Where no threshold makes other masks there is no slider.
Promise.all(data.tiles.map(load)).then(() => {
  drawMasks(slider ? Number(slider.value) : data.position);
  document.body.dataset.ready = "yes";
});
