// What is different between two runs: settings, results, each class, and the images that they learnt from.

// found: { mine, theirs: titles, settings, results: [{ label, mine, theirs, differs, change, better }],
// classes: [{ label, recall, recall_before, precision, precision_before }],
// images: [{ kind, count, of_class: [[label, count], …], asking }] }.
function differenceOf(found, texts, gridAddress) {
  const pair = (rows, isMeasured) => element("div", { className: "scrolled" }, element("table", {
    className: "plain difference",
  }, element("thead", {}, element("tr", {}, ...["", found.theirs, found.mine].map((text) => (
      element("th", { scope: "col" }, text))), isMeasured && element("th", { scope: "col" }, texts.points))),
    element("tbody", {}, ...rows.map((row) => element("tr", { className: row.differs ? "differs" : "" },
      element("th", { scope: "row" }, row.label), element("td", {}, row.theirs), element("td", {}, row.mine),
      isMeasured && element("td", { className: changeClass(row.better) }, row.change ?? ""))))));
  const differing = found.settings.filter(({ differs }) => differs);
  const alike = found.settings.length - differing.length;
  return [
    element("div", { className: "beside" },
      section(texts.results, pair(found.results, true)),
      element("div", {},
        section(texts.settings, differing.length ? pair(differing, false) : null,
          element("p", { className: "note" }, differing.length ? counted(texts.alike, alike) : texts.all_alike)),
        section(texts.images, imageChanges(found.images, texts, gridAddress)))),
    section(texts.each_class, classChanges(found, texts)),
  ];

  function section(heading, ...children) {
    return element("section", { className: "part" }, element("h3", {}, heading), ...children);
  }
}

function changeClass(better) {
  return better === null || better === undefined ? "change" : better ? "change better" : "change worse";
}

function imageChanges(changes, texts, gridAddress) {
  const some = changes.filter(({ count }) => count);
  if (!some.length) return element("p", { className: "note" }, texts.same_images);
  return element("ul", { className: "image-changes" }, ...some.map(({ kind, count, of_class, asking }) => element("li", {},
    asking ? element("a", { className: "go", href: gridAddress(asking) }, counted(texts[kind], count))
      : element("span", {}, counted(texts[kind], count)),
    of_class.length > 0 && element("span", { className: "quiet" }, ` ${of_class.map(([label, number]) => (
      `${label} ${formatted(number)}`)).join(" · ")}`))));
}

function classChanges({ classes, mine, theirs }, texts) {
  const change = (now, before) => {
    if (now === null || before === null || now === undefined || before === undefined) return element("td", {}, "—");
    const points = (now - before) * 100;
    const isSame = Math.abs(points) < 0.05;
    return element("td", { className: changeClass(isSame ? null : points > 0) },
      isSame ? "±0" : formatted(points, { signDisplay: "always", minimumFractionDigits: 1, maximumFractionDigits: 1 }));
  };
  const share = (value) => element("td", {}, value === null || value === undefined ? "—" : percent(value));
  return element("div", { className: "scrolled" }, element("table", { className: "plain difference" },
    element("thead", {},
      element("tr", {}, element("th", { rowSpan: 2, scope: "col" }, texts.class),
        ...[texts.recall, texts.precision].map((text) => element("th", { colSpan: 3, scope: "colgroup" }, text))),
      element("tr", {}, ...[theirs, mine, texts.points, theirs, mine, texts.points].map((text) => (
        element("th", { scope: "col" }, text))))),
    element("tbody", {}, ...classes.map((each) => element("tr", {}, element("th", { scope: "row" }, each.label),
      share(each.recall_before), share(each.recall), change(each.recall, each.recall_before),
      share(each.precision_before), share(each.precision), change(each.precision, each.precision_before))))));
}
