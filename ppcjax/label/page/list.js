// Thumbnails: only those in view are elements, so that thousands stay quick.

import { $, app, make, on, set } from "./app.js";
import { url } from "./server.js";

const list = $("#list");
const room = $("#list .room");
const GAP = 6; // CSS pixels
const WIDE = 104; // least width of a thumbnail in columns
const STRIP = [92, 72]; // its size in a row
const SIGNS = {
  ...{ new: "", marked: "✎", proposed: "?", accepted: "✓", none: "∅", rejected: "✕" },
  ...{ missing: "!" },
};
const WORDS = {
  ...{ new: "new", marked: "marked", proposed: "proposed", accepted: "accepted" },
  ...{ none: "none of these", rejected: "rejected", missing: "missing" },
};
export const DONE = ["accepted", "none"];

// Photos of which nobody can make a mask: their file is gone, or cannot be read.
export const isGone = (one) => one.status === "missing" || !one.width;
export const isLeft = (one) => !DONE.includes(one.status) && !isGone(one);
export const word = (one) => (one.width ? WORDS[one.status] : "cannot be read");

let shown = []; // what the filters leave, in order
const tiles = new Map(); // id -> element

function select() {
  const which = $("#show").value;
  const fits = (one) =>
    which === "all" || one.status === which ||
    (which === "left" && isLeft(one));
  shown = app.state.photos.filter(fits);
  if ($("#order").value === "uncertain") {
    shown.sort((a, b) => (b.uncertainty ?? -1) - (a.uncertainty ?? -1) || a.id - b.id);
  }
  $("#none-shown").hidden = shown.length > 0;
  place();
}

// Whether it is a row, how many stand beside each other, and how large one is.
function measure() {
  const row = getComputedStyle(list).overflowY === "hidden";
  if (row) return { row, across: 1, width: STRIP[0], height: STRIP[1] };
  const space = room.clientWidth || 1;
  const across = Math.max(1, Math.floor((space + GAP) / (WIDE + GAP)));
  const width = Math.floor((space - GAP * (across - 1)) / across);
  return { row, across, width, height: Math.round(width * 0.75) };
}

function place() {
  const { row, across, width, height } = measure();
  const [dx, dy] = [width + GAP, height + GAP];
  const lines = Math.ceil(shown.length / across);
  room.style.height = `${row ? height : lines * dy}px`;
  room.style.width = row ? `${shown.length * dx}px` : "";
  const [at, seen, each] = row
    ? [list.scrollLeft, list.clientWidth, dx]
    : [list.scrollTop, list.clientHeight, dy];
  const first = Math.max(0, Math.floor(at / each) - 2) * across;
  const last = (Math.ceil((at + seen) / each) + 2) * across;
  const wanted = new Set();
  shown.slice(first, last).forEach((one, i) => {
    const index = first + i;
    wanted.add(one.id);
    const tile = tiles.get(one.id) ?? add(one);
    const x = row ? index * dx : (index % across) * dx;
    const y = row ? 0 : Math.floor(index / across) * dy;
    tile.style.transform = `translate(${x}px, ${y}px)`;
    [tile.style.width, tile.style.height] = [`${width}px`, `${height}px`];
    tile.setAttribute("aria-posinset", index + 1);
    fill(tile, one);
  });
  for (const [id, tile] of tiles) {
    if (wanted.has(id)) continue;
    tile.remove();
    tiles.delete(id);
  }
}

function add(one) {
  const image = make("img", { alt: "", decoding: "async", draggable: false });
  image.src = url(`thumbnail/${one.id}`);
  image.onerror = () => image.remove();
  const tile = make("div", { role: "option", className: "tile" }, image, make("span"));
  tile.dataset.id = one.id;
  tiles.set(one.id, tile);
  room.append(tile);
  return tile;
}

function fill(tile, one) {
  const words = [one.name, word(one)];
  const names = one.tags.map((t) => app.state.classes.find((c) => c.class === t)?.name);
  if (names.length) words.push(names.filter(Boolean).join(" "));
  tile.title = words.join(" · ");
  tile.setAttribute("aria-label", words.join(", "));
  tile.setAttribute("aria-selected", one.id === app.photo);
  tile.setAttribute("aria-setsize", shown.length);
  tile.tabIndex = one.id === app.photo ? 0 : -1;
  const status = isGone(one) ? "missing" : one.status;
  tile.dataset.status = status;
  tile.lastChild.textContent = SIGNS[status] ?? "";
}

// Scrolls so far that the photo in view is among those seen.
function reveal() {
  const index = shown.findIndex((one) => one.id === app.photo);
  if (index < 0) return place();
  const { row, across, width, height } = measure();
  const [each, seen] = row
    ? [width + GAP, list.clientWidth]
    : [height + GAP, list.clientHeight];
  const from = Math.floor(index / across) * each;
  const at = row ? list.scrollLeft : list.scrollTop;
  const to = from < at ? from : from + each > at + seen ? from + each - seen : at;
  if (row) list.scrollLeft = to;
  else list.scrollTop = to;
  place();
}

// Shows a photo so many further on in the list.
export function step(count) {
  const index = shown.findIndex((one) => one.id === app.photo);
  const to = Math.min(Math.max(index + count, 0), shown.length - 1);
  if (shown[to]) set("photo", shown[to].id);
}

function keys(event) {
  const { row, across } = measure();
  const far = {
    ...{ ArrowLeft: -1, ArrowRight: 1, ArrowUp: row ? -1 : -across },
    ...{ ArrowDown: row ? 1 : across, Home: -shown.length, End: shown.length },
  }[event.key];
  if (far === undefined || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  step(far);
  tiles.get(app.photo)?.focus({ preventScroll: true });
}

export function start() {
  list.addEventListener("scroll", () => requestAnimationFrame(place), { passive: true });
  list.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    set("photo", Number(tile.dataset.id));
    tile.focus({ preventScroll: true });
  });
  list.addEventListener("keydown", keys);
  list.addEventListener("focus", () => tiles.get(app.photo)?.focus());
  for (const name of ["#show", "#order"]) $(name).onchange = select;
  new ResizeObserver(reveal).observe(list);
  on("photo", reveal);
  on("state", ({ photos }) => {
    if (!app.photos.has(app.photo) && photos.length) set("photo", photos[0].id);
    select();
  });
}
