// One run: what it came to on the test images, class by class and image by image; its name and note; and the way to
// do it again, to delete it, and to see what is different from another.
const GALLERY = 24;

// board: { base, curate, runs, act(act, run, text), compare(run, other) }.
function makeResults({ texts, board }) {
  const title = element("h2", { tabIndex: -1 });
  const tools = element("div", { className: "tools" });
  const note = element("p", { className: "run-note" });
  const body = element("div", { className: "results-body", "aria-live": "polite" });
  const versus = element("select", {
    "aria-label": texts.compare, onchange: () => board.compare(Number(versus.value) || null),
  });
  const difference = element("div", { className: "differences" });
  const against = element("label", { className: "versus" }, element("span", {}, texts.compare), versus);
  const root = element("section", { className: "results", "aria-label": texts.results, hidden: true },
    element("header", {}, title, tools), note, against, difference, body);
  let shown = null;

  function head(run) {
    title.replaceChildren(...[swatch(board.colourOf(run.id)), element("span", {}, run.title),
      run.name && element("span", { className: "quiet" }, run.number)].filter(Boolean));
    tools.replaceChildren(
      button(texts.rename, () => board.rename(run)),
      button(texts.rerun, () => board.act("rerun", run.id), { title: texts.rerun_help, disabled: !run.cells.accuracy }),
      button(texts.remove, () => board.act("delete", run.id), { disabled: ["queued", "running"].includes(run.state) }));
    note.textContent = [run.note, run.origin].filter(Boolean).join(" · ");
    note.hidden = !note.textContent;
    const others = board.runs.filter((each) => each.id !== run.id && each.cells.accuracy);
    const entries = [["", texts.nothing], ...others.map((each) => [`${each.id}`, each.title])];
    if (versus.dataset.drawn !== JSON.stringify(entries)) {
      versus.dataset.drawn = JSON.stringify(entries);
      versus.replaceChildren(...entries.map(([value, text]) => element("option", { value }, text)));
    }
    versus.value = board.versus ?? "";
    against.hidden = !others.length || !run.cells.accuracy;
  }

  // found: what the studio says of the run, or null while it is asked.
  function draw(run, found) {
    root.hidden = !run;
    if (!run) return;
    head(run);
    const signature = JSON.stringify([run.id, run.state, run.error, found]);
    if (signature === shown) return;
    shown = signature;
    body.replaceChildren(...parts(run, found));
  }

  function parts(run, found) {
    const warnings = (found?.warnings ?? []).map((text) => element("p", { className: "warning" }, text));
    if (run.error) warnings.push(element("p", { className: "warning" }, run.error));
    if (!found?.evaluation) {
      const text = found ? texts.unfinished[run.state] ?? "" : texts.loading;
      return [...warnings, text && element("p", { className: "note" }, text)].filter(Boolean);
    }
    const { evaluation } = found;
    return [
      ...warnings,
      figures(evaluation),
      element("div", { className: "beside" },
        part(texts.classes, classTable(evaluation)),
        part(texts.confusion, confusionTable(run, evaluation), element("p", { className: "note" }, texts.confusion_help))),
      wrong(run, found),
      element("div", { className: "beside" },
        evaluation.precision_recall?.length && part(texts.precision_recall,
          precisionRecall(evaluation.precision_recall, texts),
          element("p", { className: "note" }, texts.precision_recall_help)),
        evaluation.calibration && part(texts.reliability, reliability(evaluation.calibration.bins, texts),
          element("p", { className: "note" }, texts.reliability_help))),
      found.slices?.length > 1 && part(texts.slices, sliceTable(found.slices)),
      found.facts?.length && part(texts.facts, facts(found.facts)),
    ].filter(Boolean);
  }

  function part(heading, ...children) {
    return element("section", { className: "part" }, element("h3", {}, heading), ...children);
  }

  function figures(evaluation) {
    const figure = (name, value, about) => element("div", { className: "figure" },
      element("dt", {}, name), element("dd", {}, element("strong", {}, value), about && element("span", {}, about)));
    const between = (interval) => interval
      && filled(texts.between, { low: percent(interval[0]), high: percent(interval[1]) });
    const { without_copies: clean, calibration } = evaluation;
    return element("dl", { className: "figures" },
      figure(texts.accuracy, share(evaluation.accuracy), between(evaluation.interval)),
      figure(texts.tested, formatted(evaluation.n), ""),
      clean && figure(texts.clean, share(clean.accuracy),
        [counted(texts.clean_of, clean.n), between(clean.interval)].filter(Boolean).join(" ")),
      calibration && figure(texts.calibration, percent(calibration.expected_error), texts.calibration_help));
  }

  const share = (value) => (value === null || value === undefined ? "—" : percent(value));

  function classTable({ scores }) {
    const isAveraged = scores.some((score) => score.average_precision !== null);
    return element("div", { className: "scrolled" }, element("table", { className: "plain" },
      element("thead", {}, element("tr", {}, ...[texts.class, texts.precision, texts.recall, "F1",
        isAveraged && texts.average, texts.images].filter(Boolean).map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...scores.map((score) => element("tr", {}, element("th", { scope: "row" }, score.label),
        ...[score.precision, score.recall, score.f1, ...(isAveraged ? [score.average_precision] : [])]
          .map((value) => element("td", {}, share(value))),
        element("td", {}, formatted(score.count)))))));
  }

  function confusionTable(run, { classes, confusion }) {
    const rows = confusion.map((row, at) => {
      const sum = row.reduce((one, other) => one + other, 0);
      return element("tr", {}, element("th", { scope: "row" }, classes[at]), ...row.map((number, to) => {
        const cell = element("td", {});
        if (!number) return cell;
        const depth = number / sum;
        cell.style.setProperty("--depth", `${Math.round(12 + 88 * depth)}%`);
        cell.className = depth > 0.5 ? "filled strong" : "filled";
        if (at !== to) cell.classList.add("mistaken");
        const said = filled(at === to ? texts.cell_right : texts.cell_wrong, {
          count: formatted(number), true: classes[at], predicted: classes[to], share: percent(depth),
        });
        cell.append(element("a", {
          href: board.gridAddress({ run: run.id, true: classes[at], predicted: classes[to] }),
          title: said, "aria-label": said,
        }, formatted(number)));
        return cell;
      }));
    });
    return element("div", { className: "scrolled" }, element("table", { className: "confusion" },
      element("thead", {}, element("tr", {}, element("td", {}, element("span", { className: "corner" }, texts.axes)),
        ...classes.map((label) => element("th", { scope: "col" }, element("span", {}, label))))),
      element("tbody", {}, ...rows)));
  }

  function wrong(run, { wrong: all, wrong_count: total }) {
    if (!total) return part(texts.wrong, element("p", { className: "note" }, texts.none_wrong));
    const tiles = all.slice(0, GALLERY).map((each) => element("li", {}, element("a", {
      className: "mistake", href: board.gridAddress({ run: run.id, wrong: "1", at: each.image }),
      title: filled(texts.mistake, { ...each, score: percent(each.score) }),
    }, element("img", { src: `/studio/thumbnails/${each.sha}.jpg`, alt: each.name, loading: "lazy", decoding: "async" }),
    element("span", { className: "said" }, element("b", {}, each.predicted), ` ${percent(each.score)}`),
    element("span", { className: "true" }, filled(texts.truly, { true: each.true }),
      each.true_score !== null && each.true_score !== undefined ? ` ${percent(each.true_score)}` : ""))));
    return part(counted(texts.wrong_count, total), element("p", { className: "note" }, texts.wrong_help),
      element("ul", { className: "gallery" }, ...tiles),
      element("p", {}, element("a", { className: "go", href: board.gridAddress({ run: run.id, wrong: "1" }) },
        counted(texts.all_wrong, total))));
  }

  function sliceTable(slices) {
    return element("div", { className: "scrolled" }, element("table", { className: "plain" },
      element("thead", {}, element("tr", {}, ...[texts.source, texts.accuracy, texts.interval, texts.images]
        .map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...slices.map((slice) => element("tr", {}, element("th", { scope: "row" }, slice.name),
        element("td", {}, share(slice.accuracy)),
        element("td", {}, slice.interval ? `${percent(slice.interval[0])} – ${percent(slice.interval[1])}` : "—"),
        element("td", {}, formatted(slice.n)))))));
  }

  function facts(rows) {
    return element("dl", { className: "facts" }, ...rows.flatMap(([name, value]) => [
      element("dt", {}, name), element("dd", {}, value)]));
  }

  return { element: root, draw, difference, title };
}
