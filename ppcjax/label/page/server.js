// Talks with the server: actions that are sent until acknowledged, and its state.

import { app, complain, tell } from "./app.js";

const token = new URLSearchParams(location.search).get("token") ?? "";
const EACH = 1000; // milliseconds from one question for the state to the next
const SOON = 250; // the same, while proposals come
const HIDDEN = 5000; // the same, of a page that nobody sees
const AT_ONCE = 100; // actions in one message
const AWAY = "The server does not answer; trying again.";
const STRANGER =
  "The server does not know this page: open the address that it printed.";

export function url(path, more = {}) {
  return `${path}?${new URLSearchParams({ ...more, token })}`;
}

// The JSON of an answer; throws an Error with a line to show, and its status.
async function answer(reply) {
  const said = await reply.json().catch(() => ({}));
  if (reply.ok) return said;
  const line = said.error ?? `The server answers ${reply.status}.`;
  throw Object.assign(new Error(line), { status: reply.status });
}

export async function get(path, more) {
  return answer(await fetch(url(path, more), { cache: "no-store" }));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Token": token };
  return answer(
    await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }),
  );
}

// ---- actions ----

let place = null; // where they are kept, once the folder is known
let pending = []; // [{action, name of its photo}], in the order in which they go
let sending = null;

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function keep() {
  try {
    if (place) sessionStorage.setItem(place, JSON.stringify(pending));
  } catch {
    complain("This browser keeps no more unsaved marks: leave the page open.");
  }
  tell("pending", pending.length);
}

// What an earlier page of this tab has left; photos may have other numbers now.
function recall() {
  place = `ppcjax:${app.state.folder ?? ""}`;
  const ids = new Map(app.state.photos.map((p) => [p.name, p.id]));
  let left = [];
  try {
    left = JSON.parse(sessionStorage.getItem(place) ?? "[]");
  } catch {
    // a value that is none of ours
  }
  const known = left.filter((l) => l.name === null || ids.has(l.name));
  for (const { action, name } of known) if (name !== null) action.photo = ids.get(name);
  pending.unshift(...known);
  keep();
  flush();
}

// Does something: it is kept, sent, and sent again until the server has it.
export function act(kind, fields = {}) {
  const action = { id: uuid(), kind, ...fields };
  const name = app.photos.get(fields.photo)?.name ?? null;
  pending.push({ action, name });
  keep();
  tell("acted", action);
  flush();
  return action;
}

// Resolves once the server has all that was done.
export function flush() {
  sending ??= send().finally(() => {
    sending = null;
    if (pending.length) flush();
  });
  return sending;
}

const pause = (time) => new Promise((done) => setTimeout(done, time));
const TOO_LARGE = 413;

async function send() {
  let most = AT_ONCE;
  while (pending.length) {
    const batch = pending.slice(0, most).map((p) => p.action);
    try {
      const { refused = [] } = await post("api/actions", { actions: batch });
      if (refused.length) complain(reason(refused.at(-1)));
      drop(batch, new Set(refused.map((r) => r.id)));
    } catch (error) {
      if (error.status !== TOO_LARGE) {
        complain(refusal(error));
        await pause(EACH);
      } else if (batch.length > 1) {
        most = 1; // one of them is the cause
      } else {
        complain(error.message);
        drop(batch, new Set([batch[0].id]));
      }
    }
  }
}

function reason({ id, error }) {
  const name = pending.find((p) => p.action.id === id)?.name;
  return name && !error.startsWith(name) ? `${name}: ${error}` : error;
}

function drop(batch, refused) {
  const ids = new Set(batch.map((a) => a.id));
  pending = pending.filter((p) => !ids.has(p.action.id));
  keep();
  tell("acknowledged", { actions: batch, refused });
  poll();
}

function refusal(error) {
  if (error.status === undefined) return AWAY;
  return [401, 403].includes(error.status) ? STRANGER : error.message;
}

// ---- state ----

let asking = false;
let again = false;
let timer = 0;
let eager = 0; // until when something is about to come

// Asks more often for a while, as something is about to come.
export function expect() {
  eager = performance.now() + 3000;
  poll();
}

function take(state) {
  const first = app.state.version < 0;
  app.state = state;
  app.photos = new Map(state.photos.map((p) => [p.id, p]));
  if (first) recall();
  tell("state", state);
}

// Asks for the state now, and then each second.
export async function poll() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const since = app.state.version < 0 ? {} : { since: app.state.version };
    const state = await get("api/state", since);
    tell("reached");
    if (!state.same) take(state);
  } catch (error) {
    tell("lost", refusal(error));
  }
  asking = false;
  clearTimeout(timer);
  const [made, all] = app.state.progress.proposals ?? [0, 0];
  const soon = made < all || performance.now() < eager;
  timer = setTimeout(poll, again ? 0 : document.hidden ? HIDDEN : soon ? SOON : EACH);
  again = false;
}

addEventListener("beforeunload", (event) => {
  if (pending.length) event.preventDefault(); // a closed tab forgets them
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
