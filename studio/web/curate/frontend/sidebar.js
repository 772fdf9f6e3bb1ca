// The sidebar: states, classes and findings, each with its count. A click filters by one; what is dragged onto a state
// or a class becomes it.
import { classAppearance, classMark } from "../../components/class_appearance.js";
import { button, element, formatNumber, rootOf } from "../../../share/web_demo/page/dom.js";
import { FINDINGS } from "./filters.js";
import { keyOfClass } from "./keyboard_shortcuts.js";

/** @import { CurateTexts } from "./texts.js" */
/** @import { Counts, Filter, Query } from "./types.js" */

/**
 * dropTarget: as CurateView.drop takes it; key: the class's key.
 * @typedef {{
 *   name: string, count: number, filter: Filter, isCurrent: boolean, sign: Node,
 *   order?: string, dropTarget?: string, key?: string,
 * }} Entry
 */

/** @type {Record<string, string>} */
const STATE_SIGNS = { unlabelled: "○", labelled: "●", rejected: "✕" };
const SIDEBAR_FILTERS = ["state", "class", "suggested", "found", "copies", "clash"];

/**
 * @param {{
 *   texts: CurateTexts["side"], states: CurateTexts["states"], findings: Record<string, string>,
 *   show: (filter: Filter, order: string) => void, openClasses: () => void,
 * }} options
 */
export function makeSidebar({ texts, states, findings, show, openClasses }) {
  const stateList = element("ul");
  const classList = element("ul");
  const findingList = element("ul");
  const findingGroup = group(texts.found, findingList);
  const note = element("p", { className: "note" }, texts.not_yet);
  const sidebar = element("nav", { className: "sidebar", "aria-label": texts.side },
    group(texts.states, stateList),
    group(texts.classes, classList, button(texts.edit, openClasses, { className: "quiet" })), findingGroup, note);
  let drawn = "";
  /** @type {Element | null} */
  let hovered = null;

  /**
   * @param {string} title
   * @param {HTMLElement} list
   * @param {...Node} more
   */
  function group(title, list, ...more) {
    return element("section", { className: "group" }, element("header", {}, element("h2", {}, title), ...more), list);
  }

  /** @param {Entry} entry */
  function row({ name, count, filter, order = "newest", sign, dropTarget, key, isCurrent }) {
    const created = element("button", {
      type: "button", className: "sidebar-entry", "aria-pressed": isCurrent, onclick: () => show(filter, order),
      title: name,
    }, sign, element("span", { className: "name" }, name), Boolean(key) && element("kbd", {}, key),
    element("span", { className: "count" }, formatNumber(count)));
    if (dropTarget) created.dataset.drop = dropTarget;
    return element("li", {}, created);
  }

  /**
   * @param {Counts} counts
   * @param {Query} query  what is shown now
   */
  function draw(counts, query) {
    const isOther = query.chosen || query.filter.run;
    const current = Object.fromEntries(SIDEBAR_FILTERS.map((name) => [name, isOther ? "other" : query.filter[name] ?? ""]));
    /** @param {Filter} filter */
    const isCurrent = (filter) => SIDEBAR_FILTERS.every((name) => current[name] === (filter[name] ?? ""));
    const signature = JSON.stringify([counts, current]);
    if (signature === drawn) return;
    drawn = signature;
    const { activeElement } = rootOf(sidebar);
    const focused = activeElement instanceof HTMLButtonElement
      ? [...sidebar.querySelectorAll("button")].indexOf(activeElement) : -1;
    stateList.replaceChildren(...stateEntries(counts).map((entry) => row({ ...entry, isCurrent: isCurrent(entry.filter) })));
    classList.replaceChildren(...counts.classes.map((each) => {
      const filter = { class: `${each.id}` };
      return row({
        name: each.name, count: each.count, filter, isCurrent: isCurrent(filter),
        sign: classMark(classAppearance(each)), dropTarget: `class:${each.id}`, key: keyOfClass(counts.classes, each),
      });
    }));
    if (!counts.classes.length) classList.append(element("li", { className: "hint" }, texts.no_classes));
    const found = FINDINGS.map((finding) => ({ ...finding, count: findingCount(counts, finding.name) }))
      .filter(({ count }) => count > 0);
    findingList.replaceChildren(...found.map(({ name, sign, filter, order, count }) => row({
      name: findings[name], count, filter, order, isCurrent: isCurrent(filter),
      sign: element("span", { className: `sign ${name}` }, sign),
    })));
    findingGroup.hidden = !found.length;
    note.hidden = Object.keys(counts.studies ?? {}).length > 0;
    sidebar.querySelectorAll("button")[focused]?.focus();
  }

  /** @param {Counts} counts */
  function stateEntries(counts) {
    const { unlabelled, labelled, rejected } = counts;
    return /** @type {const} */ ([
      ["all", labelled + unlabelled + rejected], ["unlabelled", unlabelled], ["labelled", labelled], ["rejected", rejected],
    ]).map(([state, count]) => ({
      name: states[state], count, filter: /** @type {Filter} */ (state === "all" ? {} : { state }),
      sign: element("span", { className: "sign" }, STATE_SIGNS[state] ?? "◎"),
      dropTarget: ["unlabelled", "rejected"].includes(state) ? `state:${state}` : "",
    }));
  }

  /**
   * Mark the entry that what is dragged would go to.
   * @param {Element | null} entry
   */
  function highlight(entry) {
    if (entry === hovered) return;
    hovered?.classList.remove("over");
    entry?.classList.add("over");
    hovered = entry;
  }

  return { element: sidebar, draw, highlight };
}

/**
 * @param {Counts} counts
 * @param {string} name
 */
function findingCount(counts, name) {
  return name === "clash" ? counts.clashes ?? 0 : counts.findings?.[name] ?? 0;
}
