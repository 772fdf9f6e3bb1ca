// Charts of a run's test results: precision over recall, and the reliability of its confidence.
import { PALETTE } from "../../components/class_appearance.js";
import { element, fillText, formatNumber, svgElement } from "../../../share/web_demo/page/dom.js";
import { AxisScale } from "./axis_scale.js";
import { percent, percentOrNone, swatch } from "./formats.js";

/** @import { RunsTexts } from "./texts.js" */
/** @import { CalibrationBin, PrecisionRecallCurve } from "./types.js" */

const SQUARE_PX = 260;
const MARGIN_PX = { left: 44, right: 16, top: 8, bottom: 44 };

/**
 * @param {{ name: string, x: string, y: string }} titles
 * @param {(chart: SVGSVGElement, x: AxisScale, y: AxisScale) => void} draw
 */
function squareChart(titles, draw) {
  const { left, right, top, bottom } = MARGIN_PX;
  const x = new AxisScale(0, 1, left, SQUARE_PX + left), y = new AxisScale(0, 1, SQUARE_PX + top, top);
  const chart = svgElement("svg", {
    class: "plot square", viewBox: `0 0 ${left + SQUARE_PX + right} ${top + SQUARE_PX + bottom}`, role: "img",
    "aria-label": titles.name,
  });
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    const text = formatNumber(value, { style: "percent" });
    chart.append(svgElement("g", { class: "plot-grid" },
      svgElement("line", { x1: x.toPx(0), x2: x.toPx(1), y1: y.toPx(value), y2: y.toPx(value) }),
      svgElement("text", { x: x.toPx(0) - 6, y: y.toPx(value) + 4, "text-anchor": "end" }, text),
      svgElement("text", { x: x.toPx(value), y: y.toPx(0) + 18, "text-anchor": "middle" }, text)));
  }
  chart.append(svgElement("g", { class: "plot-grid" },
    svgElement("text", { x: x.toPx(0.5), y: y.toPx(0) + 38, "text-anchor": "middle" }, titles.x),
    svgElement("text", { transform: `translate(11 ${y.toPx(0.5)}) rotate(-90)`, "text-anchor": "middle" }, titles.y)));
  draw(chart, x, y);
  return chart;
}

/**
 * @param {PrecisionRecallCurve[]} curves
 * @param {RunsTexts["results"]} texts
 */
export function precisionRecallChart(curves, texts) {
  const colours = curves.map((_curve, at) => PALETTE[at % PALETTE.length]);
  const titles = { name: texts.precision_recall, x: texts.recall, y: texts.precision };
  const chart = squareChart(titles, (drawn, x, y) => {
    curves.forEach(({ label, recalls, precisions }, at) => {
      drawn.append(svgElement("path", {
        class: "plot-line", stroke: colours[at],
        d: recalls.map((each, i) => `${i ? "L" : "M"}${x.toPx(each).toFixed(1)} ${y.toPx(precisions[i]).toFixed(1)}`).join(""),
      }, svgElement("title", {}, label)));
    });
  });
  /** @param {number | null} highlighted */
  const fadeOthers = (highlighted) => chart.querySelectorAll("path").forEach((path, at) => {
    path.classList.toggle("faint", highlighted !== null && at !== highlighted);
  });
  const legend = element("ul", { className: "legend" }, ...curves.map(({ label, average_precision }, at) => element("li", {
    onmouseenter: () => fadeOthers(at), onmouseleave: () => fadeOthers(null),
  }, swatch(colours[at]), element("span", {}, label),
  element("span", { className: "quiet" }, percentOrNone(average_precision)))));
  return element("div", { className: "chart-with-legend" }, chart, legend);
}

/**
 * @param {CalibrationBin[]} bins
 * @param {RunsTexts["results"]} texts
 */
export function reliabilityChart(bins, texts) {
  const largest = Math.max(...bins.map(({ n }) => n));
  const chart = squareChart({ name: texts.reliability, x: texts.confidence, y: texts.right }, (drawn, x, y) => {
    drawn.append(svgElement("line", { class: "diagonal", x1: x.toPx(0), y1: y.toPx(0), x2: x.toPx(1), y2: y.toPx(1) }));
    for (const { low, high, confidence, accuracy, n } of bins) {
      const description = fillText(texts.bin, {
        low: percent(low), high: percent(high), accuracy: percent(accuracy), count: formatNumber(n),
      });
      drawn.append(svgElement("g", { class: "bin" }, svgElement("title", {}, description),
        svgElement("rect", {
          x: x.toPx(low) + 1, width: x.toPx(high) - x.toPx(low) - 2, rx: 2,
          y: y.toPx(accuracy), height: Math.max(1, y.toPx(0) - y.toPx(accuracy)),
          "fill-opacity": (0.25 + 0.75 * Math.sqrt(n / largest)).toFixed(2),
        }),
        svgElement("circle", { cx: x.toPx(confidence), cy: y.toPx(accuracy), r: 3 })));
    }
  });
  const rows = bins.map(({ confidence, accuracy, n }) => element("tr", {},
    ...[percent(confidence), percent(accuracy), formatNumber(n)].map((text) => element("td", {}, text))));
  return element("div", { className: "chart-with-legend" }, chart, element("table", { className: "plain small" },
    element("thead", {}, element("tr", {},
      ...[texts.confidence, texts.right, texts.images].map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows)));
}
