// The classes: chosen, tagged, added, renamed, recoloured; the area of each.

import { $, app, BACKGROUND, classes, icon, keyOf, make, on, percent, photo, real, set, speak } from "./app.js";
import { act } from "./server.js";

let edited = null; // class that the dialog is about
let awaited = null; // name of a class that was added and is chosen once it is there

// Chooses a class to draw, or in tags mode says that the photo shows it or not.
export function use(number) {
  if (app.mode === "masks" || number === BACKGROUND) {
    if (app.mode === "masks") set("chosen", number);
    return;
  }
  const one = photo();
  if (!one) return;
  const is = one.tags.includes(number);
  act("tag", { photo: one.id, class: number, on: !is });
  one.tags = is ? one.tags.filter((t) => t !== number) : [...one.tags, number];
  const { name } = classes().find((c) => c.class === number);
  speak(`${name} ${is ? "off" : "on"}`);
  show();
}

export function useKey(key) {
  const found = classes().find((c) => keyOf(c) === key);
  if (found) use(found.class);
}

// Share of the pixels of all accepted photos.
function accepted() {
  const sums = {};
  let all = 0;
  for (const one of app.state.photos) {
    if (!["accepted", "none"].includes(one.status)) continue;
    const size = one.width * one.height || 1;
    all += size;
    for (const [number, share] of Object.entries(one.areas ?? {})) {
      sums[number] = (sums[number] ?? 0) + share * size;
    }
  }
  return (number) => (all ? percent((sums[number] ?? 0) / all) : "");
}

// Whether black can be read on a colour better than white.
function light(shade) {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(shade.slice(at, at + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}

// A button that chooses a class, or tags the photo with it.
function chooser(one) {
  const tags = app.mode === "tags";
  const on = tags ? photo()?.tags.includes(one.class) : one.class === app.chosen;
  const chip = make("span", { className: "chip" }, keyOf(one));
  chip.style.background = one.colour;
  chip.style.color = light(one.colour) ? "#000" : "#fff";
  const name = make("span", { className: "name" }, one.name);
  const button = make(
    "button",
    { type: "button", "aria-pressed": on ?? false, title: `${one.name} (${keyOf(one)})` },
    ...[chip, name],
  );
  button.onclick = () => use(one.class);
  return button;
}

function row(one, total) {
  const change = make("button", { type: "button", className: "bare" }, icon("edit"));
  change.setAttribute("aria-label", `Change the class ${one.name}`);
  change.onclick = () => edit(one);
  const here = percent(photo()?.areas?.[one.class]);
  const made = make(
    "tr",
    {},
    make("th", { scope: "row" }, chooser(one)),
    make("td", {}, here),
    make("td", {}, total(one.class)),
    make("td", {}, ...(one.class === BACKGROUND ? [] : [change])),
  );
  made.dataset.class = one.class;
  return made;
}

let before = "";
let seen = null; // class to which the list was scrolled

function show() {
  const { mode, chosen } = app;
  const now = [mode, chosen, classes(), photo()?.tags, photo()?.areas].map((v) => JSON.stringify(v));
  const total = accepted();
  const text = [...now, ...classes().map((c) => total(c.class))].join();
  if (text === before) return; // so that the focus stays
  before = text;
  const held = document.activeElement?.closest?.("#classes tr");
  const column = document.activeElement?.className;
  const all = mode === "tags" ? real() : classes();
  $("#classes tbody").replaceChildren(...all.map((one) => row(one, total)));
  const chips = $("#chips");
  const [at, { scrollLeft }] = [[...chips.children].indexOf(document.activeElement), chips];
  chips.replaceChildren(...all.map(chooser));
  chips.scrollLeft = scrollLeft;
  chips.children[at]?.focus();
  if (chosen !== seen) {
    reveal($(".rows"), $(`#classes tr[data-class="${chosen}"]`));
    reveal(chips, chips.querySelector("[aria-pressed=true]"));
  }
  seen = chosen;
  if (held) {
    const again = $(`#classes tr[data-class="${held.dataset.class}"]`);
    again?.querySelector(column ? `.${column}` : "button")?.focus();
  }
}

// Scrolls a list, and nothing around it, so far that one in it is in view.
function reveal(room, one) {
  if (!one) return;
  const [inner, outer] = [one.getBoundingClientRect(), room.getBoundingClientRect()];
  const over = (low, high, least, most) =>
    low < least ? low - least : high > most ? high - most : 0;
  const head = room.querySelector("thead")?.offsetHeight ?? 0;
  room.scrollTop += over(inner.top, inner.bottom, outer.top + head, outer.bottom);
  room.scrollLeft += over(inner.left, inner.right, outer.left, outer.right);
}

function edit(one) {
  edited = one;
  $("#class-name").value = one.name;
  $("#class-colour").value = one.colour;
  $("#class").returnValue = "";
  $("#class").showModal();
}

function save() {
  const { class: number, name, colour } = edited;
  const [named, shade] = [$("#class-name").value.trim(), $("#class-colour").value];
  if ($("#class").returnValue === "save") {
    if (named && named !== name) act("class_rename", { class: number, name: named });
    if (shade !== colour) act("class_colour", { class: number, colour: shade });
  }
  edited = null;
}

function add(event) {
  event.preventDefault();
  const name = $("#new-class").value.trim();
  if (!name) return;
  act("class_add", { name });
  awaited = name;
  $("#new-class").value = "";
}

export function start() {
  for (const what of ["photo", "chosen", "mode"]) on(what, show);
  on("state", () => {
    const found = real().find((c) => c.name === awaited);
    if (found) {
      awaited = null;
      set("chosen", found.class);
    }
    show();
  });
  $("#add").onsubmit = add;
  $("#class").addEventListener("close", save);
  $("#class-remove").onclick = () => {
    act("class_remove", { class: edited.class });
    $("#class").close("");
  };
}
