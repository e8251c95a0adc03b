// What the page knows, who hears of changes, and small helpers.

export const BACKGROUND = 0;
export const ERASER = 255;
const BACKGROUND_COLOUR = "#66707f";

export const app = {
  state: { version: -1, photos: [], classes: [], counts: {}, progress: {}, roads: {} },
  photos: new Map(), // id -> what the state says of it
  photo: null, // id of the one in view
  tool: "brush", // brush, box, eraser, fix or move
  chosen: BACKGROUND, // class that is drawn
  size: 24, // of the brush, thousandths of the photo's longest side
  opacity: 0.45, // of masks
  visible: true, // masks and marks
  mode: "masks", // or "tags"
};

const ears = new Map();

export function on(what, hear) {
  if (!ears.has(what)) ears.set(what, []);
  ears.get(what).push(hear);
}

export function tell(what, detail) {
  for (const hear of ears.get(what) ?? []) hear(detail);
}

export const $ = (selector) => document.querySelector(selector);
export const $$ = (selector) => [...document.querySelectorAll(selector)];

// An element, its properties, attributes (names with "-" or "role") and children.
export function make(tag, fields = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const photo = () => app.photos.get(app.photo);

// Background first, then the classes of the server.
export function classes() {
  const own = app.state.classes;
  if (own.some((c) => c.class === BACKGROUND)) return own;
  const background = { class: BACKGROUND, name: "background", key: "0" };
  return [{ ...background, colour: BACKGROUND_COLOUR }, ...own];
}

export const real = () => classes().filter((c) => c.class !== BACKGROUND);

export const colour = (number) =>
  classes().find((c) => c.class === number)?.colour ?? BACKGROUND_COLOUR;

// What the server says of keys, else the place in the list.
export function keyOf(one) {
  if (one.class === BACKGROUND) return "0";
  const place = real().indexOf(one) + 1;
  return String(one.key ?? (place < 10 ? place : ""));
}

export const percent = (share) =>
  share === undefined ? ""
    : share > 0 && share < 0.001 ? "<0.1%" : `${(100 * share).toFixed(1)}%`;

// A number with what is counted, as 1 photo, 2 photos.
export const counted = (count, one, many = `${one}s`) =>
  `${count} ${count === 1 ? one : many}`;

// Says something to those who hear the page only.
export function speak(text) {
  $("#spoken").textContent = text;
}

let ofProposals = false; // whether the line tells why there are none

// The button for what is lacking before anything can be proposed.
export function offer() {
  $("#draw-background").hidden = !ofProposals || app.state.roads.needs !== "background";
}

// One line: what failed, or what the server has said. A line that is there already shows
// that it has come again.
export function complain(text, { mild = false, proposals = false } = {}) {
  ofProposals = proposals;
  offer();
  $("#error span").textContent = text;
  $("#error").hidden = true;
  $("#error").classList.toggle("mild", mild);
  if (text) requestAnimationFrame(() => ($("#error").hidden = !$("#error span").textContent));
}

export function set(name, value) {
  if (app[name] === value) return;
  app[name] = value;
  tell(name, value);
}
