// The table of a project's runs, with their settings and results. What is the same for all of them stands above the table
// in one line, so that its columns show how they differ.
import { button, element, fillText, formatNumber, pluralText, rootOf } from "../../../share/web_demo/page/dom.js";
import { NO_VALUE, swatch } from "./formats.js";

/** @import { RunsPanel } from "./runs_panel.js" */
/** @import { RunsTexts } from "./texts.js" */
/** @import { Column, Run } from "./types.js" */

const FIXED_COLUMNS = ["accuracy", "validation", "images", "seconds", "created"];

/** @param {{ texts: RunsTexts["table"], panel: RunsPanel }} options */
export function makeRunTable({ texts, panel }) {
  let sort = { key: "created", isDescending: true };
  /** @type {string[]} */
  let searched = [];
  const search = element("input", {
    type: "search", placeholder: texts.filter, "aria-label": texts.filter, maxLength: 200,
    oninput: () => {
      searched = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      draw();
    },
  });
  const count = element("span", { className: "note", role: "status" });
  const same = element("p", { className: "note same" });
  const head = element("tr");
  const body = element("tbody");
  const table = element("table", { className: "runs", "aria-label": texts.runs }, element("thead", {}, head), body);
  const deletedTitle = element("summary"), deletedList = element("ul");
  const deleted = element("details", { className: "deleted-runs", hidden: true }, deletedTitle, deletedList);
  const listing = element("div", {}, element("div", { className: "list-bar" }, search, count), same,
    element("div", { className: "scrolled" }, table));
  const root = element("section", { className: "run-list" }, listing, deleted);
  /**
   * The row of each run, so that the focus stays where it is.
   * @type {Map<number, { row: HTMLTableRowElement, box: HTMLInputElement, name: HTMLButtonElement }>}
   */
  const rows = new Map();

  /**
   * @param {Run} run
   * @param {string} key
   */
  const textOf = (run, key) => run.cells[key]?.text ?? NO_VALUE;
  /**
   * @param {Run} run
   * @param {string} key
   */
  const sortValue = (run, key) => (key === "title" ? run.title.toLowerCase() : run.cells[key]?.sort ?? null);
  /** @param {Run} run */
  const matchesSearch = (run) => {
    const text = [run.title, run.note, run.state_text, ...Object.entries(run.cells)
      .flatMap(([key, cell]) => [panel.columnLabel(key), cell?.text])].join(" ").toLowerCase();
    return searched.every((word) => text.includes(word));
  };

  /** Return the columns whose values all runs share, and those that are shown. */
  function columns() {
    const { runs } = panel;
    const settings = panel.columns.filter(({ key }) => !FIXED_COLUMNS.includes(key));
    const differing = settings.filter(({ key }) => new Set(runs.map((run) => textOf(run, key))).size > 1);
    const isSingle = runs.length <= 1;
    const shown = isSingle ? settings.filter(({ key }) => runs.length && !panel.isDefault(runs[0], key)) : differing;
    const shared = isSingle ? [] : settings.filter((each) => !differing.includes(each));
    const fixed = FIXED_COLUMNS.map((key) => panel.columns.find((each) => each.key === key));
    return {
      shared: shared.filter(({ key }) => !panel.isDefault(runs[0], key)),
      shown: [...fixed.filter((each) => each !== undefined), ...shown],
    };
  }

  function draw() {
    const { runs } = panel;
    const { shared, shown } = columns();
    drawHead(shown);
    const found = runs.filter(matchesSearch)
      .sort((one, other) => compare(sortValue(one, sort.key), sortValue(other, sort.key)));
    body.replaceChildren(...found.map((run) => drawnRow(run, shown)));
    for (const id of rows.keys()) if (!runs.some((run) => run.id === id)) rows.delete(id);
    count.textContent = found.length === runs.length ? pluralText(texts.count, found.length)
      : fillText(texts.some, { shown: formatNumber(found.length), count: formatNumber(runs.length) });
    same.hidden = !shared.length;
    same.textContent = fillText(texts.same, {
      settings: shared.map(({ key, label }) => `${label} ${textOf(runs[0], key)}`).join(" · "),
    });
    listing.hidden = !runs.length;
    deleted.hidden = !panel.deleted.length;
    deletedTitle.textContent = pluralText(texts.deleted, panel.deleted.length);
    deletedList.replaceChildren(...panel.deleted.map(({ id, title }) => element("li", {}, element("span", {}, title),
      button(texts.bring_back, () => panel.act("bring_back", id), { className: "quiet" }))));
  }

  /** @param {Column[]} shown */
  function drawHead(shown) {
    const { activeElement } = rootOf(root);
    const focused = activeElement instanceof HTMLElement ? activeElement.dataset.sort : undefined;
    head.replaceChildren(element("th", { scope: "col" }, element("span", { className: "live" }, texts.draw)),
      ...[{ key: "title", label: texts.run }, ...shown].map(({ key, label }) => {
        const isSorted = sort.key === key;
        const sorter = button(label, () => {
          sort = { key, isDescending: isSorted ? !sort.isDescending : key !== "title" };
          draw();
        }, { className: "sorter" });
        sorter.dataset.sort = key;
        if (isSorted) sorter.append(element("span", { "aria-hidden": "true" }, sort.isDescending ? " ↓" : " ↑"));
        const direction = sort.isDescending ? "descending" : "ascending";
        return element("th", { scope: "col", "aria-sort": isSorted ? direction : "none" }, sorter);
      }));
    const sorter = focused ? head.querySelector(`[data-sort="${focused}"]`) : null;
    if (sorter instanceof HTMLElement) sorter.focus();
  }

  /**
   * @param {string | number | null} one
   * @param {string | number | null} other
   */
  function compare(one, other) {
    if (one === other) return 0;
    if (one === null || other === null) return one === null ? 1 : -1; // what is not known stands last
    return (one < other ? -1 : 1) * (sort.isDescending ? -1 : 1);
  }

  /** @param {number} id */
  function makeRow(id) {
    const box = element("input", { type: "checkbox", onchange: () => panel.setDrawn(id, box.checked) });
    const name = button("", () => panel.open(id), { className: "run-name" });
    const row = element("tr", {}, element("td", {}, box), element("th", { scope: "row" }, name));
    row.onclick = ({ target }) => {
      if (!(target instanceof Element && target.closest("button, input"))) panel.open(id);
    };
    return { row, box, name };
  }

  /**
   * @param {Run} run
   * @param {Column[]} shown
   */
  function drawnRow(run, shown) {
    const parts = rows.get(run.id) ?? makeRow(run.id);
    rows.set(run.id, parts);
    const { row, box, name } = parts;
    const isDrawn = panel.drawn.has(run.id);
    box.checked = isDrawn;
    box.style.accentColor = panel.colourOf(run.id);
    box.setAttribute("aria-label", fillText(texts.draw_run, { run: run.title }));
    name.replaceChildren(swatch(isDrawn ? panel.colourOf(run.id) : "transparent"), element("span", {}, run.title),
      ...(run.state === "done" ? [] : [element("span", { className: `state ${run.state}` }, run.state_text)]),
      ...(run.note ? [element("span", { className: "has-note", title: run.note }, "✎")] : []));
    name.setAttribute("aria-pressed", `${panel.opened === run.id}`);
    row.className = panel.opened === run.id ? "opened" : "";
    while (row.children.length > 2) row.lastChild?.remove();
    row.append(...shown.map(({ key }) => (
      element("td", { className: run.cells[key]?.best ? "best" : "" }, textOf(run, key)))));
    return row;
  }

  return { element: root, draw };
}
