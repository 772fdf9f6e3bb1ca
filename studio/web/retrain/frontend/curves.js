// The curves of the runs that are drawn: two measures, one axis, and beneath them what they are at one step.
const SMOOTHING_KEY = "studio-smoothing", SMOOTHING = 0.6;
const KEYED_STEPS = 100; // as many presses of an arrow cross what is seen

// runs(): [{ id, title, colour }] that are drawn; store: their CurveStore.
function makeCurves({ texts, store, runs }) {
  let axis = "steps", zoom = null, aimed = null;
  const shown = { training: true, validation: true };
  const smoothing = element("input", {
    type: "range", min: 0, max: 0.99, step: 0.01, value: rememberedSmoothing(), oninput: () => { remember(); draw(); },
  });
  const strength = element("output", {});
  const raw = check(texts.raw, true);
  const axes = element("select", {
    "aria-label": texts.axis, onchange: () => { axis = axes.value; zoom = null; aimed = null; draw(); },
  }, element("option", { value: "steps" }, texts.step), element("option", { value: "seconds" }, texts.time));
  const whole = button(texts.whole, () => reset(), { hidden: true });
  const bar = element("div", { className: "curves-bar" },
    element("label", { className: "smoothing" }, element("span", {}, texts.smoothing), smoothing, strength),
    raw.label,
    ...CURVE_SPLITS.map((split) => check(texts[split], true, (on) => { shown[split] = on; },
      element("span", { className: `line-sample ${split}`, "aria-hidden": "true" })).label),
    element("label", {}, element("span", {}, texts.axis), axes), whole);
  const on = {
    aim: (value) => { aimed = value; mark(); },
    zoom: (range) => { zoom = range; draw(); },
    reset,
    step: move,
    magnify,
  };
  const plots = {
    accuracy: makePlot({
      title: texts.accuracy, bounds: [0, 1], on, said: percent,
      saidTick: (value, step) => withDecimals(value, decimals(step * 100), { style: "percent" }),
    }),
    cross_entropy: makePlot({
      title: texts.cross_entropy, bounds: [0, Infinity], on,
      said: (value) => withDecimals(value, 3),
      saidTick: (value, step) => withDecimals(value, decimals(step)),
    }),
  };
  const note = element("p", { className: "note", hidden: true });
  const nothing = element("p", { className: "note", hidden: true }, texts.nothing);
  const body = element("tbody", {});
  const caption = element("caption", {});
  const values = element("table", { className: "values" }, caption, element("thead", {},
    element("tr", {}, ...[texts.run, texts.step].map((text) => element("th", { rowSpan: 2, scope: "col" }, text)),
      ...[texts.accuracy, texts.cross_entropy].map((text) => element("th", { colSpan: 2, scope: "colgroup" }, text))),
    element("tr", {}, ...[...CURVE_SPLITS, ...CURVE_SPLITS].map((split) => (
      element("th", { scope: "col" }, texts[split]))))), body);
  const root = element("section", { className: "curves", "aria-label": texts.curves }, bar,
    element("div", { className: "plots" }, ...Object.values(plots).map((plot) => plot.element)),
    nothing, note, element("div", { className: "scrolled" }, values),
    element("p", { className: "help", id: "curves-help" }, texts.help));
  let domain = [0, 1], rows = [];

  function check(text, on_, act = () => {}, ...more) {
    const box = element("input", { type: "checkbox", checked: on_, onchange: () => { act(box.checked); draw(); } });
    return { box, label: element("label", { className: "check" }, box, ...more, element("span", {}, text)) };
  }

  function reset() {
    zoom = null;
    draw();
  }

  // Moves what is read by so many hundredths of what is seen; ±Infinity goes to an end.
  function move(by) {
    const [from, to] = range();
    const here = aimed ?? (by < 0 ? to : from);
    const there = Number.isFinite(by) ? here + by * (to - from) / KEYED_STEPS : by;
    aimed = Math.min(to, Math.max(from, there));
    mark();
  }

  function magnify(factor) {
    const [from, to] = range();
    const middle = aimed ?? (from + to) / 2;
    const half = (to - from) * factor / 2;
    const next = [Math.max(domain[0], middle - half), Math.min(domain[1], middle + half)];
    zoom = next[0] <= domain[0] && next[1] >= domain[1] ? null : next;
    draw();
  }

  const range = () => zoom ?? domain;

  function draw() {
    const weight = Number(smoothing.value);
    strength.textContent = formatted(weight, { minimumFractionDigits: 2 });
    rows = runs().map((run) => ({ run, splits: Object.fromEntries(CURVE_SPLITS.map((split) => {
      const curve = store.of(run.id, split);
      const timed = axis !== "seconds" || curve.seconds.every((each) => each !== null);
      return [split, { curve, xs: timed ? curve[axis] : [], timed, smooth: {
        accuracy: smoothed(curve.accuracy, weight), cross_entropy: smoothed(curve.cross_entropy, weight),
      } }];
    })) }));
    const ends = rows.flatMap(({ splits }) => CURVE_SPLITS.map((split) => splits[split].xs.at(-1) ?? 0));
    domain = [0, Math.max(axis === "steps" ? 10 : 0.01, ...ends)];
    for (const [measure, plot] of Object.entries(plots)) {
      const series = rows.flatMap(({ run, splits }) => CURVE_SPLITS.filter((split) => shown[split]).map((split) => ({
        xs: splits[split].xs, ys: splits[split].curve[measure], smooth: splits[split].smooth[measure],
        colour: run.colour, dashed: split === "training",
      }))).filter(({ xs }) => xs.length);
      plot.draw({ series, range: range(), raw: raw.box.checked && weight > 0, saidX, aim: aimed });
    }
    const untimed = rows.filter(({ splits }) => !splits.training.timed).map(({ run }) => run.title);
    note.hidden = !untimed.length;
    note.textContent = filled(texts.untimed, { runs: untimed.join(", ") });
    nothing.hidden = ends.some((end) => end > 0);
    whole.hidden = !zoom;
    mark();
  }

  const saidX = (value) => (axis === "steps" ? formatted(value, { maximumFractionDigits: 0 }) : duration(value, texts));

  // Values at the place that is read, or the last ones.
  function mark() {
    const [from, to] = range();
    const place = aimed === null ? null : Math.min(to, Math.max(from, aimed));
    const told = { accuracy: [], cross_entropy: [] };
    body.replaceChildren(...rows.map(({ run, splits }) => {
      const at = Object.fromEntries(CURVE_SPLITS.map((split) => {
        const { xs, curve } = splits[split];
        return [split, place === null ? curve.steps.length - 1 : nearest(xs, place)];
      }));
      const step = Math.max(...CURVE_SPLITS.map((split) => splits[split].curve.steps[at[split]] ?? 0));
      const cell = (measure, split) => {
        const value = splits[split].curve[measure][at[split]];
        if (value === undefined) return element("td", {}, "—");
        const smooth = splits[split].smooth[measure][at[split]];
        const { said } = plots[measure];
        told[measure].push(`${run.title}, ${texts[split]} ${said(value)}`);
        return element("td", { title: filled(texts.smooth_value, { value: said(smooth) }) }, said(value));
      };
      return element("tr", {}, element("th", { scope: "row" }, swatch(run.colour), run.title),
        element("td", {}, step ? formatted(step) : "—"),
        ...["accuracy", "cross_entropy"].flatMap((measure) => CURVE_SPLITS.map((split) => cell(measure, split))));
    }));
    const there = axis === "steps" ? texts.at_step : texts.at_time;
    const where = place === null ? texts.latest : filled(there, { at: saidX(place) });
    caption.textContent = where;
    values.hidden = !rows.length;
    for (const [measure, plot] of Object.entries(plots)) {
      plot.aim(place);
      plot.tell([from, to], place, `${where}: ${told[measure].join("; ")}`);
    }
  }

  function remember() {
    try {
      localStorage.setItem(SMOOTHING_KEY, smoothing.value);
    } catch { /* a browser that keeps nothing: the choice holds until the page is left */ }
  }

  return { element: root, draw };
}

function rememberedSmoothing() {
  try {
    return localStorage.getItem(SMOOTHING_KEY) ?? SMOOTHING;
  } catch {
    return SMOOTHING;
  }
}

function swatch(colour) {
  const made = element("span", { className: "swatch", "aria-hidden": "true" });
  made.style.background = colour;
  return made;
}

function withDecimals(value, digits, more = {}) {
  return formatted(value, { minimumFractionDigits: digits, maximumFractionDigits: digits, ...more });
}

function percent(share) {
  return withDecimals(share, 1, { style: "percent" });
}

function duration(seconds, texts) {
  const [text, unit_s] = seconds < 100 ? [texts.seconds, 1] : seconds < 6_000 ? [texts.minutes, 60] : [texts.hours, 3_600];
  const digits = unit_s > 1 || seconds < 10 ? 1 : 0;
  return filled(text, { count: formatted(seconds / unit_s, { maximumFractionDigits: digits }) });
}
