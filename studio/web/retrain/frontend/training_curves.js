// The curves of the runs that are drawn: two measures, one axis, and beneath them a table of the values at one step.
import { readStored, writeStored } from "../../components/local_storage.js";
import { button, element, fillText, formatNumber } from "../../../share/web_demo/page/dom.js";
import { decimalsFor, nearestIndex } from "./axis_scale.js";
import { SPLITS } from "./curve_store.js";
import { duration, NO_VALUE, percent, swatch, withDecimals } from "./formats.js";
import { makeLineChart } from "./line_chart.js";
import { smooth } from "./smoothing.js";

/** @import { Child } from "../../../share/web_demo/page/types.js" */
/** @import { CurveStore } from "./curve_store.js" */
/** @import { RunsTexts } from "./texts.js" */
/** @import { Curve, Measure, Split } from "./types.js" */

/** @typedef {{ id: number, title: string, colour: string }} DrawnRun */
/** @typedef {{ curve: Curve, xs: number[], isTimed: boolean, smooth: Record<Measure, number[]> }} SplitCurve */

const STORED_SMOOTHING = "studio-smoothing", DEFAULT_SMOOTHING = 0.6;
const CURSOR_STEPS = 100; // as many presses of an arrow cross what is seen
const MIN_STEPS = 10, MIN_SECONDS = 0.01; // of the x axis
/** @type {Measure[]} */
const MEASURES = ["accuracy", "cross_entropy"];

/** @param {{ texts: RunsTexts["curves"], store: CurveStore, runs: () => DrawnRun[] }} options */
export function makeTrainingCurves({ texts, store, runs }) {
  /** @type {"steps" | "seconds"} */
  let axis = "steps";
  /** @type {[number, number] | null} */
  let zoom = null;
  /** @type {number | null} */
  let cursor = null;
  /** @type {[number, number]} */
  let domain = [0, 1];
  /** @type {{ run: DrawnRun, splits: Record<Split, SplitCurve> }[]} */
  let rows = [];
  const isSplitShown = { training: true, validation: true };
  const smoothing = element("input", {
    type: "range", min: 0, max: 0.99, step: 0.01, value: readStored(STORED_SMOOTHING) ?? DEFAULT_SMOOTHING,
    oninput: () => {
      writeStored(STORED_SMOOTHING, smoothing.value);
      draw();
    },
  });
  const strength = element("output");
  const raw = checkBox(texts.raw);
  const axisSelect = element("select", {
    "aria-label": texts.axis, onchange: () => {
      axis = axisSelect.value === "seconds" ? "seconds" : "steps";
      zoom = null;
      cursor = null;
      draw();
    },
  }, element("option", { value: "steps" }, texts.step), element("option", { value: "seconds" }, texts.time));
  const whole = button(texts.whole, () => resetZoom(), { hidden: true });
  const bar = element("div", { className: "curves-bar" },
    element("label", { className: "smoothing" }, element("span", {}, texts.smoothing), smoothing, strength),
    raw.label,
    ...SPLITS.map((split) => checkBox(texts[split], (on) => { isSplitShown[split] = on; },
      element("span", { className: `line-sample ${split}`, "aria-hidden": "true" })).label),
    element("label", {}, element("span", {}, texts.axis), axisSelect), whole);
  const actions = {
    /** @param {number | null} value */
    onCursor: (value) => {
      cursor = value;
      drawValues();
    },
    /** @param {[number, number]} range */
    onZoom: (range) => {
      zoom = range;
      draw();
    },
    onReset: resetZoom,
    onStep: moveCursor,
    onZoomBy: zoomBy,
  };
  const charts = {
    accuracy: makeLineChart({
      title: texts.accuracy, bounds: [0, 1], actions, format: percent,
      formatTick: (value, step) => withDecimals(value, decimalsFor(step * 100), { style: "percent" }),
    }),
    cross_entropy: makeLineChart({
      title: texts.cross_entropy, bounds: [0, Number.POSITIVE_INFINITY], actions,
      format: (value) => withDecimals(value, 3),
      formatTick: (value, step) => withDecimals(value, decimalsFor(step)),
    }),
  };
  const note = element("p", { className: "note", hidden: true });
  const nothing = element("p", { className: "note", hidden: true }, texts.nothing);
  const body = element("tbody");
  const caption = element("caption");
  const values = element("table", { className: "values" }, caption, element("thead", {},
    element("tr", {}, ...[texts.run, texts.step].map((text) => element("th", { rowSpan: 2, scope: "col" }, text)),
      ...[texts.accuracy, texts.cross_entropy].map((text) => element("th", { colSpan: 2, scope: "colgroup" }, text))),
    element("tr", {}, ...[...SPLITS, ...SPLITS].map((split) => element("th", { scope: "col" }, texts[split])))), body);
  const root = element("section", { className: "curves", "aria-label": texts.curves }, bar,
    element("div", { className: "plots" }, ...MEASURES.map((measure) => charts[measure].element)),
    nothing, note, element("div", { className: "scrolled" }, values),
    element("p", { className: "help", id: "curves-help" }, texts.help));

  /**
   * @param {string} text
   * @param {(on: boolean) => void} [onToggle]
   * @param {...Child} sample
   */
  function checkBox(text, onToggle = () => {}, ...sample) {
    const box = element("input", { type: "checkbox", checked: true, onchange: () => {
      onToggle(box.checked);
      draw();
    } });
    return { box, label: element("label", { className: "check" }, box, ...sample, element("span", {}, text)) };
  }

  function resetZoom() {
    zoom = null;
    draw();
  }

  const range = () => zoom ?? domain;

  /**
   * Move the cursor by so many hundredths of what is seen; ±Infinity goes to an end.
   * @param {number} by
   */
  function moveCursor(by) {
    const [from, to] = range();
    const here = cursor ?? (by < 0 ? to : from);
    const there = Number.isFinite(by) ? here + by * (to - from) / CURSOR_STEPS : by;
    cursor = Math.min(to, Math.max(from, there));
    drawValues();
  }

  /** @param {number} factor */
  function zoomBy(factor) {
    const [from, to] = range();
    const middle = cursor ?? (from + to) / 2;
    const half = (to - from) * factor / 2;
    const next = /** @type {[number, number]} */ (
      [Math.max(domain[0], middle - half), Math.min(domain[1], middle + half)]);
    zoom = next[0] <= domain[0] && next[1] >= domain[1] ? null : next;
    draw();
  }

  /**
   * @param {number} run
   * @param {Split} split
   * @param {number} weight
   * @returns {SplitCurve}
   */
  function splitCurve(run, split, weight) {
    const curve = store.curveOf(run, split);
    const seconds = curve.seconds.filter((each) => each !== null);
    const isTimed = axis !== "seconds" || seconds.length === curve.seconds.length;
    return {
      curve, isTimed, xs: !isTimed ? [] : axis === "seconds" ? seconds : curve.steps,
      smooth: { accuracy: smooth(curve.accuracy, weight), cross_entropy: smooth(curve.cross_entropy, weight) },
    };
  }

  function draw() {
    const weight = Number(smoothing.value);
    strength.textContent = formatNumber(weight, { minimumFractionDigits: 2 });
    rows = runs().map((run) => ({ run, splits: {
      training: splitCurve(run.id, "training", weight), validation: splitCurve(run.id, "validation", weight),
    } }));
    const ends = rows.flatMap(({ splits }) => SPLITS.map((split) => splits[split].xs[splits[split].xs.length - 1] ?? 0));
    domain = [0, Math.max(axis === "steps" ? MIN_STEPS : MIN_SECONDS, ...ends)];
    for (const measure of MEASURES) {
      const series = rows.flatMap(({ run, splits }) => SPLITS.filter((split) => isSplitShown[split]).map((split) => ({
        xs: splits[split].xs, ys: splits[split].curve[measure], smooth: splits[split].smooth[measure],
        colour: run.colour, isDashed: split === "training",
      }))).filter(({ xs }) => xs.length);
      charts[measure].draw({ series, range: range(), hasRaw: raw.box.checked && weight > 0, formatX, cursor });
    }
    const untimed = rows.filter(({ splits }) => !splits.training.isTimed).map(({ run }) => run.title);
    note.hidden = !untimed.length;
    note.textContent = fillText(texts.untimed, { runs: untimed.join(", ") });
    nothing.hidden = ends.some((end) => end > 0);
    whole.hidden = !zoom;
    drawValues();
  }

  /** @param {number} value */
  function formatX(value) {
    return axis === "steps" ? formatNumber(value, { maximumFractionDigits: 0 }) : duration(value, texts);
  }

  /** Draw the values at the cursor, or the last ones. */
  function drawValues() {
    const [from, to] = range();
    const place = cursor === null ? null : Math.min(to, Math.max(from, cursor));
    /** @type {Record<Measure, string[]>} */
    const descriptions = { accuracy: [], cross_entropy: [] };
    body.replaceChildren(...rows.map(({ run, splits }) => {
      /** @param {Split} split */
      const indexOf = (split) => {
        const { xs, curve } = splits[split];
        return place === null ? curve.steps.length - 1 : nearestIndex(xs, place);
      };
      const step = Math.max(...SPLITS.map((split) => splits[split].curve.steps[indexOf(split)] ?? 0));
      /**
       * @param {Measure} measure
       * @param {Split} split
       */
      const cell = (measure, split) => {
        /** @type {number | undefined} */
        const value = splits[split].curve[measure][indexOf(split)];
        if (value === undefined) return element("td", {}, NO_VALUE);
        const { format } = charts[measure];
        descriptions[measure].push(`${run.title}, ${texts[split]} ${format(value)}`);
        const smoothed = format(splits[split].smooth[measure][indexOf(split)]);
        return element("td", { title: fillText(texts.smooth_value, { value: smoothed }) }, format(value));
      };
      return element("tr", {}, element("th", { scope: "row" }, swatch(run.colour), run.title),
        element("td", {}, step ? formatNumber(step) : NO_VALUE),
        ...MEASURES.flatMap((measure) => SPLITS.map((split) => cell(measure, split))));
    }));
    const where = place === null ? texts.latest
      : fillText(axis === "steps" ? texts.at_step : texts.at_time, { at: formatX(place) });
    caption.textContent = where;
    values.hidden = !rows.length;
    for (const measure of MEASURES) {
      charts[measure].drawCursor(place);
      charts[measure].describe([from, to], place, `${where}: ${descriptions[measure].join("; ")}`);
    }
  }

  return { element: root, draw };
}
