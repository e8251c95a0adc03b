// Shows the photo, its mask and marks; zooms and moves.

import { $, app, classes, colour, ERASER, on, photo } from "./app.js";
import { left } from "./eraser.js";
import { marks, picture, trace } from "./picture.js";

export const canvas = $("#canvas");
const pen = canvas.getContext("2d");
const layer = new OffscreenCanvas(1, 1); // of the marks, where the eraser works
const MARGIN = 8; // around a whole photo, CSS pixels
const STRIP = 4; // how often the shorter side fits into the longer one of a strip
const MOST = 60; // CSS pixels for one of the photo

// Screen = photo * scale + (x, y), in CSS pixels.
export const view = { scale: 1, x: 0, y: 0, whole: 1 };
// What is being drawn, the pointer and the cursor of the keyboard, in photo pixels.
export const sketch = { item: null, pointer: null, cursor: null };

let waiting = false;

export function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    render();
  });
}

// Width of the brush in pixels, by the photo's longer side; of a strip by its shorter one.
export function brush() {
  const { width = 1, height = 1 } = photo() ?? {};
  const side = Math.min(Math.max(width, height), STRIP * Math.min(width, height));
  return Math.max(1, (app.size * side) / 1000);
}

export function toPhoto(event) {
  const box = canvas.getBoundingClientRect();
  const x = (event.clientX - box.left - view.x) / view.scale;
  const y = (event.clientY - box.top - view.y) / view.scale;
  return [x, y];
}

export function within([x, y]) {
  const { width, height } = photo();
  const round = (v, most) => Math.round(10 * Math.min(Math.max(v, 0), most)) / 10;
  return [round(x, width), round(y, height)];
}

export function fit() {
  if (!photo()?.width) return;
  const [w, h] = [canvas.clientWidth - 2 * MARGIN, canvas.clientHeight - 2 * MARGIN];
  const { width, height } = photo();
  view.whole = view.scale = Math.max(1e-3, Math.min(w / width, h / height));
  view.x = (canvas.clientWidth - width * view.scale) / 2;
  view.y = (canvas.clientHeight - height * view.scale) / 2;
  draw();
}

// Zooms, a point of the canvas staying where it is; the middle without one.
export function zoom(factor, at) {
  const [x, y] = at ?? [canvas.clientWidth / 2, canvas.clientHeight / 2];
  const least = Math.min(view.whole / 2, MOST);
  const scale = Math.min(Math.max(view.scale * factor, least), MOST);
  const change = scale / view.scale;
  view.x = x - (x - view.x) * change;
  view.y = y - (y - view.y) * change;
  view.scale = scale;
  hold();
}

export function move(x, y) {
  view.x += x;
  view.y += y;
  hold();
}

// A part of the photo stays in view.
function hold() {
  if (!photo()) return;
  const [w, h] = [photo().width * view.scale, photo().height * view.scale];
  const room = 40;
  view.x = Math.min(Math.max(view.x, room - w), canvas.clientWidth - room);
  view.y = Math.min(Math.max(view.y, room - h), canvas.clientHeight - room);
  draw();
}

// Moves the photo so far that a point of it is in view.
export function reveal([x, y]) {
  const [sx, sy] = [x * view.scale + view.x, y * view.scale + view.y];
  const room = 24;
  const over = (at, most) =>
    at < room ? room - at : at > most - room ? most - room - at : 0;
  move(over(sx, canvas.clientWidth), over(sy, canvas.clientHeight));
}

function render() {
  const ratio = devicePixelRatio || 1;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.round(v * ratio));
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, w, h);
  if (!photo() || !picture.image) return;
  const [s, x, y] = [view.scale * ratio, view.x * ratio, view.y * ratio];
  pen.setTransform(s, 0, 0, s, x, y);
  const { width, height } = photo();
  pen.imageSmoothingEnabled = (s * width) / picture.image.width < 4;
  pen.drawImage(picture.image, 0, 0, width, height);
  if (app.visible) {
    masks(width, height);
    drawMarks([s, 0, 0, s, x, y], w, h);
  }
  if (app.mode === "masks") cursors(1 / view.scale);
}

function masks(width, height) {
  if (!picture.fill) return;
  pen.globalAlpha = app.opacity;
  pen.drawImage(picture.fill, 0, 0, width, height);
  pen.globalAlpha = Math.min(1, app.opacity * 2);
  pen.drawImage(picture.edges, 0, 0, width, height);
  pen.globalAlpha = 1;
}

function drawMarks(matrix, w, h) {
  if (layer.width !== w || layer.height !== h) [layer.width, layer.height] = [w, h];
  const to = layer.getContext("2d");
  to.setTransform(1, 0, 0, 1, 0, 0);
  to.clearRect(0, 0, w, h);
  to.setTransform(...matrix);
  const line = (devicePixelRatio || 1) / matrix[0]; // one CSS pixel
  const items = left([...marks(), ...(sketch.item ? [sketch.item] : [])]);
  for (const item of items) if (item.kind !== "box") one(to, item, line);
  // Boxes lie beneath, whenever they were drawn.
  pen.setTransform(...matrix);
  for (const item of items) if (item.kind === "box") box(pen, item, line);
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.globalAlpha = 0.85;
  pen.drawImage(layer, 0, 0);
  pen.globalAlpha = 1;
  pen.setTransform(...matrix);
}

function one(to, item, line) {
  const erases = item.class === ERASER && item.kind === "stroke";
  to.globalCompositeOperation = erases ? "destination-out" : "source-over";
  if (!erases) {
    to.strokeStyle = "#0009";
    trace(to, item.points, item.width + 2 * line);
  }
  to.strokeStyle = colour(item.class);
  trace(to, item.points, item.width);
  to.globalCompositeOperation = "source-over";
}

function box(to, { box: [x0, y0, x1, y1], class: number }, line) {
  const shade = colour(number);
  const place = [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
  to.lineJoin = "miter";
  to.fillStyle = `${shade}2e`;
  to.fillRect(...place);
  to.strokeStyle = "#000a";
  to.lineWidth = 4 * line;
  to.strokeRect(...place);
  to.strokeStyle = shade;
  to.lineWidth = 2 * line;
  to.strokeRect(...place);
}

function ring([x, y], radius, line) {
  for (const [shade, width] of [["#000b", 3], ["#fff", 1.3]]) {
    pen.strokeStyle = shade;
    pen.lineWidth = width * line;
    pen.beginPath();
    pen.arc(x, y, Math.max(radius, 1.5 * line), 0, 2 * Math.PI);
    pen.stroke();
  }
}

function cursors(line) {
  const round = !["box", "move"].includes(app.tool);
  if (sketch.pointer && round) ring(sketch.pointer, brush() / 2, line);
  if (!sketch.cursor) return;
  if (round) ring(sketch.cursor, brush() / 2, line);
  const [x, y] = sketch.cursor;
  for (const [shade, width] of [["#000b", 4], ["#fff", 2]]) {
    pen.strokeStyle = shade;
    pen.lineWidth = width * line;
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.beginPath();
      pen.moveTo(x + 4 * line * dx, y + 4 * line * dy);
      pen.lineTo(x + 12 * line * dx, y + 12 * line * dy);
      pen.stroke();
    }
  }
}

function describe() {
  const one = photo();
  if (!one) return;
  const chosen = classes().find((c) => c.class === app.chosen);
  const what = { box: "box", eraser: "eraser", fix: "correction", move: "move" };
  canvas.setAttribute(
    "aria-label",
    `Photo ${one.name}, ${one.status}. Tool: ${what[app.tool] ?? "brush"}, class ` +
      `${chosen?.name ?? "none"}. Arrow keys move a cursor, space draws.`,
  );
}

export function start() {
  let shown = null;
  on("picture", () => {
    if (shown !== picture.id) {
      shown = picture.id;
      fit();
    }
    describe();
    draw();
  });
  for (const what of ["size", "opacity", "visible", "tool", "chosen", "mode"]) {
    on(what, () => {
      describe();
      draw();
    });
  }
  new ResizeObserver(() => (view.scale === view.whole ? fit() : hold())).observe(canvas);
  $("#in").onclick = () => zoom(1.4);
  $("#out").onclick = () => zoom(1 / 1.4);
  $("#fit").onclick = fit;
}
