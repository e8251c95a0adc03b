// Draws on the photo: mouse, pen, fingers, and a cursor of the keyboard.

import { $, app, BACKGROUND, complain, ERASER, on, photo, real, set, speak } from "./app.js";
import { brush, canvas, draw, move, reveal, sketch, toPhoto, view, within, zoom } from "./canvas.js";
import { picture } from "./picture.js";
import { act } from "./server.js";

const LEAST = 3; // of a box, CSS pixels
const NEAR = 1; // points closer than this are one, CSS pixels
const STEP = 8; // of the keyboard's cursor, CSS pixels
const PALM = 700; // milliseconds after a pen in which fingers are none

const pointers = new Map(); // id -> [x, y] on the screen
let drags = null; // "draw" or "move", while a pointer is down
let space = null; // while the space bar is down: whether anything was done with it
let named = false; // whether there is a class but the background
let pen = 0; // when a pen was last there

// ---- what is drawn ----

function begin(at, tool = app.tool) {
  if (!photo() || !picture.image) return false;
  if (tool !== "eraser" && !real().length) {
    complain("Name a class first: what is to be found in the photos.");
    $("#new-class").focus();
    return false;
  }
  if (tool === "fix" && !picture.mask) {
    complain("There is no mask to correct yet: mark with the brush, then propose.");
    return false;
  }
  const point = within(at);
  if (tool === "box") {
    sketch.item = { kind: "box", class: app.chosen, box: [...point, ...point] };
  } else {
    const kind = tool === "fix" ? "fix" : "stroke";
    const number = tool === "eraser" ? ERASER : app.chosen;
    const width = Math.round(brush() * 10) / 10;
    sketch.item = { kind, class: number, points: [point], width };
  }
  draw();
  return true;
}

function extend(at) {
  const { item } = sketch;
  if (!item) return;
  const point = within(at);
  if (item.kind === "box") item.box.splice(2, 2, ...point);
  else {
    const [x, y] = item.points.at(-1);
    const far = Math.hypot(point[0] - x, point[1] - y) * view.scale;
    if (far >= NEAR) item.points.push(point);
  }
  draw();
}

function end() {
  const { item } = sketch;
  sketch.item = null;
  draw();
  if (!item) return;
  if (item.kind === "box") {
    const [x0, y0, x1, y1] = item.box;
    if (Math.min(Math.abs(x1 - x0), Math.abs(y1 - y0)) * view.scale < LEAST) return;
    const [[left, right], [top, bottom]] = [atLeastOne(x0, x1), atLeastOne(y0, y1)];
    item.box = [left, top, right, bottom];
  }
  act(item.kind, { ...item, photo: picture.id });
}

// Two sides of a box in order; those of the pixels that they are in where it is thin.
function atLeastOne(from, to) {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  return high - low < 1 ? [Math.floor(low), Math.floor(low) + 1] : [low, high];
}

function cancel() {
  sketch.item = null;
  draw();
}

// ---- pointers ----

const place = (event) => [event.clientX, event.clientY];

function down(event) {
  if (event.pointerType === "pen") pen = event.timeStamp;
  const palm = event.pointerType === "touch" && pen && event.timeStamp - pen < PALM;
  if (palm || event.button === 2 || (event.pointerType === "mouse" && pointers.size)) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  sketch.cursor = null;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  if (pointers.size > 1) {
    cancel(); // two fingers zoom
    drags = "move";
    return;
  }
  const moves = event.button === 1 || app.tool === "move" || space !== null;
  if (space !== null) space = true;
  if (moves || app.mode === "tags") drags = "move";
  else {
    const rubber = event.pointerType === "pen" && event.buttons & 32;
    drags = begin(toPhoto(event), rubber ? "eraser" : app.tool) ? "draw" : null;
  }
}

function moved(event) {
  if (event.pointerType === "pen") pen = event.timeStamp;
  sketch.pointer = event.pointerType === "touch" ? null : toPhoto(event);
  draw();
  const before = pointers.get(event.pointerId);
  if (!before) return;
  if (drags === "draw") {
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) extend(toPhoto(one));
  } else if (drags === "move") {
    if (pointers.size === 2) pinch(event, before);
    else move(event.clientX - before[0], event.clientY - before[1]);
  }
  pointers.set(event.pointerId, place(event));
}

function pinch(event, before) {
  const [, other] = [...pointers].find(([id]) => id !== event.pointerId);
  const far = ([x, y]) => Math.max(10, Math.hypot(x - other[0], y - other[1]));
  const box = canvas.getBoundingClientRect();
  const now = place(event);
  move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  const middle = [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top];
  zoom(far(now) / far(before), middle);
}

function up(event) {
  if (!pointers.delete(event.pointerId)) return;
  if (drags === "draw") {
    if (event.type === "pointerup") {
      extend(toPhoto(event));
      end();
    } else cancel();
  }
  if (!pointers.size) drags = null;
}

function wheel(event) {
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  const lines = event.deltaMode === 1 ? 16 : 1; // in lines or in pixels
  const speed = event.ctrlKey ? 0.01 : 0.0016;
  const factor = Math.exp(-event.deltaY * lines * speed);
  zoom(factor, [event.clientX - box.left, event.clientY - box.top]);
}

// ---- keyboard ----

const [UP, DOWN, LEFT, RIGHT] = [[0, -1], [0, 1], [-1, 0], [1, 0]];
const ARROWS = { ArrowUp: UP, ArrowDown: DOWN, ArrowLeft: LEFT, ArrowRight: RIGHT };

function cursor() {
  sketch.cursor ??= [photo().width / 2, photo().height / 2];
  return sketch.cursor;
}

function step([dx, dy], event) {
  const far = event.shiftKey ? 5 * STEP : event.altKey ? 1 : STEP;
  const [x, y] = cursor();
  sketch.cursor = within([x + (dx * far) / view.scale, y + (dy * far) / view.scale]);
  if (space !== null) space = true;
  extend(sketch.cursor);
  reveal(sketch.cursor);
  clearTimeout(step.timer);
  step.timer = setTimeout(() => speak(sketch.cursor?.map(Math.round).join(", ") ?? ""), 400);
}

function bar() {
  if (!sketch.cursor || app.mode !== "masks") return; // of a mouse: it moves the photo
  if (sketch.item) {
    end();
    speak("Pen up");
    space = true;
  } else if (app.tool !== "move" && begin(sketch.cursor)) speak("Pen down");
}

function keyDown(event) {
  if (!photo() || event.ctrlKey || event.metaKey) return;
  const arrow = ARROWS[event.key];
  if (arrow && app.mode === "masks") step(arrow, event);
  else if (event.key === " ") {
    if (!event.repeat && space === null) {
      space = false;
      bar();
    }
  } else if (event.key === "Escape" && sketch.item) cancel();
  else return;
  event.preventDefault();
}

// Space that was held while arrows moved ends the line; else the pen stays down.
function keyUp(event) {
  if (event.key !== " " || space === null) return;
  if (space && sketch.item && sketch.cursor) {
    end();
    speak("Pen up");
  }
  space = null;
}

export function start() {
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", moved);
  for (const what of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(what, up);
  }
  canvas.addEventListener("pointerleave", () => {
    sketch.pointer = null;
    draw();
  });
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("keydown", keyDown);
  addEventListener("keydown", (event) => {
    if (event.key === " " && document.activeElement === document.body) keyDown(event);
  });
  addEventListener("keyup", keyUp);
  canvas.addEventListener("focus", () => {
    if (photo() && canvas.matches(":focus-visible")) cursor();
    draw();
  });
  addEventListener("blur", () => (space = null));
  canvas.addEventListener("blur", () => {
    if (sketch.cursor) cancel();
    sketch.cursor = null;
    draw();
  });
  on("opened", () => {
    cancel();
    const byKeys = sketch.cursor !== null && photo();
    sketch.cursor = null;
    if (byKeys) cursor(); // it stays on the keyboard
  });
  on("state", () => {
    const known = [BACKGROUND, ...real().map((c) => c.class)];
    const first = app.chosen === BACKGROUND && !named;
    if (!known.includes(app.chosen) || first) set("chosen", known[1] ?? BACKGROUND);
    named = known.length > 1;
  });
}
