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

// What the server can be asked for, and how people are told.
const TRAININGS = {
  masks: "a segmenter, from accepted masks",
  tags: "PPC, from tags",
  stop: "stop the one that is running",
  "go on": "go on with the one that has ended too early",
};

export const isOpen = () => $$("dialog").some((d) => d.open);

export function help() {
  $("#help").showModal();
  $("#help").scrollTop = 0; // its button has the focus, far below on a phone
}

// ---- what the server is asked for, and answers in the same dialog ----

const TASKS = {
  export: { title: "Export", prepare: formats, work: doExport },
  train: { title: "Train", prepare: trainings, work: doTrain },
};
let task = null; // name of the one that is shown

function open(name) {
  const { title, prepare } = TASKS[name];
  task = name;
  prepare();
  for (const part of $$("#task [data-task]")) part.hidden = part.dataset.task !== name;
  $("#task-title").textContent = $("#do").textContent = title;
  say([]);
  $("#task").showModal();
}

function say(lines, bad = false) {
  const place = $("#task .answer");
  place.replaceChildren(...lines.map((line) => make("span", {}, line)));
  place.classList.toggle("bad", bad);
}

// Does what is asked for, and shows what came of it, if it is still looked at.
async function run() {
  const [asked, button] = [task, $("#do")];
  const answer = (...said) => task === asked && say(...said);
  button.disabled = true;
  say(["One moment …"]);
  try {
    await flush();
    answer(await TASKS[asked].work());
    poll();
  } catch (error) {
    answer([error.status ? error.message : "The server does not answer."], true);
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
  const which = $("#task input[name=which]:checked").value;
  const { folder, said = [] } = await post("api/export", { formats: chosen, which });
  return [`Written to ${folder}`, ...said];
}

// What can be done now: one training at a time.
function trainings() {
  const state = app.state.progress.training?.state ?? "none";
  $("#trainings").dataset.state = state;
  const ways = state === "running" ? ["stop"] : [...(state === "failed" ? ["go on"] : []), "masks", "tags"];
  const { tags, examples } = app.state.roads;
  const first = ways[0] === "masks" && tags && !examples ? "tags" : ways[0];
  const choices = ways.map((value) => {
    const input = make("input", { type: "radio", name: "training", value, checked: value === first });
    return make("label", { className: "check" }, input, ` ${TRAININGS[value]}`);
  });
  $("#trainings").replaceChildren(make("legend", {}, "Training"), ...choices);
}

async function doTrain() {
  const way = $("#trainings input:checked").value;
  const asked = ["masks", "tags"].includes(way) ? { by: way } : { do: way };
  const { run: name } = await post("api/train", asked);
  return [way === "stop" ? "It saves what it has learnt, and ends." : `Started: ${name}`];
}

export function start() {
  for (const one of $$("[data-open]")) one.onclick = () => open(one.dataset.open);
  $("#do").onclick = run;
  on("state", () => {
    const shown = task === "train" && $("#task").open;
    const now = app.state.progress.training?.state ?? "none";
    if (shown && $("#trainings").dataset.state !== now) trainings();
  });
  $("#open-help").onclick = help;
  for (const [keys, what] of KEYS) {
    $("#keys").append(make("dt", {}, keys), make("dd", {}, what));
  }
  for (const dialog of $$("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close("");
    });
  }
}
