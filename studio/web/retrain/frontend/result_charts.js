// Small charts of a run's answers: precision over recall, and how often it is right where it is so sure.
const SQUARE_PX = 260;

function squareChart(name, xTitle, yTitle, draw) {
  const x = new Scale(0, 1, 44, SQUARE_PX + 44), y = new Scale(0, 1, SQUARE_PX + 8, 8);
  const made = svg("svg", {
    class: "plot square", viewBox: `0 0 ${SQUARE_PX + 60} ${SQUARE_PX + 52}`, role: "img", "aria-label": name,
  });
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    const text = formatted(value, { style: "percent" });
    made.append(svg("g", { class: "plot-grid" },
      svg("line", { x1: x.at(0), x2: x.at(1), y1: y.at(value), y2: y.at(value) }),
      svg("text", { x: x.at(0) - 6, y: y.at(value) + 4, "text-anchor": "end" }, text),
      svg("text", { x: x.at(value), y: y.at(0) + 18, "text-anchor": "middle" }, text)));
  }
  made.append(svg("g", { class: "plot-grid" },
    svg("text", { x: x.at(0.5), y: y.at(0) + 38, "text-anchor": "middle" }, xTitle),
    svg("text", { transform: `translate(11 ${y.at(0.5)}) rotate(-90)`, "text-anchor": "middle" }, yTitle)));
  draw(made, x, y);
  return made;
}

// curves: [{ label, average_precision, recalls: [], precisions: [] }].
function precisionRecall(curves, texts) {
  const colours = curves.map((_curve, at) => PALETTE[at % PALETTE.length]);
  const chart = squareChart(texts.precision_recall, texts.recall, texts.precision, (made, x, y) => {
    curves.forEach(({ label, recalls, precisions }, at) => {
      const line = svg("path", {
        class: "plot-line", stroke: colours[at],
        d: recalls.map((each, i) => `${i ? "L" : "M"}${x.at(each).toFixed(1)} ${y.at(precisions[i]).toFixed(1)}`).join(""),
      }, svg("title", {}, label));
      made.append(line);
    });
  });
  const legend = element("ul", { className: "legend" }, ...curves.map(({ label, average_precision }, at) => element("li", {
    onmouseenter: () => chart.querySelectorAll("path").forEach((path, i) => path.classList.toggle("faint", i !== at)),
    onmouseleave: () => chart.querySelectorAll("path").forEach((path) => path.classList.remove("faint")),
  }, swatch(colours[at]), element("span", {}, label), element("span", { className: "quiet" },
    average_precision === null ? "—" : percent(average_precision)))));
  return element("div", { className: "charted" }, chart, legend);
}

// bins: [{ low, high, confidence, accuracy, n }], each of images.
function reliability(bins, texts) {
  const most = Math.max(...bins.map(({ n }) => n));
  const chart = squareChart(texts.reliability, texts.confidence, texts.right, (made, x, y) => {
    made.append(svg("line", { class: "diagonal", x1: x.at(0), y1: y.at(0), x2: x.at(1), y2: y.at(1) }));
    for (const { low, high, confidence, accuracy, n } of bins) {
      const said = filled(texts.bin, {
        low: percent(low), high: percent(high), accuracy: percent(accuracy), count: formatted(n),
      });
      made.append(svg("g", { class: "bin" }, svg("title", {}, said),
        svg("rect", {
          x: x.at(low) + 1, width: x.at(high) - x.at(low) - 2, rx: 2,
          y: y.at(accuracy), height: Math.max(1, y.at(0) - y.at(accuracy)),
          "fill-opacity": (0.25 + 0.75 * Math.sqrt(n / most)).toFixed(2),
        }),
        svg("circle", { cx: x.at(confidence), cy: y.at(accuracy), r: 3 })));
    }
  });
  return element("div", { className: "charted" }, chart, element("table", { className: "plain small" }, element("thead", {}, element("tr", {},
    ...[texts.confidence, texts.right, texts.images].map((text) => element("th", { scope: "col" }, text)))),
  element("tbody", {}, ...bins.map(({ confidence, accuracy, n }) => element("tr", {},
    ...[percent(confidence), percent(accuracy), formatted(n)].map((text) => element("td", {}, text)))))));
}
