// Above the grid: what is looked at, in which order and how large, and the way to everything else.
const TYPED_MS = 350;
const NARROWING = ["text", "source", "licence", "split", "from", "to", "suggested"];

// look(): what is looked at; go(filter, order): look at that.
function makeToolbar({ texts, orders, look, go, grid, actions }) {
  const named = (text) => ({ "aria-label": text, title: text });
  const order = element("select", { ...named(texts.order), onchange: () => go(look().filter, order.value) });
  const text = element("input", { type: "search", placeholder: texts.text, "aria-label": texts.text, maxLength: 200 });
  const fields = {
    source: element("select", {}), licence: element("select", {}), split: element("select", {}),
    from: element("input", { type: "date" }), to: element("input", { type: "date" }), suggested: element("select", {}),
  };
  const summary = element("summary", {}, texts.filters);
  const panel = element("div", { className: "panel" }, ...Object.entries(fields).map(([name, field]) => (
    element("label", {}, element("span", {}, texts[name]), field))));
  const more = element("details", { className: "filters" }, summary, panel);
  const chips = element("div", { className: "chips", role: "group", "aria-label": texts.filters });
  const size = element("input", {
    type: "range", min: LEAST_SIDE_PX, max: MOST_SIDE_PX, step: 4, value: grid.wish, ...named(texts.size),
    oninput: () => grid.resize(Number(size.value)),
  });
  const tool = (name, sign, title) => button(sign ? `${sign} ${texts[name]}` : texts[name], actions[name],
    { className: `tool-${name}`, title: title ?? texts[name] });
  const map = tool("map");
  const bar = element("div", { className: "toolbar", role: "toolbar", "aria-label": texts.toolbar },
    element("div", { className: "looking" }, text, more, order,
      element("label", { className: "size" }, element("span", { "aria-hidden": "true" }, "▫"), size,
        element("span", { "aria-hidden": "true" }, "◻"))),
    element("div", { className: "doing" }, tool("undo", "↶", "U"), tool("redo", "↷", "Shift+U"), map,
      tool("classes"), tool("history"), button("?", actions.help, { className: "tool-help", ...named(texts.help) })));

  const set = (name, value) => go({ ...look().filter, [name]: value }, look().order);
  let typing;
  text.oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(() => set("text", text.value.trim()), TYPED_MS);
  };
  text.onkeydown = (event) => {
    if (event.key === "Enter" || event.key === "Escape") {
      clearTimeout(typing);
      if (event.key === "Escape") text.value = "";
      set("text", text.value.trim());
      grid.element.focus({ preventScroll: true });
      event.preventDefault();
    }
  };
  for (const [name, field] of Object.entries(fields)) field.onchange = () => set(name, field.value);
  more.onkeydown = (event) => {
    if (event.key !== "Escape" || !more.open) return;
    more.open = false;
    summary.focus();
    event.preventDefault();
  };
  more.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !more.contains(event.relatedTarget)) more.open = false;
  });

  function options(select, entries, value) {
    const drawn = JSON.stringify(entries);
    if (select.dataset.drawn !== drawn) {
      select.replaceChildren(...entries.map(([each, label]) => element("option", { value: each }, label)));
      select.dataset.drawn = drawn;
    }
    select.value = value ?? "";
  }

  return {
    element: bar,
    chips,
    draw(counts, mapShown) {
      const { filter, order: here, chosen } = look();
      const any = ["", texts.any];
      const open = ORDERS.filter((each) => each !== "strongest" || filter.found || here === each);
      order.disabled = Boolean(filter.run); // those of a run have an order of their own
      const ordered = [...open, ...(here === "alike" ? ["alike"] : [])].map((each) => [each, orders[each]]);
      options(order, filter.run ? [[here, texts.runs[filter.changed ? "as_found" : "surest"]]] : ordered, here);
      const sources = (counts.sources ?? []).map((each) => [each, texts.sources[each] ?? each]);
      options(fields.source, [any, ...sources], filter.source);
      options(fields.licence, [any, ["unknown", texts.unknown], ["known", texts.known],
        ...(counts.licences ?? []).map((each) => [each, each])], filter.licence);
      const splits = ["training", "validation", "testing"].map((each) => [each, texts[each]]);
      options(fields.split, [any, ...splits], filter.split);
      options(fields.suggested, [any, ...counts.classes.map(({ id, name }) => [`${id}`, name])], filter.suggested);
      for (const name of ["from", "to"]) fields[name].value = filter[name] ?? "";
      if (text.getRootNode().activeElement !== text) text.value = filter.text ?? "";
      const active = NARROWING.filter((name) => filter[name]);
      const said = active.filter((name) => name !== "text").length;
      summary.textContent = said ? `${texts.filters} · ${said}` : texts.filters;
      const shownAs = (name) => fields[name]?.selectedOptions?.[0]?.label ?? filter[name];
      const drawn = active.map((name) => chip(`${texts[name]}: ${shownAs(name)}`, () => set(name, "")));
      if (filter.run) drawn.unshift(chip(runText(filter), () => go(withoutRun(filter), here)));
      if (chosen) drawn.unshift(chip(texts.chosen, () => go({}, "newest")));
      if (here === "alike") drawn.unshift(chip(texts.alike, () => go(filter, "newest")));
      if (drawn.length > 1) drawn.push(button(texts.clear, () => go({}, "newest"), { className: "quiet" }));
      chips.replaceChildren(...drawn);
      chips.hidden = !drawn.length;
      map.setAttribute("aria-pressed", mapShown);
    },
  };

  function withoutRun(filter) {
    return Object.fromEntries(Object.entries(filter).filter(([name]) => !RUN_NAMES.includes(name)));
  }

  // What is meant by a run, in words.
  function runText({ run, true: true_, predicted, wrong, since, changed }) {
    const said = changed ? texts.runs[changed] : wrong ? texts.runs.wrong : true_ && true_ === predicted ? texts.runs.right
      : true_ && predicted ? texts.runs.taken : texts.runs.tested;
    return filled(said, { run, true: true_, predicted, since });
  }

  function chip(label, drop) {
    return element("button", { type: "button", className: "chip-filter", onclick: drop, title: texts.drop },
      element("span", {}, label), element("span", { "aria-hidden": "true" }, " ✕"));
  }
}
