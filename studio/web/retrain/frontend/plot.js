// One measure over the steps or the time, of any number of series. It is read with the pointer or with the arrow keys,
// and zoomed by dragging across it.
const SVG = "http://www.w3.org/2000/svg";
const PLOT_PX = { left: 52, right: 20, top: 10, bottom: 26, height: 250, height_narrow: 200 };
const DRAG_LEAST_PX = 8;

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

let plotCount = 0;

// title: what is measured; said(value): a value for people; saidTick(value, step): beside the axis;
// bounds: [least, largest] that values can have;
// on: { aim(x or null), zoom([from, to]), reset(), step(by), magnify(factor) }.
function makePlot({ title, said, saidTick, bounds, on }) {
  const id = `plot-${plotCount++}`;
  const grid = svg("g", { class: "plot-grid" });
  const lines = svg("g", { class: "plot-lines" });
  const front = svg("g", { class: "plot-front" });
  const band = svg("rect", { class: "plot-band", visibility: "hidden" });
  const clip = svg("clipPath", { id }, svg("rect"));
  const surface = svg("svg", {
    class: "plot", tabindex: "0", role: "slider", "aria-label": title, "aria-describedby": "curves-help",
    "aria-orientation": "horizontal",
  }, clip, grid, lines, band, front);
  lines.setAttribute("clip-path", `url(#${id})`);
  const root = element("figure", { className: "plot-frame" }, element("figcaption", {}, title), surface);
  let width = 0, height = 0, x = null, y = null, drag = null, last = null;

  new ResizeObserver(([{ contentRect }]) => {
    if (Math.round(contentRect.width) === width || !contentRect.width) return;
    width = Math.round(contentRect.width);
    height = width < 420 ? PLOT_PX.height_narrow : PLOT_PX.height;
    if (last) draw(last);
  }).observe(root);

  const valueOf = (event) => x.valueAt(clamp(event.clientX - surface.getBoundingClientRect().left));
  const clamp = (place) => Math.min(x.end_px, Math.max(x.start_px, place));
  surface.onpointerdown = (event) => {
    if (!x || event.button) return;
    drag = { from: valueOf(event), at: event.clientX };
    surface.setPointerCapture(event.pointerId);
    on.aim(drag.from);
  };
  surface.onpointermove = (event) => {
    if (!x) return;
    on.aim(valueOf(event));
    if (drag) drawBand(drag.from, valueOf(event));
  };
  surface.onpointerup = (event) => {
    if (!drag) return;
    const [from, to] = [drag.from, valueOf(event)].sort((one, other) => one - other);
    const far = Math.abs(event.clientX - drag.at) >= DRAG_LEAST_PX;
    dropBand();
    if (far) on.zoom([from, to]);
  };
  surface.onpointercancel = dropBand;
  surface.onpointerleave = () => { if (!drag && surface.getRootNode().activeElement !== surface) on.aim(null); };
  surface.ondblclick = () => on.reset();
  surface.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined) on.step(by);
    else if (event.key === "+" || event.key === "=") on.magnify(0.5);
    else if (event.key === "-") on.magnify(2);
    else if (event.key === "0" || event.key === "Escape") on.reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  surface.onblur = () => on.aim(null);

  function drawBand(from, to) {
    const [left, right] = [x.at(from), x.at(to)].sort((one, other) => one - other);
    for (const [name, value] of Object.entries({
      x: left, width: right - left, y: y.end_px, height: y.start_px - y.end_px, visibility: "visible",
    })) band.setAttribute(name, value);
  }

  function dropBand() {
    drag = null;
    band.setAttribute("visibility", "hidden");
  }

  // series: [{ xs, ys, smooth, colour, dashed }]; range: [from, to] along x; saidX(value): beside the axis.
  function draw(given) {
    last = given;
    if (!width) return;
    const { series, range, raw, saidX } = given;
    surface.setAttribute("viewBox", `0 0 ${width} ${height}`);
    surface.setAttribute("height", height);
    x = new Scale(...range, PLOT_PX.left, width - PLOT_PX.right);
    y = new Scale(...rangeOf(series, range, raw), height - PLOT_PX.bottom, PLOT_PX.top);
    const inner = { x: x.start_px, y: y.end_px - 2, width: x.end_px - x.start_px, height: y.start_px - y.end_px + 4 };
    for (const [name, value] of Object.entries(inner)) clip.firstChild.setAttribute(name, value);
    const across = y.ticks(36), along = x.ticks(76);
    grid.replaceChildren(
      ...across.values.flatMap((value) => [
        svg("line", { x1: x.start_px, x2: x.end_px, y1: y.at(value), y2: y.at(value) }),
        label(saidTick(value, across.step), x.start_px - 7, y.at(value) + 4, "end"),
      ]),
      ...along.values.map((value) => label(saidX(value), x.at(value), height - 8, "middle")),
      svg("line", { class: "plot-base", x1: x.start_px, x2: x.end_px, y1: y.start_px, y2: y.start_px }),
    );
    lines.replaceChildren(...series.flatMap((each) => {
      const [from, to] = window_(each.xs, range);
      const cut = (values) => values.slice(from, to);
      const path = (values, more) => svg("path", {
        d: pathOf(cut(each.xs), cut(values), x, y), stroke: each.colour, ...more,
      });
      const main = path(each.smooth, { class: each.dashed ? "plot-line plot-dashed" : "plot-line" });
      return raw ? [path(each.ys, { class: "plot-raw" }), main] : [main];
    }));
    aim(given.aim);
  }

  function label(text, left, top, anchor) {
    return svg("text", { x: left, y: top, "text-anchor": anchor }, text);
  }

  // Marks a place along x: null for none.
  function aim(value) {
    if (last) last.aim = value;
    if (!x || value === null || value < last.range[0] || value > last.range[1]) {
      front.replaceChildren();
      return;
    }
    const dots = last.series.flatMap(({ xs, smooth, colour }) => {
      const at = nearest(xs, value);
      if (at < 0 || xs[at] < last.range[0] || xs[at] > last.range[1]) return [];
      return [svg("circle", { cx: x.at(xs[at]), cy: y.at(smooth[at]), r: 4, fill: colour })];
    });
    front.replaceChildren(svg("line", { x1: x.at(value), x2: x.at(value), y1: y.start_px, y2: y.end_px }), ...dots);
  }

  // As a screen reader says it.
  function tell(range, value, text) {
    const now = { valuemin: range[0], valuemax: range[1], valuenow: value ?? range[1], valuetext: text };
    for (const [name, each] of Object.entries(now)) surface.setAttribute(`aria-${name}`, each);
  }

  function rangeOf(series, range, raw) {
    const seen = series.flatMap(({ xs, ys, smooth }) => {
      const [from, to] = window_(xs, range);
      return [smooth, raw ? ys : []].flatMap((values) => withoutOutliers(values.slice(from, to)));
    });
    const [least, largest] = extent(seen) ?? bounds;
    const air = Math.max((largest - least) * 0.06, 1e-6);
    const top = bounds[1] + (bounds[1] - largest < air ? air / 2 : 0); // so that a line at 100% is seen whole
    return [Math.max(bounds[0], least - air), Math.min(top, largest + air)];
  }

  return { element: root, draw, aim, tell, said };
}

// The first and the one after the last index of what is seen, with a neighbour on either side so that lines go on.
function window_(xs, [from, to]) {
  let first = 0, last = xs.length;
  while (first < last && xs[first] < from) first++;
  while (last > first && xs[last - 1] > to) last--;
  return [Math.max(0, first - 1), Math.min(xs.length, last + 1)];
}

// Single batches jump, and the first steps are far from all others: an axis that fits them would press the rest together.
// TensorBoard leaves out 5 percent at either end.
function withoutOutliers(values) {
  if (values.length < 50) return values;
  const sorted = values.filter(Number.isFinite).sort((one, other) => one - other);
  return [sorted[Math.floor(sorted.length * 0.02)], sorted[Math.ceil(sorted.length * 0.98) - 1]];
}
