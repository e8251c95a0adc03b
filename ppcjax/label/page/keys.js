// Keys of the whole page; those of the photo and of the list are there.

import { $, app, set } from "./app.js";
import { fit, zoom } from "./canvas.js";
import { useKey } from "./classes.js";
import { help, isOpen } from "./dialogs.js";
import { step } from "./list.js";
import { decide, next, propose, redo, undo } from "./panel.js";

const MOST = Number($("#size").max);
const LEAST = Number($("#size").min);

const size = (factor) => () =>
  set("size", Math.round(Math.min(Math.max(app.size * factor, LEAST), MOST)));
const tool = (name) => () => app.mode === "masks" && set("tool", name);

const DOES = {
  ...{ b: tool("brush"), r: tool("box"), e: tool("eraser"), c: tool("fix") },
  ...{ m: tool("move"), "[": size(0.8), "]": size(1.25) },
  ...{ "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), f: fit },
  ...{ a: () => decide("accept"), x: () => decide("reject"), n: () => decide("none") },
  ...{ o: () => decide("reopen"), u: next, p: propose, "?": help },
  ...{ v: () => set("visible", !app.visible) },
  t: () => set("mode", app.mode === "masks" ? "tags" : "masks"),
  ...{ PageUp: () => step(-1), PageDown: () => step(1) },
};

const SIDE = { ArrowLeft: -1, ArrowRight: 1 };
const AGAIN = ["[", "]", "+", "=", "-", "PageUp", "PageDown", "z", "y"];
const writes = (element) =>
  element.closest("input:not([type=range], [type=checkbox]), select, textarea");

function press(event) {
  if (isOpen() || writes(event.target) || event.altKey) return;
  if (event.repeat && !AGAIN.includes(event.key)) return; // one photo for one press
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") (event.shiftKey ? redo : undo)();
    else if (key === "y") redo();
    else return;
  } else if (app.mode === "tags" && key in SIDE && !event.target.closest("#list, input")) {
    step(SIDE[key]);
  } else if (/^\d$/.test(key)) useKey(key);
  else if (DOES[key]) DOES[key]();
  else return;
  event.preventDefault();
}

export function start() {
  addEventListener("keydown", press);
}
