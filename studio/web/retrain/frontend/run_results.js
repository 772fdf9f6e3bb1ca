// The results of one run: on the test images as a whole, class by class and image by image; its name and note; and the
// buttons that repeat it, delete it, and compare it with another.
import { button, element, fillText, formatNumber, pluralText } from "../../../share/web_demo/page/dom.js";
import { NO_VALUE, percent, percentOrNone, swatch } from "./formats.js";
import { precisionRecallChart, reliabilityChart } from "./result_charts.js";

/** @import { Child } from "../../../share/web_demo/page/types.js" */
/** @import { RunsPanel } from "./runs_panel.js" */
/** @import { RunsTexts } from "./texts.js" */
/** @import { Evaluation, Interval, Run, RunDetails, Slice } from "./types.js" */

const GALLERY_IMAGES = 24;

/** @param {{ texts: RunsTexts["results"], panel: RunsPanel }} options */
export function makeRunResults({ texts, panel }) {
  const title = element("h2", { tabIndex: -1 });
  const tools = element("div", { className: "tools" });
  const note = element("p", { className: "run-note" });
  const body = element("div", { className: "results-body", "aria-live": "polite" });
  const comparedSelect = element("select", {
    "aria-label": texts.compare, onchange: () => panel.compareWith(Number(comparedSelect.value) || null),
  });
  const comparison = element("div", { className: "differences" });
  const compareLabel = element("label", { className: "compare-with" }, element("span", {}, texts.compare), comparedSelect);
  const root = element("section", { className: "results", "aria-label": texts.results, hidden: true },
    element("header", {}, title, tools), note, compareLabel, comparison, body);
  let drawn = "";

  /** @param {Run} run */
  function drawHead(run) {
    title.replaceChildren(swatch(panel.colourOf(run.id)), element("span", {}, run.title),
      ...(run.name ? [element("span", { className: "quiet" }, run.number)] : []));
    tools.replaceChildren(
      button(texts.rename, () => panel.renameDialog.open(run)),
      button(texts.rerun, () => panel.act("rerun", run.id), { title: texts.rerun_help, disabled: !run.cells.accuracy }),
      button(texts.remove, () => panel.act("delete", run.id), { disabled: ["queued", "running"].includes(run.state) }));
    note.textContent = [run.note, run.origin].filter(Boolean).join(" · ");
    note.hidden = !note.textContent;
    const others = panel.runs.filter((each) => each.id !== run.id && each.cells.accuracy);
    const entries = [["", texts.nothing], ...others.map((each) => [`${each.id}`, each.title])];
    if (comparedSelect.dataset.drawn !== JSON.stringify(entries)) {
      comparedSelect.dataset.drawn = JSON.stringify(entries);
      comparedSelect.replaceChildren(...entries.map(([value, text]) => element("option", { value }, text)));
    }
    comparedSelect.value = `${panel.compared ?? ""}`;
    compareLabel.hidden = !others.length || !run.cells.accuracy;
  }

  /**
   * @param {Run | null} run
   * @param {RunDetails | null} details  null while they are fetched
   */
  function draw(run, details) {
    root.hidden = !run;
    if (!run) return;
    drawHead(run);
    const signature = JSON.stringify([run.id, run.state, run.error, details]);
    if (signature === drawn) return;
    drawn = signature;
    body.replaceChildren(...parts(run, details).filter((part) => part !== null));
  }

  /**
   * @param {Run} run
   * @param {RunDetails | null} details
   */
  function parts(run, details) {
    const warnings = [...(details?.warnings ?? []), ...(run.error ? [run.error] : [])]
      .map((text) => element("p", { className: "warning" }, text));
    if (!details?.evaluation) {
      /** @type {Record<string, string>} */
      const unfinished = texts.unfinished;
      const text = details ? unfinished[run.state] ?? "" : texts.loading;
      return [...warnings, text ? element("p", { className: "note" }, text) : null];
    }
    const { evaluation, slices, facts } = details;
    const { precision_recall: curves, calibration } = evaluation;
    return [
      ...warnings,
      figures(evaluation),
      element("div", { className: "beside" },
        part(texts.classes, classTable(evaluation)),
        part(texts.confusion, confusionTable(run, evaluation), noteText(texts.confusion_help))),
      wrongPredictions(run, details),
      element("div", { className: "beside" },
        curves?.length ? part(texts.precision_recall, precisionRecallChart(curves, texts),
          noteText(texts.precision_recall_help)) : null,
        calibration ? part(texts.reliability, reliabilityChart(calibration.bins, texts),
          noteText(texts.reliability_help)) : null),
      slices && slices.length > 1 ? part(texts.slices, sliceTable(slices)) : null,
      facts?.length ? part(texts.facts, element("dl", { className: "run-details" }, ...facts.flatMap(([name, value]) => [
        element("dt", {}, name), element("dd", {}, value)]))) : null,
    ];
  }

  /** @param {string} text */
  function noteText(text) {
    return element("p", { className: "note" }, text);
  }

  /**
   * @param {string} heading
   * @param {...Child} children
   */
  function part(heading, ...children) {
    return element("section", { className: "part" }, element("h3", {}, heading), ...children);
  }

  /** @param {Evaluation} evaluation */
  function figures({ accuracy, interval, n, without_copies: clean, calibration }) {
    /**
     * @param {string} name
     * @param {string} value
     * @param {string} about
     */
    const figure = (name, value, about) => element("div", { className: "figure" },
      element("dt", {}, name), element("dd", {}, element("strong", {}, value), Boolean(about) && element("span", {}, about)));
    /** @param {Interval | null} bounds */
    const between = (bounds) => (
      bounds ? fillText(texts.between, { low: percent(bounds[0]), high: percent(bounds[1]) }) : "");
    return element("dl", { className: "figures" },
      figure(texts.accuracy, percentOrNone(accuracy), between(interval)),
      figure(texts.tested, formatNumber(n), ""),
      clean && figure(texts.clean, percentOrNone(clean.accuracy),
        [pluralText(texts.clean_of, clean.n), between(clean.interval)].filter(Boolean).join(" ")),
      calibration && figure(texts.calibration, percent(calibration.expected_error), texts.calibration_help));
  }

  /**
   * @param {string} className
   * @param {Child[]} head
   * @param {HTMLTableRowElement[]} rows
   */
  function scrolledTable(className, head, rows) {
    return element("div", { className: "scrolled" }, element("table", { className },
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
  }

  /** @param {string[]} titles */
  function columnHeads(titles) {
    return titles.map((text) => element("th", { scope: "col" }, text));
  }

  /** @param {Evaluation} evaluation */
  function classTable({ scores }) {
    const hasAverage = scores.some((score) => score.average_precision !== null);
    const titles = [texts.class, texts.precision, texts.recall, "F1", ...(hasAverage ? [texts.average] : []), texts.images];
    return scrolledTable("plain", columnHeads(titles), scores.map((score) => element("tr", {},
      element("th", { scope: "row" }, score.label),
      ...[score.precision, score.recall, score.f1, ...(hasAverage ? [score.average_precision] : [])]
        .map((value) => element("td", {}, percentOrNone(value))),
      element("td", {}, formatNumber(score.count)))));
  }

  /**
   * @param {Run} run
   * @param {Evaluation} evaluation
   */
  function confusionTable(run, { classes, confusion }) {
    const rows = confusion.map((row, at) => {
      const sum = row.reduce((one, other) => one + other, 0);
      return element("tr", {}, element("th", { scope: "row" }, classes[at]), ...row.map((count, to) => (
        confusionCell(run, classes[at], classes[to], count, count / sum))));
    });
    return scrolledTable("confusion", [element("td", {}, element("span", { className: "corner" }, texts.axes)),
      ...classes.map((label) => element("th", { scope: "col" }, element("span", {}, label)))], rows);
  }

  /**
   * @param {Run} run
   * @param {string} trueClass
   * @param {string} predicted
   * @param {number} count
   * @param {number} share  of the row
   */
  function confusionCell(run, trueClass, predicted, count, share) {
    const cell = element("td");
    if (!count) return cell;
    cell.style.setProperty("--depth", `${Math.round(12 + 88 * share)}%`);
    cell.className = share > 0.5 ? "filled strong" : "filled";
    if (trueClass !== predicted) cell.classList.add("mistaken");
    const description = fillText(trueClass === predicted ? texts.cell_right : texts.cell_wrong, {
      count: formatNumber(count), true: trueClass, predicted, share: percent(share),
    });
    cell.append(element("a", {
      href: panel.gridAddress({ run: run.id, true: trueClass, predicted }),
      title: description, "aria-label": description,
    }, formatNumber(count)));
    return cell;
  }

  /**
   * @param {Run} run
   * @param {RunDetails} details
   */
  function wrongPredictions(run, { wrong, wrong_count: total }) {
    if (!total) return part(texts.wrong, noteText(texts.none_wrong));
    const tiles = wrong.slice(0, GALLERY_IMAGES).map((each) => element("li", {}, element("a", {
      className: "mistake", href: panel.gridAddress({ run: run.id, wrong: "1", at: each.image }),
      title: fillText(texts.mistake, { ...each, score: percent(each.score) }),
    }, element("img", { src: `/studio/thumbnails/${each.sha}.jpg`, alt: each.name, loading: "lazy", decoding: "async" }),
    element("span", { className: "predicted" }, element("b", {}, each.predicted), ` ${percent(each.score)}`),
    element("span", { className: "true" }, fillText(texts.truly, { true: each.true }),
      each.true_score !== null && each.true_score !== undefined ? ` ${percent(each.true_score)}` : ""))));
    return part(pluralText(texts.wrong_count, total), noteText(texts.wrong_help),
      element("ul", { className: "gallery" }, ...tiles),
      element("p", {}, element("a", { className: "go", href: panel.gridAddress({ run: run.id, wrong: "1" }) },
        pluralText(texts.all_wrong, total))));
  }

  /** @param {Slice[]} slices */
  function sliceTable(slices) {
    return scrolledTable("plain", columnHeads([texts.source, texts.accuracy, texts.interval, texts.images]),
      slices.map(({ name, accuracy, interval, n }) => element("tr", {}, element("th", { scope: "row" }, name),
        element("td", {}, percentOrNone(accuracy)),
        element("td", {}, interval ? `${percent(interval[0])} – ${percent(interval[1])}` : NO_VALUE),
        element("td", {}, formatNumber(n)))));
  }

  return { element: root, draw, comparison, title };
}
