// Proposals, decisions, counts and progress.

import { $, $$, app, BACKGROUND, complain, counted, make, offer, on, photo, set, speak } from "./app.js";
import { draw } from "./canvas.js";
import { DONE, isGone, isLeft, step, word } from "./list.js";
import { load, picture } from "./picture.js";
import { act, expect, flush, post } from "./server.js";

const NAMES = { features: "Features", examples: "Examples", proposals: "Proposals" };
const LATER = 350; // milliseconds after a mark until proposals are made anew
const ASKED = "Proposing …";

// ---- what is done ----

export async function propose() {
  $("#propose").disabled = true;
  $("#said").textContent = ASKED;
  complain("");
  try {
    await flush();
    await post("api/propose", { photo: app.photo });
    expect();
  } catch (error) {
    const line = error.status ? error.message : "The server does not answer; propose again.";
    complain(line, { proposals: true });
  }
  $("#said").textContent = app.state.progress.said?.at(-1) ?? "";
  $("#propose").disabled = false;
}

let timer = 0;

// A mark changes what is proposed for the rest, once anything has been.
function anew({ actions, refused }) {
  const kinds = ["stroke", "box", "fix", "undo", "redo"];
  const proposed = app.state.progress.proposals?.[1] > 0;
  const some = actions.some((a) => kinds.includes(a.kind) && !refused.has(a.id));
  const left = app.state.photos.some(isLeft);
  const can = proposed && left && app.state.roads.examples !== false;
  if (!some || !can || !$("#anew").checked) return;
  later();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = 0;
    propose();
  }, LATER);
}

function uncertain() {
  const left = app.state.photos.filter((p) => p.status === "proposed" && p.id !== app.photo);
  left.sort((a, b) => (b.uncertainty ?? 0) - (a.uncertainty ?? 0));
  return left[0];
}

export function next() {
  const found = uncertain();
  if (found) set("photo", found.id);
  else speak("No other photo has a proposal.");
}

// Accepts and the like; the status changes at once, and goes on to the next.
export function decide(kind) {
  const one = photo();
  const button = $(`#${kind}`);
  if (!one || button.disabled || button.hidden) return;
  const waits = timer !== 0; // first what was seen is accepted, then comes what is new
  clearTimeout(timer);
  const seen = kind === "accept" && picture.version !== null;
  act(kind, { photo: one.id, ...(seen && { mask: picture.version }) });
  if (waits) later();
  speak(`${one.name}: ${kind === "none" ? "none of these" : kind}`);
  if (kind !== "reopen" && $("#go-on").checked && uncertain()) next();
}

export const undo = () => $("#undo").disabled || act("undo", { photo: app.photo });
export const redo = () => $("#redo").disabled || act("redo", { photo: app.photo });

// ---- what is shown ----

function buttons() {
  const one = photo();
  const done = one && DONE.includes(one.status);
  const closed = !one || done || isGone(one);
  $("#accept").disabled = closed || !(picture.mask || one.mask || one.marks);
  $("#reject").disabled = closed || ["new", "rejected"].includes(one.status);
  $("#none").disabled = closed;
  for (const name of ["accept", "reject", "none"]) $(`#${name}`).hidden = Boolean(done);
  $("#reopen").hidden = !done;
  $("#next").disabled = !uncertain();
  $("#undo").disabled = !picture.undo;
  $("#redo").disabled = !picture.redo;
}

function hint() {
  const { tool } = app;
  if (app.mode === "tags") return "Keys 1 to 9 say what is in the photo.";
  if (tool === "fix") return "Paint what is wrong; class 0 takes away.";
  if (tool === "eraser") return "Takes lines away, and boxes that it touches.";
  if (tool === "box") return "A box around each object; outside is background.";
  if (tool === "move") return "Drag the photo; the wheel and two fingers zoom.";
  if (app.state.roads.needs) return "Now a line of background, class 0.";
  return "A line is enough; mark some background, too.";
}

function caption() {
  const one = photo();
  $("#name").textContent = one?.name ?? "";
  const facts = one
    ? [word(one), one.width && `${one.width} × ${one.height}`, one.marks && counted(one.marks, "mark")]
    : [];
  if (one?.status === "proposed" && one.uncertainty !== null) {
    facts.push(`uncertainty ${one.uncertainty.toFixed(2)}`);
  }
  $("#about").textContent = facts.filter(Boolean).join(" · ");
  $("#hint").textContent = hint();
  const none = !app.state.photos.length && app.state.version >= 0;
  const empty = none ? "There are no photos." : one ? absent(one) : "";
  $("#empty").hidden = !empty;
  $("#empty").textContent = empty;
}

function absent({ status, width }) {
  if (status === "missing") return "This photo is no longer there.";
  return width ? "" : "This photo cannot be read.";
}

function bar(name, [done, total]) {
  const label = make("label", {}, `${name} `, make("span", {}, `${done} of ${total}`));
  label.append(make("progress", { max: total || 1, value: done }));
  return label;
}

// What a training says of itself: how far it is, and in words.
function training({ state, step, steps, said }) {
  const found = steps ? [bar("Training", [step ?? 0, steps])] : [];
  const words = { done: "Training is done.", failed: `Training ended too early: ${said}` }[state];
  const started = found.length ? "" : `Training has started. ${said ?? ""}`;
  if (words ?? started) found.push(make("p", { className: "soft" }, words ?? started));
  return found;
}

let bars = "";

function progress() {
  const { progress: of, counts, roads, photos } = app.state;
  const now = JSON.stringify(of);
  if (now !== bars) {
    bars = now;
    const rows = Object.entries(NAMES)
      .filter(([name]) => of[name]?.[1])
      .map(([name, label]) => bar(label, of[name]));
    if (of.training) rows.push(...training(of.training));
    $("#bars").replaceChildren(...rows);
    remark(of.said?.at(-1) ?? "", of.spoken);
  }
  $("#road").textContent = roads.said ?? "";
  const done = DONE.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const left = photos.filter(isLeft).length;
  const [made, all] = of.proposals ?? [0, 0];
  const far = made < all && !of.asked ? ` ${made} of ${all}` : "";
  const going = made < all || of.asked ? ` · proposing${far}` : "";
  $("#counts").textContent = photos.length ? `${done} accepted · ${left} left${going}` : "";
}

let heard = null;

// What is new of what the server says is shown above, too, the same line again as well.
function remark(line, spoken) {
  $("#said").textContent = line;
  if (line && heard !== null && spoken !== heard) complain(line, { mild: true, proposals: true });
  heard = spoken;
}

// Masks that are there already, which nobody has taken.
const found = () => app.state.photos.filter((p) => p.found && ["new", "marked"].includes(p.status));

function existing() {
  const { length } = found();
  $("#found").hidden = !length;
  const have = counted(length, "photo has a mask", "photos have masks");
  $("#found p").textContent = `${have} already. Take as:`;
}

function pressed() {
  for (const one of $$("[data-tool]")) {
    one.setAttribute("aria-pressed", one.dataset.tool === app.tool);
  }
  for (const one of $$(".switch [data-mode]")) {
    one.setAttribute("aria-pressed", one.dataset.mode === app.mode);
  }
  $("#eye").setAttribute("aria-pressed", app.visible);
  document.body.dataset.mode = app.mode;
  document.body.dataset.tool = app.tool;
}

function show() {
  offer();
  buttons();
  caption();
  progress();
  existing();
}

function wire() {
  for (const kind of ["accept", "reject", "none", "reopen"]) {
    $(`#${kind}`).onclick = () => decide(kind);
  }
  $("#propose").onclick = propose;
  $("#next").onclick = next;
  $("#undo").onclick = undo;
  $("#redo").onclick = redo;
  $("#previous").onclick = () => step(-1);
  $("#following").onclick = () => step(1);
  for (const one of $$("#found button")) {
    const as = one.dataset.as;
    one.onclick = () => found().forEach((p) => act("import", { photo: p.id, as }));
  }
  $("#eye").onclick = () => set("visible", !app.visible);
  $("#size").oninput = (event) => set("size", Number(event.target.value));
  $("#opacity").oninput = (event) => set("opacity", event.target.value / 100);
  $("#error .bare").onclick = () => complain("");
  $("#draw-background").onclick = () => {
    set("tool", "brush");
    set("chosen", BACKGROUND);
    complain("");
  };
  for (const one of $$("[data-tool]")) one.onclick = () => set("tool", one.dataset.tool);
  for (const one of $$(".switch [data-mode]")) {
    one.onclick = () => set("mode", one.dataset.mode);
  }
}

export function start() {
  wire();
  for (const what of ["state", "picture"]) on(what, show);
  for (const what of ["tool", "mode", "visible"]) {
    on(what, () => {
      pressed();
      caption();
    });
  }
  on("acknowledged", anew);
  on("acknowledged", ({ actions, refused }) => {
    const back = actions.find((a) => a.kind === "accept" && refused.has(a.id));
    if (back) set("photo", back.photo); // to be looked at again
  });
  on("size", (value) => ($("#size").value = value));
  on("pending", (count) => {
    $("#unsaved").textContent = count > 1
      ? `${counted(count, "action is", "actions are")} on the way.`
      : "";
  });
  let lost = false;
  on("lost", (line) => {
    lost = true;
    complain(line);
  });
  on("reached", () => {
    if (lost) complain("");
    lost = false;
  });
  on("picture", () => {
    const found = uncertain();
    if (picture.image && found) load(found.id).catch(() => {});
    draw();
  });
}
