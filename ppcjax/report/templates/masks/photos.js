{
  // The list of all photos: sorted, chosen and shown a page at a time, so that no more
  // pictures are loaded than are seen.
  const all = data.photos;
  const section = document.getElementById("photos");
  const by = (id) => document.getElementById(id);

  function make(tag, kind, text = "") {
    const made = document.createElement(tag);
    made.className = kind;
    made.textContent = text;
    return made;
  }

  // Python quoted the names that are no address as they are.
  const address = (kind, at, suffix) => `${kind}/${all.path[at] ?? all.name[at]}${suffix}`;

  function link(text, href) {
    const made = make("a", "", text);
    made.href = href;
    return made;
  }

  function areasOf(at) {
    const list = make("ul", "shares");
    const seen = all.areas[at].filter(([id]) => id !== 0 || !data.background);
    for (const [id, share] of seen.slice(0, 4)) {
      const item = make("li", "");
      const chip = make("span", "chip");
      chip.style.background = `rgb(${data.palette[id]})`;
      const text = share === 0 ? "<0.1" : (share / 10).toFixed(1);
      item.append(chip, `${data.classes[id]} ${text} %`);
      list.append(item);
    }
    if (seen.length > 4) list.append(make("li", "", `and ${seen.length - 4} more`));
    if (!seen.length) list.append(make("li", "", "no class"));
    return list;
  }

  function shot(at) {
    const item = make("li", "");
    const figure = make("figure", "shot");
    figure.dataset.enlarge = "photos";
    figure.dataset.title = all.name[at];
    const picture = make("img", "");
    picture.loading = "lazy";
    picture.alt = `Overlay of ${all.name[at]}`;
    picture.addEventListener("error", () => {
      picture.replaceWith(make("p", "gone", "overlays/ is not beside this page"));
    });
    picture.src = address("overlays", at, ".jpg");
    const caption = make("figcaption", "");
    const numbers = [];
    if (all.iou[at] !== null) numbers.push(`IoU ${(100 * all.iou[at]).toFixed(1)} %`);
    if (all.uncertainty[at] !== null) numbers.push(`uncertainty ${all.uncertainty[at].toFixed(2)}`);
    caption.append(make("span", "numbers", numbers.join(", ")));
    figure.append(picture, caption);
    const name = make("p", "name");
    name.append(link(all.name[at], address("masks", at, ".png")));
    item.append(name, figure, areasOf(at));
    return item;
  }

  const collator = new Intl.Collator("en", { numeric: true });
  const unknownLast = (value, sign) => (value === null ? Infinity : sign * value);
  const ORDERS = {
    uncertainty: (a, b) => unknownLast(all.uncertainty[a], -1) - unknownLast(all.uncertainty[b], -1),
    iou: (a, b) => unknownLast(all.iou[a], 1) - unknownLast(all.iou[b], 1),
    name: (a, b) => collator.compare(all.name[a], all.name[b]),
  };

  let listed = [];
  let page = 0;

  function choose() {
    const only = by("only").value;
    listed = all.name.map((_, at) => at);
    if (only !== "") listed = listed.filter((at) => all.areas[at].some(([id]) => id === Number(only)));
    const order = ORDERS[by("sort").value];
    listed.sort((a, b) => order(a, b) || a - b); // Infinity - Infinity is NaN: by place
    turn(0);
  }

  function turn(to) {
    const last = Math.max(Math.ceil(listed.length / all.per_page) - 1, 0);
    page = Math.min(Math.max(to, 0), last);
    const here = listed.slice(page * all.per_page, (page + 1) * all.per_page);
    by("shots").replaceChildren(...here.map(shot));
    by("page").value = page + 1;
    by("page").max = last + 1;
    by("pages").textContent = `of ${last + 1}, ${listed.length} photos`;
    by("before").disabled = page === 0;
    by("after").disabled = page === last;
  }

  if (section) {
    section.querySelector(".listing").hidden = false;
    for (const id of ["sort", "only"]) by(id).addEventListener("change", choose);
    by("page").addEventListener("change", () => turn(Math.round(Number(by("page").value) || 1) - 1));
    by("before").addEventListener("click", () => turn(page - 1));
    by("after").addEventListener("click", () => turn(page + 1));
    choose();
  }
}
