// What is selected lives here and goes to the page as one list: a later list replaces an earlier one, so
// that quick clicks cannot be lost on the way.
const views = new WeakMap();

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text; // never as HTML: names, titles and authors come from strangers
  return made;
}

function isOfTheWeb(address) {
  return /^https?:\/\//i.test(address);
}

function list(rows) {
  const made = element("dl", "");
  for (const { label, text, address } of rows) {
    const value = element("dd", "");
    if (isOfTheWeb(address)) {
      const link = element("a", text);
      link.href = address;
      link.target = "_blank";
      link.rel = "noopener noreferrer nofollow";
      value.append(link);
    } else value.textContent = text;
    made.append(element("dt", label), value);
  }
  return made;
}

export default function ({ data, parentElement, setStateValue }) {
  const { images, texts } = data;
  const grid = parentElement.querySelector(".grid");
  const drawn = images.map((image) => image.id).join();
  const before = views.get(grid);
  if (before?.drawn === drawn) {
    // The page ran again with the same images: tiles, and with them the focus, stay.
    before.setStateValue = setStateValue;
    return;
  }
  const bar = parentElement.querySelector(".bar");
  const dialog = parentElement.querySelector("dialog");
  const shown = new Set(images.map((image) => image.id));
  // Images that were moved away are no longer selected; all others still are.
  const selected = new Set([...(before?.selected ?? [])].filter((id) => shown.has(id)));
  const view = { drawn, selected, setStateValue };
  views.set(grid, view);
  let last = 0;

  const tiles = images.map((image, index) => {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "tile";
    tile.tabIndex = index === 0 ? 0 : -1;
    tile.title = image.name;
    const image = document.createElement("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.src = image.thumbnail;
    image.alt = image.name;
    tile.append(image);
    return tile;
  });
  grid.setAttribute("aria-label", texts.grid);
  grid.replaceChildren(...tiles);

  const button = (text, act) => {
    const made = element("button", text);
    made.type = "button";
    made.onclick = act;
    return made;
  };
  const count = element("span", "", "count");
  count.setAttribute("role", "status");
  const help = element("span", texts.help, "help");
  bar.replaceChildren(
    count,
    button(texts.all, () => { shown.forEach((id) => selected.add(id)); tell(); }),
    button(texts.none, () => { selected.clear(); tell(); }),
    help,
  );

  function draw() {
    tiles.forEach((tile, index) => tile.setAttribute("aria-pressed", selected.has(images[index].id)));
    count.textContent = texts.selected.replace("{count}", selected.size);
  }
  function tell() {
    draw();
    view.setStateValue("selected", [...selected]);
  }
  function toggle(index, range) {
    const on = !selected.has(images[index].id);
    const [from, to] = range ? [Math.min(last, index), Math.max(last, index)] : [index, index];
    for (let at = from; at <= to; at++) {
      if (range || on) selected.add(images[at].id);
      else selected.delete(images[at].id);
    }
    last = index;
    tell();
  }
  function focus(index) {
    const at = Math.max(0, Math.min(tiles.length - 1, index));
    tiles.forEach((tile, each) => { tile.tabIndex = each === at ? 0 : -1; });
    tiles[at]?.focus();
  }
  function enlarge(image) {
    const image = document.createElement("img");
    image.src = image.address;
    image.alt = image.name;
    const details = element("div", texts.loading, "details");
    details.setAttribute("aria-live", "polite");
    const footer = element("footer", "");
    footer.append(button(texts.close, () => dialog.close()));
    dialog.setAttribute("aria-label", image.name);
    dialog.replaceChildren(image, details, footer);
    dialog.showModal();
    fetch(image.details)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(answer.status))))
      .then(({ facts, places }) => {
        const heading = element("h2", texts.places);
        details.replaceChildren(list(facts), heading, ...places.map(list));
      })
      .catch(() => { details.textContent = texts.lost; });
  }

  grid.onclick = (event) => {
    const index = tiles.indexOf(event.target.closest(".tile"));
    if (index >= 0) { focus(index); toggle(index, event.shiftKey); }
  };
  grid.ondblclick = (event) => {
    const index = tiles.indexOf(event.target.closest(".tile"));
    if (index >= 0) enlarge(images[index]);
  };
  grid.onkeydown = (event) => {
    const index = tiles.indexOf(event.target.closest(".tile"));
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.key in steps) focus(index + steps[event.key]);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(tiles.length - 1);
    else if (["i", "z"].includes(event.key.toLowerCase()) && !event.ctrlKey && !event.metaKey) enlarge(images[index]);
    else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      shown.forEach((id) => selected.add(id));
      tell();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  draw();
}
