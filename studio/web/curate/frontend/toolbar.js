// The toolbar above the grid: filters, sort order, tile size and actions; and the bar of what can be done with the
// selection.
import { button, element, fillText, formatNumber, rootOf } from "../../../share/web_demo/page/dom.js";
import { SORT_ORDERS, TOOLBAR_FILTERS, withoutRun } from "./filters.js";
import { MAX_TILE_PX, MIN_TILE_PX } from "./virtual_grid.js";

/** @import { CurateTexts } from "./texts.js" */
/** @import { Counts, Filter, Query } from "./types.js" */
/** @import { VirtualGrid } from "./virtual_grid.js" */

/** @typedef {"undo" | "redo" | "map" | "classes" | "history" | "help"} ToolbarAction */
/** @typedef {Exclude<keyof CurateTexts["selected"], "bar" | "selected">} SelectionAction */

const TYPING_MS = 350;

/**
 * @param {{
 *   texts: CurateTexts["tools"], orders: Record<string, string>, grid: VirtualGrid, query: () => Query,
 *   show: (filter: Filter, order: string) => void, actions: Record<ToolbarAction, () => void>,
 * }} options
 */
export function makeToolbar({ texts, orders, query, show, grid, actions }) {
  /** @param {string} text */
  const labelled = (text) => ({ "aria-label": text, title: text });
  const order = element("select", { ...labelled(texts.order), onchange: () => show(query().filter, order.value) });
  const text = element("input", { type: "search", placeholder: texts.text, "aria-label": texts.text, maxLength: 200 });
  const selects = {
    source: element("select"), licence: element("select"), split: element("select"), suggested: element("select"),
  };
  const fields = {
    source: selects.source, licence: selects.licence, split: selects.split,
    from: element("input", { type: "date" }), to: element("input", { type: "date" }), suggested: selects.suggested,
  };
  const fieldNames = /** @type {(keyof typeof fields)[]} */ (Object.keys(fields));
  const summary = element("summary", {}, texts.filters);
  const panel = element("div", { className: "panel" }, ...fieldNames.map((name) => (
    element("label", {}, element("span", {}, texts[name]), fields[name]))));
  const more = element("details", { className: "filters" }, summary, panel);
  const chips = element("div", { className: "chips", role: "group", "aria-label": texts.filters });
  const size = element("input", {
    type: "range", min: MIN_TILE_PX, max: MAX_TILE_PX, step: 4, value: grid.wantedSide, ...labelled(texts.size),
    oninput: () => grid.resize(Number(size.value)),
  });
  /**
   * @param {Exclude<ToolbarAction, "help">} name
   * @param {string} [sign]
   * @param {string} [title]
   */
  const tool = (name, sign, title) => button(sign ? `${sign} ${texts[name]}` : texts[name], actions[name],
    { className: `tool-${name}`, title: title ?? texts[name] });
  const map = tool("map");
  const bar = element("div", { className: "toolbar", role: "toolbar", "aria-label": texts.toolbar },
    element("div", { className: "toolbar-filters" }, text, more, order,
      element("label", { className: "size" }, element("span", { "aria-hidden": "true" }, "▫"), size,
        element("span", { "aria-hidden": "true" }, "◻"))),
    element("div", { className: "toolbar-actions" }, tool("undo", "↶", "U"), tool("redo", "↷", "Shift+U"), map,
      tool("classes"), tool("history"), button("?", actions.help, { className: "tool-help", ...labelled(texts.help) })));

  /**
   * @param {string} name
   * @param {string} value
   */
  const setFilter = (name, value) => show({ ...query().filter, [name]: value }, query().order);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  text.oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(() => setFilter("text", text.value.trim()), TYPING_MS);
  };
  text.onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    clearTimeout(typing);
    if (event.key === "Escape") text.value = "";
    setFilter("text", text.value.trim());
    grid.element.focus({ preventScroll: true });
    event.preventDefault();
  };
  for (const name of fieldNames) fields[name].onchange = () => setFilter(name, fields[name].value);
  more.onkeydown = (event) => {
    if (event.key !== "Escape" || !more.open) return;
    more.open = false;
    summary.focus();
    event.preventDefault();
  };
  more.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget instanceof Node && !more.contains(relatedTarget)) more.open = false;
  });

  /**
   * @param {HTMLSelectElement} select
   * @param {(readonly [value: string, label: string])[]} entries
   * @param {string} [value]
   */
  function setOptions(select, entries, value = "") {
    const drawn = JSON.stringify(entries);
    if (select.dataset.drawn !== drawn) {
      select.replaceChildren(...entries.map(([each, label]) => element("option", { value: each }, label)));
      select.dataset.drawn = drawn;
    }
    select.value = value;
  }

  /** @param {Query} current */
  function orderOptions({ filter, order: current }) {
    // The images of a run have an order of their own.
    if (filter.run) return [/** @type {const} */ ([current, texts.runs[filter.changed ? "as_found" : "surest"]])];
    const open = SORT_ORDERS.filter((each) => each !== "strongest" || filter.found || current === each);
    return [...open, ...(current === "alike" ? ["alike"] : [])].map((each) => /** @type {const} */ ([each, orders[each]]));
  }

  /**
   * @param {Counts} counts
   * @param {boolean} isMapShown
   */
  function draw(counts, isMapShown) {
    const { filter, order: current, chosen } = query();
    const any = /** @type {const} */ (["", texts.any]);
    order.disabled = Boolean(filter.run);
    setOptions(order, orderOptions(query()), current);
    /** @type {Record<string, string>} */
    const sourceNames = texts.sources;
    setOptions(selects.source, [any, ...(counts.sources ?? []).map((each) => (
      /** @type {const} */ ([each, sourceNames[each] ?? each])))], filter.source);
    setOptions(selects.licence, [any, ["unknown", texts.unknown], ["known", texts.known],
      ...(counts.licences ?? []).map((each) => /** @type {const} */ ([each, each]))], filter.licence);
    setOptions(selects.split, [any, ["training", texts.training], ["validation", texts.validation],
      ["testing", texts.testing]], filter.split);
    setOptions(selects.suggested, [any, ...counts.classes.map(({ id, name }) => (
      /** @type {const} */ ([`${id}`, name])))], filter.suggested);
    fields.from.value = filter.from ?? "";
    fields.to.value = filter.to ?? "";
    if (rootOf(text).activeElement !== text) text.value = filter.text ?? "";
    const active = TOOLBAR_FILTERS.filter((name) => filter[name]);
    const inPanel = active.filter((name) => name !== "text").length;
    summary.textContent = inPanel ? `${texts.filters} · ${inPanel}` : texts.filters;
    const drawn = active.map((name) => chip(`${labelOf(name)}: ${valueText(name, filter)}`, () => setFilter(name, "")));
    if (filter.run) drawn.unshift(chip(runText(filter), () => show(withoutRun(filter), current)));
    if (chosen) drawn.unshift(chip(texts.chosen, () => show({}, "newest")));
    if (current === "alike") drawn.unshift(chip(texts.alike, () => show(filter, "newest")));
    if (drawn.length > 1) drawn.push(button(texts.clear, () => show({}, "newest"), { className: "quiet" }));
    chips.replaceChildren(...drawn);
    chips.hidden = !drawn.length;
    map.setAttribute("aria-pressed", `${isMapShown}`);
  }

  /** @param {string} name */
  function labelOf(name) {
    return texts[/** @type {keyof typeof fields | "text"} */ (name)];
  }

  /**
   * @param {string} name
   * @param {Filter} filter
   */
  function valueText(name, filter) {
    const select = selects[/** @type {keyof typeof selects} */ (name)];
    return select?.selectedOptions[0]?.label ?? filter[name];
  }

  /**
   * Describe the images of a run that are shown.
   * @param {Filter} filter
   */
  function runText({ run, true: trueClass, predicted, wrong, since, changed }) {
    /** @type {Record<string, string>} */
    const names = texts.runs;
    const isRight = trueClass && trueClass === predicted;
    const name = changed || (wrong ? "wrong" : isRight ? "right" : trueClass && predicted ? "taken" : "tested");
    return fillText(names[name], { run, true: trueClass, predicted, since });
  }

  /**
   * @param {string} label
   * @param {() => void} onDrop
   */
  function chip(label, onDrop) {
    return element("button", { type: "button", className: "chip-filter", onclick: onDrop, title: texts.drop },
      element("span", {}, label), element("span", { "aria-hidden": "true" }, " ✕"));
  }

  return { element: bar, chips, draw };
}

/**
 * The bar of actions for the selected images; there only while something is selected.
 * @param {CurateTexts["selected"]} texts
 * @param {Record<SelectionAction, () => void>} actions
 */
export function makeSelectionBar(texts, actions) {
  const count = element("strong", { role: "status" });
  /**
   * @param {SelectionAction} name
   * @param {string} [className]
   */
  const tool = (name, className = "") => button(texts[name], actions[name], { className });
  const keepBest = tool("keep_best");
  const keepLabel = tool("keep_label"), useOther = tool("use_other");
  const bar = element("div", { className: "actions", role: "toolbar", "aria-label": texts.bar, hidden: true },
    count, tool("label", "primary"), tool("accept"), tool("reject"), tool("unlabel"), keepBest, keepLabel, useOther,
    element("span", { className: "space" }), tool("all", "quiet"), tool("none", "quiet"));
  return {
    element: bar,
    /**
     * @param {number} selected
     * @param {Query} query
     */
    draw(selected, { filter, order }) {
      bar.hidden = !selected;
      if (selected) count.textContent = fillText(texts.selected, { count: formatNumber(selected) });
      keepBest.hidden = !filter.copies && order !== "group";
      keepLabel.hidden = useOther.hidden = !filter.clash;
    },
  };
}
