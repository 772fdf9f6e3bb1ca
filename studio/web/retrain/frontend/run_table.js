// The project's runs: which are drawn, which is looked at, and what they were told and came to. What is the same for all
// of them stands above the table in one line, so that its columns show how they differ.
const FIXED_COLUMNS = ["accuracy", "validation", "images", "seconds", "created"];

// board: { runs, columns, drawn (a Set of ids), opened (an id), draw(run, on), open(run) }.
function makeRunTable({ texts, board }) {
  let sort = { key: "created", down: true }, words = [];
  const search = element("input", {
    type: "search", placeholder: texts.filter, "aria-label": texts.filter, maxLength: 200,
    oninput: () => { words = search.value.toLowerCase().split(/\s+/).filter(Boolean); draw(); },
  });
  const count = element("span", { className: "note", role: "status" });
  const same = element("p", { className: "note same" });
  const head = element("tr", {});
  const body = element("tbody", {});
  const table = element("table", { className: "runs", "aria-label": texts.runs }, element("thead", {}, head), body);
  const gone = element("details", { className: "gone", hidden: true }, element("summary", {}), element("ul", {}));
  const listing = element("div", {}, element("div", { className: "list-bar" }, search, count), same,
    element("div", { className: "scrolled" }, table));
  const root = element("section", { className: "run-list" }, listing, gone);
  const lines = new Map(); // the row of each run, so that the focus stays where it is

  const textOf = (run, key) => run.cells[key]?.text ?? "—";
  const valueOf = (run, key) => (key === "title" ? run.title.toLowerCase() : run.cells[key]?.sort ?? null);
  const isFound = (run) => {
    const said = [run.title, run.note, run.state_text, ...Object.entries(run.cells)
      .flatMap(([key, cell]) => [board.labelOf(key), cell.text])].join(" ").toLowerCase();
    return words.every((word) => said.includes(word));
  };

  function columns() {
    const settings = board.columns.filter(({ key }) => !FIXED_COLUMNS.includes(key));
    const differing = settings.filter(({ key }) => new Set(board.runs.map((run) => textOf(run, key))).size > 1);
    const shared = board.runs.length > 1 ? settings.filter((each) => !differing.includes(each)) : [];
    const [only] = board.runs;
    const shown = board.runs.length > 1 ? differing : settings.filter(({ key }) => only && !board.isDefault(only, key));
    return {
      shared: shared.filter(({ key }) => board.runs.length && !board.isDefault(board.runs[0], key)),
      shown: [...FIXED_COLUMNS.map((key) => board.columns.find((each) => each.key === key)), ...shown],
    };
  }

  function draw() {
    const { shared, shown } = columns();
    const titles = [{ key: "title", label: texts.run }, ...shown];
    const focused = root.getRootNode().activeElement?.dataset?.sort;
    head.replaceChildren(element("th", { scope: "col" }, element("span", { className: "live" }, texts.draw)),
      ...titles.map(({ key, label }) => {
        const sorted = sort.key === key;
        const made = button(label, () => {
          sort = { key, down: sorted ? !sort.down : key !== "title" };
          draw();
        }, { className: "sorter" });
        made.dataset.sort = key;
        if (sorted) made.append(element("span", { "aria-hidden": "true" }, sort.down ? " ↓" : " ↑"));
        const way = sort.down ? "descending" : "ascending";
        return element("th", { scope: "col", "aria-sort": sorted ? way : "none" }, made);
      }));
    if (focused) head.querySelector(`[data-sort="${focused}"]`)?.focus();
    const found = board.runs.filter(isFound)
      .sort((one, other) => compared(valueOf(one, sort.key), valueOf(other, sort.key)));
    body.replaceChildren(...found.map((run) => line(run, shown)));
    for (const id of lines.keys()) if (!board.runs.some((run) => run.id === id)) lines.delete(id);
    count.textContent = found.length === board.runs.length ? counted(texts.count, found.length)
      : filled(texts.some, { shown: formatted(found.length), count: formatted(board.runs.length) });
    same.hidden = !shared.length;
    same.textContent = filled(texts.same, {
      settings: shared.map(({ key, label }) => `${label} ${textOf(board.runs[0], key)}`).join(" · "),
    });
    listing.hidden = !board.runs.length;
    gone.hidden = !board.deleted.length;
    gone.firstChild.textContent = counted(texts.deleted, board.deleted.length);
    gone.lastChild.replaceChildren(...board.deleted.map(({ id, title }) => element("li", {}, element("span", {}, title),
      button(texts.bring_back, () => board.act("bring_back", id), { className: "quiet" }))));
  }

  function compared(one, other) {
    if (one === other) return 0;
    if (one === null || other === null) return one === null ? 1 : -1; // what is not known stands last
    return (one < other ? -1 : 1) * (sort.down ? -1 : 1);
  }

  function line(run, shown) {
    if (!lines.has(run.id)) {
      const box = element("input", { type: "checkbox", onchange: () => board.draw(run.id, box.checked) });
      const name = button("", () => board.open(run.id), { className: "run-name" });
      const row = element("tr", {}, element("td", {}, box), element("th", { scope: "row" }, name));
      row.onclick = (event) => { if (!event.target.closest("button, input")) board.open(run.id); };
      lines.set(run.id, { row, box, name });
    }
    const { row, box, name } = lines.get(run.id);
    const drawn = board.drawn.has(run.id);
    box.checked = drawn;
    box.style.accentColor = board.colourOf(run.id);
    box.setAttribute("aria-label", filled(texts.draw_run, { run: run.title }));
    name.replaceChildren(...[swatch(drawn ? board.colourOf(run.id) : "transparent"), element("span", {}, run.title),
      run.state !== "done" && element("span", { className: `state ${run.state}` }, run.state_text),
      run.note && element("span", { className: "has-note", title: run.note }, "✎")].filter(Boolean));
    name.setAttribute("aria-pressed", board.opened === run.id);
    row.className = board.opened === run.id ? "opened" : "";
    while (row.children.length > 2) row.lastChild.remove();
    row.append(...shown.map(({ key }) => (
      element("td", { className: run.cells[key]?.best ? "best" : "" }, textOf(run, key)))));
    return row;
  }

  return { element: root, draw };
}
