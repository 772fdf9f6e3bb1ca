// The map's legend, which is its filter too: a class is hidden and shown by its row, pointing at it makes all others
// faint, and its mark says what its colour says.

// onHide(hidden: Set of class ids), onPoint(class id or null).
function makeLegend({ texts, onHide, onPoint }) {
  const hidden = new Set();
  const list = element("ul", { className: "map-classes" });
  const all = button(texts.all, () => { hidden.clear(); told(); }, { className: "map-all" });
  const legend = element("section", { className: "map-legend", "aria-label": texts.legend },
    element("header", {}, element("h3", {}, texts.legend), all), list,
    element("p", { className: "map-hint" }, texts.legend_help));
  let rows = [], drawn = "", drawnLooks = "";

  function told() {
    mark();
    onHide(hidden);
  }

  function toggle(id) {
    if (!hidden.delete(id)) hidden.add(id);
    told();
  }

  function only(id) {
    const others = rows.filter((row) => row.id !== id);
    const alone = !hidden.has(id) && others.every((row) => hidden.has(row.id));
    hidden.clear();
    if (!alone) others.forEach((row) => hidden.add(row.id));
    told();
  }

  function mark() {
    all.disabled = hidden.size === 0;
    rows.forEach((row, at) => {
      const [toggler] = list.children[at].children;
      toggler.setAttribute("aria-pressed", !hidden.has(row.id));
    });
  }

  // rows: [{ id, name, path, colour, hollow, faint, count }] in their order. Is called for every frame.
  function draw(newRows) {
    const signature = JSON.stringify(newRows);
    if (signature === drawn) return;
    const looks = JSON.stringify(newRows.map((row) => ({ ...row, count: 0 })));
    rows = newRows;
    drawn = signature;
    if (looks !== drawnLooks) {
      drawnLooks = looks;
      const focused = [...list.querySelectorAll("button")].indexOf(legend.getRootNode().activeElement);
      list.replaceChildren(...rows.map(item));
      for (const id of hidden) if (!rows.some((row) => row.id === id)) hidden.delete(id);
      list.querySelectorAll("button")[focused]?.focus();
    }
    rows.forEach((row, at) => {
      list.children[at].querySelector(".map-count").textContent = formatted(row.count);
    });
    mark();
  }

  function item(row) {
    const toggler = button("", () => toggle(row.id), { className: "map-class", title: row.name });
    toggler.append(
      markOf(row),
      element("span", { className: "map-name" }, row.name),
      element("span", { className: "map-count" }),
    );
    const alone = button(texts.only, () => only(row.id), {
      className: "map-only", "aria-label": filled(texts.only_class, { name: row.name }),
    });
    const made = element("li", {}, toggler, alone);
    made.onpointerenter = ({ pointerType }) => { if (pointerType === "mouse") onPoint(row.id); };
    made.onpointerleave = () => onPoint(null);
    made.onfocusin = ({ target }) => { if (target.matches(":focus-visible")) onPoint(row.id); };
    made.onfocusout = () => onPoint(null);
    return made;
  }

  return { element: legend, draw, hidden };
}

// A class's mark as a small image, for legends and labels.
function markOf({ path, colour, hollow = false, faint = false }) {
  const made = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [each, value] of Object.entries(attributes)) node.setAttribute(each, value);
    return node;
  };
  const svg = made("svg", { viewBox: "-1.5 -1.5 3 3", class: "map-mark", "aria-hidden": "true" });
  const look = hollow ? { fill: "none", stroke: colour, "stroke-width": 0.4 } : { fill: colour };
  svg.append(made("path", { d: path, opacity: faint ? 0.5 : 1, ...look }));
  return svg;
}
