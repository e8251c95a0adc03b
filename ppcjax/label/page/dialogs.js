// Export, training, and the keys.

import { $, $$, app, make, on } from "./app.js";
import { flush, poll, post } from "./server.js";

// Names by which the server knows formats, and people do.
const FORMATS = {
  coco: "COCO",
  yolo: "YOLO",
  cvat: "CVAT",
  labelstudio: "Label Studio",
  png_grey: "PNG files of class numbers",
};

export const KEYS = [
  ["B, R, E, C, M", "brush, box, eraser, correct the mask, move the photo"],
  ["1 to 9, 0", "class to draw, 0 the background; with tags: what is in the photo"],
  ["[ and ]", "smaller and larger brush"],
  ["Ctrl Z, Ctrl Y", "undo, redo"],
  ["+, −, F", "zoom in, out, whole photo; the wheel and two fingers zoom too"],
  ["Space and drag", "moves the photo"],
  ["V", "masks and marks shown or not"],
  ["P", "propose"],
  ["A, X, N, O", "accept, reject, none of these, reopen"],
  ["U", "next uncertain photo"],
  ["Page up, down", "previous, next photo"],
  ["T", "masks or tags; with tags, arrows show the photos beside"],
  ["Arrows", "in the photo: move a cursor (Shift far, Alt one pixel); in the list: photos"],
  ["Space", "in the photo: pen down and up at the cursor; with a box its corners"],
  ["Escape", "leaves a line that is being drawn"],
  ["?", "these keys"],
];

export const isOpen = () => $$("dialog").some((d) => d.open);

export function help() {
  $("#help").showModal();
}

function say(dialog, lines, bad = false) {
  const place = $(`${dialog} .answer`);
  place.replaceChildren(...lines.map((line) => make("span", {}, line)));
  place.classList.toggle("bad", bad);
}

// Does what a button of a dialog asks for, and shows what came of it there.
async function run(dialog, button, work) {
  button.disabled = true;
  say(dialog, ["One moment …"]);
  try {
    await flush();
    say(dialog, await work());
    poll();
  } catch (error) {
    say(dialog, [error.status ? error.message : "The server does not answer."], true);
  }
  button.disabled = false;
}

function formats() {
  const names = app.state.formats ?? Object.keys(FORMATS);
  const chosen = $$("#formats input:checked").map((i) => i.value);
  const boxes = names.map((name, index) => {
    const checked = chosen.length ? chosen.includes(name) : index === 0;
    const input = make("input", { type: "checkbox", value: name, checked });
    return make("label", { className: "check" }, input, ` ${FORMATS[name] ?? name}`);
  });
  $("#formats").replaceChildren(make("legend", {}, "Formats"), ...boxes);
}

async function doExport() {
  const chosen = $$("#formats input:checked").map((i) => i.value);
  const which = $("#export input[name=which]:checked").value;
  const { folder, said = [] } = await post("api/export", { formats: chosen, which });
  return [`Written to ${folder}`, ...said];
}

async function doTrain() {
  const { run: name } = await post("api/train", {});
  return [`Started: ${name}`];
}

export function start() {
  for (const name of ["export", "train"]) {
    $(`#open-${name}`).onclick = () => {
      if (name === "export") formats();
      say(`#${name}`, []);
      $(`#${name}`).showModal();
    };
  }
  $("#open-help").onclick = help;
  $("#do-export").onclick = (event) => run("#export", event.target, doExport);
  $("#do-train").onclick = (event) => run("#train", event.target, doTrain);
  for (const [keys, what] of KEYS) {
    $("#keys").append(make("dt", {}, keys), make("dd", {}, what));
  }
  for (const dialog of $$("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close("");
    });
  }
  on("state", ({ progress }) => {
    $("#open-train").classList.toggle("on", Boolean(progress.training));
  });
}
