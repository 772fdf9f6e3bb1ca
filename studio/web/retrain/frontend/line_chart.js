// A line chart of one measure over the steps or the time, of any number of series. It is read with the pointer or with
// the arrow keys, and zoomed by dragging across it.
import { element, rootOf, svgElement } from "../../../share/web_demo/page/dom.js";
import { AxisScale, extent, indexRange, linePath, nearestIndex, withoutOutliers } from "./axis_scale.js";

/**
 * One line. ys: as measured; smooth: smoothed.
 * @typedef {{ xs: number[], ys: number[], smooth: number[], colour: string, isDashed: boolean }} Series
 */
/**
 * What to draw. range: along x; hasRaw: whether the measured values are drawn too; formatX: beside the axis; cursor: the
 * x that is read, or null.
 * @typedef {{
 *   series: Series[], range: [number, number], hasRaw: boolean, formatX: (value: number) => string, cursor: number | null,
 * }} ChartData
 */
/**
 * onStep: moves the cursor by hundredths of what is seen; onZoomBy: zooms around it.
 * @typedef {{
 *   onCursor: (x: number | null) => void, onZoom: (range: [number, number]) => void, onReset: () => void,
 *   onStep: (by: number) => void, onZoomBy: (factor: number) => void,
 * }} ChartActions
 */

const LAYOUT_PX = { left: 52, right: 20, top: 10, bottom: 26, height: 250, height_narrow: 200, narrow: 420 };
const MIN_DRAG_PX = 8;
const TICKS_PX = { x: 76, y: 36 };

let chartCount = 0;

/**
 * @param {{
 *   title: string, format: (value: number) => string, formatTick: (value: number, step: number) => string,
 *   bounds: [number, number], actions: ChartActions,
 * }} options  bounds: the least and the largest value that there can be
 */
export function makeLineChart({ title, format, formatTick, bounds, actions }) {
  const id = `plot-${chartCount++}`;
  const grid = svgElement("g", { class: "plot-grid" });
  const lines = svgElement("g", { class: "plot-lines" });
  const front = svgElement("g", { class: "plot-front" });
  const band = svgElement("rect", { class: "plot-band", visibility: "hidden" });
  const clip = svgElement("rect");
  const surface = svgElement("svg", {
    class: "plot", tabindex: "0", role: "slider", "aria-label": title, "aria-describedby": "curves-help",
    "aria-orientation": "horizontal",
  }, svgElement("clipPath", { id }, clip), grid, lines, band, front);
  lines.setAttribute("clip-path", `url(#${id})`);
  const root = element("figure", { className: "plot-frame" }, element("figcaption", {}, title), surface);
  let width = 0, height = 0;
  /** @type {{ x: AxisScale, y: AxisScale } | null} */
  let scales = null;
  /** @type {{ from: number, clientX: number } | null} */
  let drag = null;
  /** @type {ChartData | null} */
  let last = null;

  new ResizeObserver(([{ contentRect }]) => {
    if (Math.round(contentRect.width) === width || !contentRect.width) return;
    width = Math.round(contentRect.width);
    height = width < LAYOUT_PX.narrow ? LAYOUT_PX.height_narrow : LAYOUT_PX.height;
    if (last) draw(last);
  }).observe(root);

  /**
   * @param {AxisScale} x
   * @param {PointerEvent} event
   */
  function valueAt(x, event) {
    const place = event.clientX - surface.getBoundingClientRect().left;
    return x.valueAt(Math.min(x.end_px, Math.max(x.start_px, place)));
  }

  surface.onpointerdown = (event) => {
    if (!scales || event.button) return;
    drag = { from: valueAt(scales.x, event), clientX: event.clientX };
    surface.setPointerCapture(event.pointerId);
    actions.onCursor(drag.from);
  };
  surface.onpointermove = (event) => {
    if (!scales) return;
    actions.onCursor(valueAt(scales.x, event));
    if (drag) drawBand(scales, drag.from, valueAt(scales.x, event));
  };
  surface.onpointerup = (event) => {
    if (!drag || !scales) return;
    const range = sorted(drag.from, valueAt(scales.x, event));
    const isDragged = Math.abs(event.clientX - drag.clientX) >= MIN_DRAG_PX;
    dropBand();
    if (isDragged) actions.onZoom(range);
  };
  surface.onpointercancel = dropBand;
  surface.onpointerleave = () => { if (!drag && rootOf(surface).activeElement !== surface) actions.onCursor(null); };
  surface.ondblclick = () => actions.onReset();
  surface.onkeydown = (event) => {
    /** @type {Record<string, number>} */
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10,
      Home: Number.NEGATIVE_INFINITY, End: Number.POSITIVE_INFINITY,
    };
    if (event.key in steps) actions.onStep(steps[event.key]);
    else if (event.key === "+" || event.key === "=") actions.onZoomBy(0.5);
    else if (event.key === "-") actions.onZoomBy(2);
    else if (event.key === "0" || event.key === "Escape") actions.onReset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  surface.onblur = () => actions.onCursor(null);

  /**
   * @param {{ x: AxisScale, y: AxisScale }} scale
   * @param {number} from
   * @param {number} to
   */
  function drawBand({ x, y }, from, to) {
    const [left, right] = sorted(x.toPx(from), x.toPx(to));
    setAttributes(band, {
      x: left, width: right - left, y: y.end_px, height: y.start_px - y.end_px, visibility: "visible",
    });
  }

  function dropBand() {
    drag = null;
    band.setAttribute("visibility", "hidden");
  }

  /** @param {ChartData} data */
  function draw(data) {
    last = data;
    if (!width) return;
    const { series, range, hasRaw, formatX } = data;
    surface.setAttribute("viewBox", `0 0 ${width} ${height}`);
    surface.setAttribute("height", `${height}`);
    const x = new AxisScale(...range, LAYOUT_PX.left, width - LAYOUT_PX.right);
    const y = new AxisScale(...valueRange(data), height - LAYOUT_PX.bottom, LAYOUT_PX.top);
    scales = { x, y };
    setAttributes(clip, {
      x: x.start_px, y: y.end_px - 2, width: x.end_px - x.start_px, height: y.start_px - y.end_px + 4,
    });
    const yTicks = y.ticks(TICKS_PX.y), xTicks = x.ticks(TICKS_PX.x);
    grid.replaceChildren(
      ...yTicks.values.flatMap((value) => [
        svgElement("line", { x1: x.start_px, x2: x.end_px, y1: y.toPx(value), y2: y.toPx(value) }),
        tickLabel(formatTick(value, yTicks.step), x.start_px - 7, y.toPx(value) + 4, "end"),
      ]),
      ...xTicks.values.map((value) => tickLabel(formatX(value), x.toPx(value), height - 8, "middle")),
      svgElement("line", { class: "plot-base", x1: x.start_px, x2: x.end_px, y1: y.start_px, y2: y.start_px }),
    );
    lines.replaceChildren(...series.flatMap((each) => {
      const [from, to] = indexRange(each.xs, range);
      const xs = each.xs.slice(from, to);
      /**
       * @param {number[]} values
       * @param {string} className
       */
      const path = (values, className) => svgElement("path", {
        d: linePath(xs, values.slice(from, to), x, y), stroke: each.colour, class: className,
      });
      const main = path(each.smooth, each.isDashed ? "plot-line plot-dashed" : "plot-line");
      return hasRaw ? [path(each.ys, "plot-raw"), main] : [main];
    }));
    drawCursor(data.cursor);
  }

  /**
   * Mark the x that is read, or none.
   * @param {number | null} value
   */
  function drawCursor(value) {
    if (last) last.cursor = value;
    if (!last || !scales || value === null || value < last.range[0] || value > last.range[1]) {
      front.replaceChildren();
      return;
    }
    const { x, y } = scales;
    const [from, to] = last.range;
    const dots = last.series.flatMap(({ xs, smooth, colour }) => {
      const at = nearestIndex(xs, value);
      if (at < 0 || xs[at] < from || xs[at] > to) return [];
      return [svgElement("circle", { cx: x.toPx(xs[at]), cy: y.toPx(smooth[at]), r: 4, fill: colour })];
    });
    front.replaceChildren(
      svgElement("line", { x1: x.toPx(value), x2: x.toPx(value), y1: y.start_px, y2: y.end_px }), ...dots);
  }

  /**
   * Describe the chart for screen readers, as a slider.
   * @param {[number, number]} range
   * @param {number | null} value
   * @param {string} text
   */
  function describe(range, value, text) {
    setAttributes(surface, {
      "aria-valuemin": range[0], "aria-valuemax": range[1], "aria-valuenow": value ?? range[1], "aria-valuetext": text,
    });
  }

  /**
   * Return the range of the y axis.
   * @param {ChartData} data
   * @returns {[number, number]}
   */
  function valueRange({ series, range, hasRaw }) {
    const seen = series.flatMap(({ xs, ys, smooth }) => {
      const [from, to] = indexRange(xs, range);
      return [smooth, hasRaw ? ys : []].flatMap((values) => withoutOutliers(values.slice(from, to)));
    });
    const [least, largest] = extent(seen) ?? bounds;
    const padding = Math.max((largest - least) * 0.06, 1e-6);
    const top = bounds[1] + (bounds[1] - largest < padding ? padding / 2 : 0); // so that a line at 100% is seen whole
    return [Math.max(bounds[0], least - padding), Math.min(top, largest + padding)];
  }

  return { element: root, draw, drawCursor, describe, format };
}

/**
 * @param {string} text
 * @param {number} left
 * @param {number} top
 * @param {"end" | "middle"} anchor
 */
function tickLabel(text, left, top, anchor) {
  return svgElement("text", { x: left, y: top, "text-anchor": anchor }, text);
}

/**
 * @param {Element} target
 * @param {Record<string, string | number>} attributes
 */
function setAttributes(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, `${value}`);
}

/**
 * @param {number} one
 * @param {number} other
 * @returns {[number, number]}
 */
function sorted(one, other) {
  return one <= other ? [one, other] : [other, one];
}
