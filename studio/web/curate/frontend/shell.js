// Puts the parts of the grid together, and draws what is around the images.

function build(view) {
  const { texts, base } = view;
  const act = (state) => () => {
    view.label({ state, class: null, name: "" });
    view.toGrid();
  };
  view.grid = new Grid(view, texts);
  view.chooser = makeChooser({
    texts: texts.chooser, classes: () => view.classes,
    choose: (target) => view.label(target), closed: () => { if (!view.closer.open) view.toGrid(); },
  });
  view.closer = makeCloser(base, { ...texts.closer, ...texts.tile }, view);
  view.help = makeHelp(texts.keys);
  // In the last line, so that no image moves when it comes and goes.
  view.hint = element("span", { className: "refresh", hidden: true }, element("span", {}),
    button(texts.hint.refresh, () => { view.refresh(); view.toGrid(); }));
  view.status = makeStatus(texts.status, view.hint);
  const changeClasses = (change) => view.changeClasses(change);
  view.classDialog = makeClassDialog({ texts, classes: () => view.classes, act: changeClasses });
  view.history = makeHistory({ base, author, texts, undo: (id) => view.acts.undoOf(id) });
  view.map = makeMap({
    project: view.place, base, texts, classes: () => view.classes,
    onLasso: (ids) => view.openChosen(ids), onLook: (id) => view.closer.show(id, false),
  });
  view.side = makeSide({
    texts: texts.side, states: texts.states, found: texts.found,
    go: (filter, order) => view.goShelf(filter, order), openClasses: () => view.classDialog.open(),
  });
  view.toolbar = makeToolbar({
    texts: texts.tools, orders: texts.orders, grid: view.grid, look: () => view.look,
    go: (filter, order) => view.go(filter, order),
    actions: {
      undo: () => view.acts.undo(), redo: () => view.acts.redo(), map: () => view.mapShown(view.map.element.hidden),
      classes: () => view.classDialog.open(), history: () => view.history.open(), help: () => view.help.open(),
    },
  });
  view.actionBar = makeActionBar(texts.selected, {
    label: () => view.choose(), reject: act("rejected"), unlabel: act("unlabelled"),
    accept: () => { view.accept(); view.toGrid(); },
    keep_best: () => view.each((ids) => view.acts.rejectCopies(ids)),
    keep_label: () => view.each((ids) => view.acts.settle(ids, "theirs")),
    use_other: () => view.each((ids) => view.acts.settle(ids, "mine")),
    all: () => { view.selectAll(); view.toGrid(); }, none: () => { view.clear(); view.toGrid(); },
  });
  view.empty = element("div", { className: "empty", hidden: true }, element("p", {}),
    button(texts.hint.clear, () => view.go({}, "newest")));
  view.element = element("section", { className: "curating", "aria-label": texts.grid.name },
    view.side.element,
    element("div", { className: "main" }, view.toolbar.element, view.toolbar.chips,
      element("div", { className: "stage" }, view.grid.element, view.empty, view.map.element),
      view.actionBar.element, view.status.element),
    view.status.live, view.status.notices, view.closer.element, view.chooser.element, view.help.element,
    view.classDialog.element, view.history.element);
  listenToKeys(view.element, view);
  listenToPointer(view.grid, view);
  keepUndisturbed(view.element, view);
}

function drawAround(view) {
  const { texts, look, index, selection, queue, counts, moved, fresh } = view;
  view.side.draw(counts, look);
  view.toolbar.draw(counts, !view.map.element.hidden);
  view.actionBar.draw(selection.count, look);
  view.status.draw({
    total: index.length, complete: index.complete && !view.next, selected: selection.count,
    waiting: queue.pending.length, fault: queue.fault || (view.secret ? "secret" : ""), why: queue.said,
    unkept: queue.unkept, away: view.away,
  });
  const parts = [
    moved.size && counted(texts.hint.moved, moved.size),
    fresh.size && counted(texts.hint.fresh, fresh.size),
    view.stale && texts.hint.stale,
  ].filter(Boolean);
  view.hint.hidden = !parts.length;
  const said = parts.join(" ");
  if (view.hint.firstChild.textContent !== said) view.hint.firstChild.textContent = said;
  const nothing = index.complete && !index.length && !view.next;
  view.empty.hidden = !nothing || !view.map.element.hidden;
  view.empty.firstChild.textContent = index.fault || texts.hint.nothing;
  view.empty.lastChild.hidden = !Object.keys(look.filter).length && look.order === "newest";
}
