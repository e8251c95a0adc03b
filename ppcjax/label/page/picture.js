// The photo in view: its pixels, its mask, the marks on it.

import { app, BACKGROUND, colour, complain, on, photo, tell } from "./app.js";
import { numbers } from "./png.js";
import { get, url } from "./server.js";

const KEPT = 6; // photos that are kept for going back
const UNKNOWN = 255; // in masks
const DRAWN = ["stroke", "box", "fix"];

export const picture = {
  id: null,
  image: null, // ImageBitmap, reduced
  mask: null, // {width, height, values}
  version: null, // of the mask that is shown; null while there are own changes to it
  fill: null, // canvas of the mask's colours
  edges: null, // canvas of its outlines
  items: [], // marks, as the server knows them
  recent: [], // [{action, known}] that it may not know yet
  undo: false,
  redo: false,
};

const images = new Map(); // id -> promise of an ImageBitmap

export function load(id) {
  if (!images.has(id)) {
    const found = fetch(url(`photo/${id}`, { side: 2048 })).then(async (reply) => {
      if (!reply.ok) throw new Error("This photo cannot be read.");
      return createImageBitmap(await reply.blob());
    });
    found.catch(() => images.delete(id));
    images.set(id, found);
    for (const old of [...images.keys()].slice(0, -KEPT)) {
      if (old !== picture.id) images.delete(old);
    }
  }
  return images.get(id);
}

async function open(id) {
  Object.assign(picture, {
    ...{ id, image: null, mask: null, version: null, fill: null, edges: null },
    ...{ items: [], recent: [], undo: false, redo: false, seen: "" },
  });
  tell("opened", id);
  tell("picture");
  refresh();
  if (id === null || photo()?.status === "missing") return;
  try {
    const image = await load(id);
    if (picture.id === id) picture.image = image;
  } catch (error) {
    if (picture.id === id) complain(error.message);
  }
  tell("picture");
}

// ---- marks and mask ----

let busy = false;
let again = false;

async function mask(id, version) {
  if (version === null) return null;
  const reply = await fetch(url(`mask/${id}`, { v: version }), { cache: "no-store" });
  if (reply.status === 404) return null;
  if (!reply.ok) throw new Error(`The server answers ${reply.status} for a mask.`);
  return numbers(await reply.arrayBuffer());
}

// Reads marks and mask anew; what it has been told of, but not yet sent, stays in view.
async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  const id = picture.id;
  if (id === null) return;
  busy = true;
  const version = app.photos.get(id)?.mask ?? null;
  const known = picture.recent.filter((r) => r.known);
  try {
    const [marks, found] = await Promise.all([get(`marks/${id}`), mask(id, version)]);
    if (picture.id === id) {
      picture.recent = picture.recent.filter((r) => !known.includes(r));
      picture.items = marks.items;
      Object.assign(picture, { undo: marks.undo, redo: marks.redo, mask: found });
      picture.version = picture.recent.length ? null : version;
      for (const { action } of picture.recent) if (action.kind === "fix") paint(action);
      colourMask();
      tell("picture");
    }
  } catch (error) {
    if (error.status !== undefined) complain(error.message);
  }
  busy = false;
  if (again || picture.id !== id) {
    again = false;
    refresh();
  }
}

let colours = "";

on("photo", open);
on("state", (state) => {
  const seen = JSON.stringify(photo() ?? null);
  if (picture.id !== null && seen !== picture.seen) {
    picture.seen = seen;
    refresh();
  }
  const now = JSON.stringify(state.classes);
  if (now !== colours) colourMask();
  colours = now;
  tell("picture");
});

on("acted", (action) => {
  if (action.photo !== picture.id || !DRAWN.includes(action.kind)) return;
  picture.recent.push({ action, known: false });
  Object.assign(picture, { undo: true, redo: false, version: null });
  if (action.kind === "fix") {
    paint(action);
    colourMask();
  }
  tell("picture");
});

on("acknowledged", ({ actions }) => {
  const ids = new Set(actions.map((a) => a.id));
  for (const one of picture.recent) if (ids.has(one.action.id)) one.known = true;
  if (actions.some((a) => a.photo === picture.id)) refresh();
});

// What is drawn over the photo, in order.
export function marks() {
  const ids = new Set(picture.items.map((i) => i.id));
  const recent = picture.recent.map((r) => r.action).filter((a) => !ids.has(a.id));
  return [...picture.items, ...recent].filter((i) => i.kind !== "fix");
}

// ---- the mask as pixels ----

// Puts a correction into the mask at once, as the server will.
function paint({ points, width, class: number }) {
  const { mask: to } = picture;
  if (!to) return;
  const scale = to.width / photo().width;
  const xs = points.map((p) => p[0] * scale);
  const ys = points.map((p) => p[1] * scale);
  const reach = (width * scale) / 2 + 1;
  const left = Math.max(0, Math.floor(Math.min(...xs) - reach));
  const top = Math.max(0, Math.floor(Math.min(...ys) - reach));
  const right = Math.min(to.width, Math.ceil(Math.max(...xs) + reach));
  const bottom = Math.min(to.height, Math.ceil(Math.max(...ys) + reach));
  if (right <= left || bottom <= top) return;
  const pen = new OffscreenCanvas(right - left, bottom - top).getContext("2d");
  pen.setTransform(scale, 0, 0, scale, -left, -top);
  trace(pen, points, width);
  const { data } = pen.getImageData(0, 0, right - left, bottom - top);
  for (let y = top, i = 3; y < bottom; y++) {
    for (let x = left; x < right; x++, i += 4) {
      if (data[i] > 127) to.values[y * to.width + x] = number;
    }
  }
}

// Draws a line of a width through points, in the units of the pen.
export function trace(pen, points, width) {
  pen.lineWidth = width;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (const point of points) pen.lineTo(...point);
  pen.stroke();
}

// RGBA of each value as one number, little endian as all machines of today are.
function table() {
  const found = new Uint32Array(256);
  for (const one of app.state.classes) {
    const rgb = Number.parseInt(colour(one.class).slice(1), 16);
    const [r, g, b] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
    if (one.class !== BACKGROUND) {
      found[one.class] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
  }
  found[UNKNOWN] = 0x60808080;
  return found;
}

function colourMask() {
  const { mask: of } = picture;
  picture.fill = picture.edges = null;
  if (!of) return;
  const { width, height, values } = of;
  const colours = table();
  const [fill, edges] = [0, 1].map(() => new ImageData(width, height));
  const fills = new Uint32Array(fill.data.buffer);
  const lines = new Uint32Array(edges.data.buffer);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const value = values[i];
      if (!value) continue;
      fills[i] = colours[value];
      const inner =
        (x === 0 || values[i - 1] === value) &&
        (y === 0 || values[i - width] === value) &&
        (x === width - 1 || values[i + 1] === value) &&
        (y === height - 1 || values[i + width] === value);
      if (!inner) lines[i] = colours[value];
    }
  }
  picture.fill = canvasOf(fill);
  picture.edges = canvasOf(edges);
}

function canvasOf(data) {
  const made = new OffscreenCanvas(data.width, data.height);
  made.getContext("2d").putImageData(data, 0, 0);
  return made;
}
