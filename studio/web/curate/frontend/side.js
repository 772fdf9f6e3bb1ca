// The panel beside the grid: states, classes and what the studio found, each with its count. A click looks at them; what
// is dragged onto a state or a class becomes it.
const STATE_SIGNS = { unlabelled: "○", labelled: "●", rejected: "✕" };
const SHELF_NAMES = ["state", "class", "suggested", "found", "copies", "clash"];

// go(filter, order): look at these; openClasses(): the dialog about classes.
function makeSide({ texts, states, found, go, openClasses }) {
  const shelves = element("ul", {});
  const classes = element("ul", {});
  const finds = element("ul", {});
  const edit = button(texts.edit, openClasses, { className: "quiet" });
  const foundGroup = group(texts.found, finds);
  const note = element("p", { className: "note" }, texts.not_yet);
  const side = element("nav", { className: "side", "aria-label": texts.side },
    group(texts.states, shelves), group(texts.classes, classes, edit), foundGroup, note);
  let drawn = "", hovered = null;

  function group(title, list, ...more) {
    return element("section", { className: "group" }, element("header", {}, element("h2", {}, title), ...more), list);
  }

  function row({ name, count, filter, order = "newest", sign, drop, key, isHere }) {
    const made = element("button", {
      type: "button", className: "shelf", "aria-pressed": isHere, onclick: () => go(filter, order), title: name,
    }, sign, element("span", { className: "name" }, name), key && element("kbd", {}, key),
    element("span", { className: "count" }, formatted(count)));
    if (drop) made.dataset.drop = drop;
    return element("li", {}, made);
  }

  return {
    element: side,
    // counts: as GET classes says them; look: what is looked at now.
    draw(counts, look) {
      const here = Object.fromEntries(SHELF_NAMES.map((name) => [name, look.chosen || look.filter.run ? "other" : look.filter[name] ?? ""]));
      const isHere = (filter) => SHELF_NAMES.every((name) => here[name] === (filter[name] ?? ""));
      const signature = JSON.stringify([counts, here]);
      if (signature === drawn) return;
      drawn = signature;
      const { activeElement } = side.getRootNode();
      const focused = [...side.querySelectorAll("button")].indexOf(activeElement);
      const total = counts.labelled + counts.unlabelled + counts.rejected;
      shelves.replaceChildren(...[["", total], ["unlabelled", counts.unlabelled], ["labelled", counts.labelled],
        ["rejected", counts.rejected]].map(([state, count]) => {
        const filter = state ? { state } : {};
        return row({
          name: states[state || "all"], count, filter, isHere: isHere(filter),
          sign: element("span", { className: "sign" }, STATE_SIGNS[state] ?? "◎"),
          drop: ["unlabelled", "rejected"].includes(state) && `state:${state}`,
        });
      }));
      classes.replaceChildren(...counts.classes.map((aClass) => {
        const filter = { class: `${aClass.id}` };
        return row({
          name: aClass.name, count: aClass.count, filter, isHere: isHere(filter),
          sign: markOf(classLook(aClass)), drop: `class:${aClass.id}`, key: keyOf(counts.classes, aClass),
        });
      }));
      if (!counts.classes.length) classes.append(element("li", { className: "hint" }, texts.no_classes));
      const some = FINDS.map((find) => ({ ...find, count: countOf(counts, find) })).filter(({ count }) => count > 0);
      finds.replaceChildren(...some.map(({ name, sign, filter, order, count }) => row({
        name: found[name], count, filter, order, isHere: isHere(filter),
        sign: element("span", { className: `sign ${name}` }, sign),
      })));
      foundGroup.hidden = !some.length;
      note.hidden = Object.keys(counts.studies ?? {}).length > 0;
      side.querySelectorAll("button")[focused]?.focus();
    },
    // Marks where what is dragged would go.
    hover(place) {
      if (place === hovered) return;
      hovered?.classList.remove("over");
      place?.classList.add("over");
      hovered = place;
    },
  };
}

function countOf(counts, { name }) {
  return name === "clash" ? counts.clashes ?? 0 : counts.findings?.[name] ?? 0;
}
