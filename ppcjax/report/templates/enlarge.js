"use strict";
// Pictures marked data-enlarge open large in a dialog: by click, Enter or Space. Arrows
// go to the one before and after it of the same value of data-enlarge, a click on the
// large picture shows it larger still, Escape closes. A marked <figure> shows its
// .stack, <img> or <canvas>, and its caption.
{
  const MARKED = "img[data-enlarge], figure[data-enlarge]";
  const PICTURE = ".stack, img, canvas, svg";
  const OWN_USE = "a, button, input, select, summary, label";

  const pictureOf = (item) => (item.matches("img") ? item : item.querySelector(PICTURE));
  const captionOf = (item) => {
    const caption = item.closest("figure")?.querySelector("figcaption");
    return (caption ?? {}).textContent?.trim() || pictureOf(item)?.alt || "";
  };
  const titleOf = (item) => item.dataset.title || item.closest("[data-title]")?.dataset.title || "";

  // Without this script the pictures are no buttons, so that it marks them as such.
  function mark() {
    for (const item of document.querySelectorAll(MARKED)) {
      const picture = pictureOf(item);
      if (!picture || picture.tabIndex === 0) continue;
      picture.tabIndex = 0;
      picture.setAttribute("role", "button");
      picture.setAttribute("aria-haspopup", "dialog");
      const told = [titleOf(item), captionOf(item)].filter(Boolean).join(", ");
      picture.setAttribute("aria-label", `Enlarge: ${told}`);
    }
  }

  function make(tag, kind, text = "") {
    const made = document.createElement(tag);
    made.className = kind;
    made.textContent = text;
    return made;
  }

  const dialog = make("dialog", "enlarge");
  const stage = make("div", "stage");
  const foot = make("div", "foot");
  const caption = make("p", "caption");
  const buttons = {};
  for (const [name, sign] of [["Previous", "\u2190"], ["Next", "\u2192"], ["Close", "\u00d7"]]) {
    const button = make("button", name.toLowerCase(), sign);
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", name);
    buttons[name] = button;
  }
  foot.append(caption, ...Object.values(buttons));
  dialog.append(stage, foot);
  document.body.append(dialog);

  let group = [];
  let now = 0;
  let larger = false;

  // A copy: the page keeps its own. A copied canvas is empty until it is drawn.
  function copyOf(picture) {
    const copy = picture.cloneNode(true);
    const drawn = [picture, ...picture.querySelectorAll("canvas")];
    for (const [at, canvas] of [copy, ...copy.querySelectorAll("canvas")].entries()) {
      if (canvas.matches("canvas")) canvas.getContext("2d").drawImage(drawn[at], 0, 0);
    }
    for (const part of [copy, ...copy.querySelectorAll("*")]) {
      for (const name of ["id", "tabindex", "role", "loading", "aria-haspopup", "aria-label"]) {
        part.removeAttribute(name);
      }
    }
    return copy;
  }

  function ratioOf(picture) {
    if (picture.naturalWidth) return picture.naturalWidth / picture.naturalHeight;
    const { width, height } = picture.getBoundingClientRect();
    return width / (height || 1);
  }

  // As large as the window allows; larger still where asked, then the box scrolls.
  function fit() {
    const picture = group[now] && pictureOf(group[now]);
    if (!picture) return;
    const ratio = ratioOf(picture);
    const { clientWidth, clientHeight } = stage;
    const width = Math.min(clientWidth, clientHeight * ratio);
    const copy = stage.firstElementChild;
    const natural = picture.naturalWidth ?? 0;
    copy.style.width = `${larger ? Math.max(2 * width, Math.min(natural, 4 * width)) : width}px`;
    copy.style.aspectRatio = String(ratio);
    stage.classList.toggle("larger", larger);
  }

  function show(at) {
    now = (at + group.length) % group.length;
    larger = false;
    const item = group[now];
    // The classes around a picture say how it looks.
    stage.className = `stage ${item.matches("figure") ? item.className : ""}`;
    stage.replaceChildren(copyOf(pictureOf(item)));
    const place = group.length > 1 ? `${now + 1} of ${group.length}` : "";
    caption.textContent = [titleOf(item), captionOf(item), place].filter(Boolean).join(" \u00b7 ");
    fit();
  }

  function open(item) {
    const alike = (other) => other.dataset.enlarge === item.dataset.enlarge;
    const visible = (other) => pictureOf(other)?.getClientRects().length;
    const all = [...document.querySelectorAll(MARKED)];
    group = all.filter((other) => !dialog.contains(other) && alike(other) && visible(other));
    const several = group.length > 1;
    buttons.Previous.hidden = buttons.Next.hidden = !several;
    if (!dialog.open) dialog.showModal();
    show(group.indexOf(item));
    buttons.Close.focus();
  }

  function itemAt(target) {
    const item = target.closest(MARKED);
    if (!item || dialog.contains(item) || target.closest(OWN_USE)) return null;
    return pictureOf(item)?.contains(target) ? item : null;
  }

  document.addEventListener("click", (event) => {
    const item = itemAt(event.target);
    if (item) open(item);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    const item = itemAt(event.target);
    if (!item) return;
    event.preventDefault();
    open(item);
  });

  buttons.Previous.addEventListener("click", () => show(now - 1));
  buttons.Next.addEventListener("click", () => show(now + 1));
  buttons.Close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || group.length < 2) return;
    event.preventDefault();
    show(now + step);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target === stage) return dialog.close();
    if (!stage.contains(event.target)) return;
    larger = !larger;
    fit();
  });
  dialog.addEventListener("close", () => {
    stage.replaceChildren();
    pictureOf(group[now])?.focus();
  });
  addEventListener("resize", () => dialog.open && fit());

  new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
  mark();
}
