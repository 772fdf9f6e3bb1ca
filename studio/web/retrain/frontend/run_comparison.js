// The comparison of two runs: settings, results, each class, and the images that they were trained on.
import { element, formatNumber, pluralText } from "../../../share/web_demo/page/dom.js";
import { NO_VALUE, percentOrNone } from "./formats.js";

/** @import { Child } from "../../../share/web_demo/page/types.js" */
/** @import { RunsTexts } from "./texts.js" */
/** @import { ComparedRow, GridFilter, ImageChange, RunComparison } from "./types.js" */

/** @typedef {RunsTexts["difference"]} Texts */

const SAME_POINTS = 0.05; // percentage points that round to 0

/**
 * @param {RunComparison} comparison
 * @param {Texts} texts
 * @param {(filter: GridFilter) => string} gridAddress
 */
export function comparisonElements(comparison, texts, gridAddress) {
  const differing = comparison.settings.filter(({ differs }) => differs);
  const sameCount = comparison.settings.length - differing.length;
  return [
    element("div", { className: "beside" },
      section(texts.results, pairTable(comparison, comparison.results, texts.points)),
      element("div", {},
        section(texts.settings, differing.length ? pairTable(comparison, differing) : null,
          element("p", { className: "note" }, differing.length ? pluralText(texts.alike, sameCount) : texts.all_alike)),
        section(texts.images, imageChanges(comparison.images, texts, gridAddress)))),
    section(texts.each_class, classTable(comparison, texts)),
  ];
}

/**
 * @param {string} heading
 * @param {...Child} children
 */
function section(heading, ...children) {
  return element("section", { className: "part" }, element("h3", {}, heading), ...children);
}

/**
 * A table with a column a run, and one of the changes where it has a title.
 * @param {RunComparison} comparison
 * @param {ComparedRow[]} rows
 * @param {string} [changeTitle]
 */
function pairTable({ mine, theirs }, rows, changeTitle) {
  const titles = ["", theirs, mine, ...(changeTitle ? [changeTitle] : [])];
  return element("div", { className: "scrolled" }, element("table", { className: "plain difference" },
    element("thead", {}, element("tr", {}, ...titles.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((row) => element("tr", { className: row.differs ? "differs" : "" },
      element("th", { scope: "row" }, row.label), element("td", {}, row.theirs), element("td", {}, row.mine),
      Boolean(changeTitle) && element("td", { className: changeClass(row.better) }, row.change ?? ""))))));
}

/** @param {boolean | null | undefined} isBetter */
function changeClass(isBetter) {
  return isBetter === null || isBetter === undefined ? "change" : isBetter ? "change better" : "change worse";
}

/**
 * @param {ImageChange[]} changes
 * @param {Texts} texts
 * @param {(filter: GridFilter) => string} gridAddress
 */
function imageChanges(changes, texts, gridAddress) {
  const some = changes.filter(({ count }) => count);
  if (!some.length) return element("p", { className: "note" }, texts.same_images);
  return element("ul", { className: "image-changes" }, ...some.map(({ kind, count, of_class: classes, asking }) => (
    element("li", {},
      asking ? element("a", { className: "go", href: gridAddress(asking) }, pluralText(texts[kind], count))
        : element("span", {}, pluralText(texts[kind], count)),
      classes.length > 0 && element("span", { className: "quiet" }, ` ${classes.map(([label, number]) => (
        `${label} ${formatNumber(number)}`)).join(" · ")}`)))));
}

/**
 * @param {RunComparison} comparison
 * @param {Texts} texts
 */
function classTable({ classes, mine, theirs }, texts) {
  /** @param {number | null | undefined} value */
  const share = (value) => element("td", {}, percentOrNone(value));
  return element("div", { className: "scrolled" }, element("table", { className: "plain difference" },
    element("thead", {},
      element("tr", {}, element("th", { rowSpan: 2, scope: "col" }, texts.class),
        ...[texts.recall, texts.precision].map((text) => element("th", { colSpan: 3, scope: "colgroup" }, text))),
      element("tr", {}, ...[theirs, mine, texts.points, theirs, mine, texts.points].map((text) => (
        element("th", { scope: "col" }, text))))),
    element("tbody", {}, ...classes.map((each) => element("tr", {}, element("th", { scope: "row" }, each.label),
      share(each.recall_before), share(each.recall), changeCell(each.recall, each.recall_before),
      share(each.precision_before), share(each.precision), changeCell(each.precision, each.precision_before))))));
}

/**
 * @param {number | null | undefined} now
 * @param {number | null | undefined} before
 */
function changeCell(now, before) {
  if (now === null || before === null || now === undefined || before === undefined) return element("td", {}, NO_VALUE);
  const points = (now - before) * 100;
  const isSame = Math.abs(points) < SAME_POINTS;
  return element("td", { className: changeClass(isSame ? null : points > 0) },
    isSame ? "±0" : formatNumber(points, { signDisplay: "always", minimumFractionDigits: 1, maximumFractionDigits: 1 }));
}
