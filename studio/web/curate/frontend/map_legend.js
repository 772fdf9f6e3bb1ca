// The map's legend, which is its filter too: a class is hidden and shown by its row, pointing at it makes all others
// faint, and its mark says what its colour says.
import { classMark } from "../../components/class_appearance.js";
import { button, element, fillText, formatNumber, rootOf } from "../../../share/web_demo/page/dom.js";

/** @import { Appearance } from "../../components/class_appearance.js" */
/** @import { CurateTexts } from "./texts.js" */

/** @typedef {Appearance & { id: number, count: number }} LegendEntry */

/**
 * @param {{
 *   texts: CurateTexts["map"], onHide: (hidden: Set<number>) => void, onPoint: (classId: number | null) => void,
 * }} options
 */
export function makeLegend({ texts, onHide, onPoint }) {
  /** @type {Set<number>} */
  const hidden = new Set();
  const list = element("ul", { className: "map-classes" });
  const all = button(texts.all, () => {
    hidden.clear();
    publish();
  }, { className: "map-all" });
  const legend = element("section", { className: "map-legend", "aria-label": texts.legend },
    element("header", {}, element("h3", {}, texts.legend), all), list,
    element("p", { className: "map-hint" }, texts.legend_help));
  /** @type {LegendEntry[]} */
  let entries = [];
  /** @type {{ toggle: HTMLButtonElement, count: HTMLElement }[]} */
  let rows = [];
  let drawn = "", drawnRows = "";

  function publish() {
    drawHidden();
    onHide(hidden);
  }

  /** @param {number} id */
  function toggle(id) {
    if (!hidden.delete(id)) hidden.add(id);
    publish();
  }

  /**
   * Hide all other classes, or show them again.
   * @param {number} id
   */
  function showOnly(id) {
    const others = entries.filter((entry) => entry.id !== id);
    const isAlone = !hidden.has(id) && others.every((entry) => hidden.has(entry.id));
    hidden.clear();
    if (!isAlone) for (const entry of others) hidden.add(entry.id);
    publish();
  }

  function drawHidden() {
    all.disabled = hidden.size === 0;
    rows.forEach((row, at) => { row.toggle.setAttribute("aria-pressed", `${!hidden.has(entries[at].id)}`); });
  }

  /**
   * Draw entries in their order. Is called for every frame.
   * @param {LegendEntry[]} newEntries
   */
  function draw(newEntries) {
    const signature = JSON.stringify(newEntries);
    if (signature === drawn) return;
    const withoutCounts = JSON.stringify(newEntries.map((entry) => ({ ...entry, count: 0 })));
    entries = newEntries;
    drawn = signature;
    if (withoutCounts !== drawnRows) {
      drawnRows = withoutCounts;
      const { activeElement } = rootOf(legend);
      const focused = activeElement instanceof HTMLButtonElement
        ? [...list.querySelectorAll("button")].indexOf(activeElement) : -1;
      rows = [];
      list.replaceChildren(...entries.map(makeRow));
      for (const id of hidden) if (!entries.some((entry) => entry.id === id)) hidden.delete(id);
      list.querySelectorAll("button")[focused]?.focus();
    }
    rows.forEach((row, at) => { row.count.textContent = formatNumber(entries[at].count); });
    drawHidden();
  }

  /** @param {LegendEntry} entry */
  function makeRow(entry) {
    const count = element("span", { className: "map-count" });
    const toggler = element("button", {
      type: "button", className: "map-class", title: entry.name, onclick: () => toggle(entry.id),
    }, classMark(entry), element("span", { className: "map-name" }, entry.name), count);
    rows.push({ toggle: toggler, count });
    const only = button(texts.only, () => showOnly(entry.id), {
      className: "map-only", "aria-label": fillText(texts.only_class, { name: entry.name }),
    });
    const row = element("li", {}, toggler, only);
    row.onpointerenter = ({ pointerType }) => { if (pointerType === "mouse") onPoint(entry.id); };
    row.onpointerleave = () => onPoint(null);
    row.addEventListener("focusin", ({ target }) => {
      if (target instanceof Element && target.matches(":focus-visible")) onPoint(entry.id);
    });
    row.addEventListener("focusout", () => onPoint(null));
    return row;
  }

  return { element: legend, draw };
}
