// The labelling grid as a whole. One view a project, built once and moved to wherever the page draws it: a page that
// runs again finds it as it was, and one that is come back to finds its undo history still there.
import { luminance } from "../../components/class_appearance.js";
import { fillText, pluralText } from "../../../share/web_demo/page/dom.js";
import { ChangePoller } from "./change_poller.js";
import { makeClassDialog } from "./class_dialog.js";
import { makeClassPicker } from "./class_picker.js";
import { makeEmbeddingMap, themeOf } from "./embedding_map.js";
import { FilteredList } from "./filtered_list.js";
import { readQuery } from "./filters.js";
import { makeHistoryDialog } from "./history_dialog.js";
import { groupByTarget, newOperationId } from "./id_ranges.js";
import { makeImageViewer } from "./image_viewer.js";
import { ItemCache } from "./item_cache.js";
import { listenToKeys, makeShortcutDialog } from "./keyboard_shortcuts.js";
import { LabelOperations } from "./label_operations.js";
import { browserAuthor, labelQueue } from "./label_queue.js";
import { listenToPointer } from "./pointer_gestures.js";
import { makeSidebar } from "./sidebar.js";
import { makeStatusBar } from "./status_bar.js";
import { tileState } from "./tile_state.js";
import { makeSelectionBar, makeToolbar } from "./toolbar.js";
import { layOut, makeRefreshHint } from "./view_layout.js";
import { VirtualGrid } from "./virtual_grid.js";

/** @import { ComponentArgs } from "../../components/types.js" */
/** @import { GridTileState } from "./tile.js" */
/** @import { Change, ClassChange, Counts, CurateData, LabelState, OperationResult, Target } from "./types.js" */

const MAX_HOLD_MS = 5_000;

export class CurateView {
  /** @param {CurateData} data */
  constructor({ place, base, texts }) {
    this.place = place;
    this.base = base;
    this.texts = texts;
    this.isShown = false;
    this.isAway = false;
    this.needsSecret = false;
    this.busy = 0; // how many promises keys wait for
    /** @type {(isWanted: boolean) => void} */
    this.releaseKeys = () => {};
    this.ownNumber = 0; // of the history: the newest operation of this view
    /** @type {string | undefined} */
    this.analyses = undefined;
    /** @type {number | undefined} */
    this.frame = undefined;
    this.lifetime = new AbortController(); // ends when another project's view takes this one's place
    /** @type {Counts} */
    this.counts = { classes: [], unlabelled: 0, labelled: 0, rejected: 0, findings: {}, studies: {} };
    this.queue = labelQueue(place, base);
    this.queue.onChange = () => this.drawSoon();
    this.items = new ItemCache(base, this.queue, () => this.draw());
    this.poller = new ChangePoller(base, {
      onChanges: (changes, number) => this.onChanges(changes, number),
      onCounts: (counts) => this.onCounts(counts),
      onConnection: (isConnected, needsSecret) => this.onConnection(isConnected, needsSecret),
    });
    this.list = new FilteredList(this);
    this.operations = new LabelOperations(this, texts.acts);
    this.grid = new VirtualGrid(this, texts);
    this.classPicker = makeClassPicker({
      texts: texts.chooser, classes: () => this.classes,
      onChoose: (target) => this.label(target), onClose: () => { if (!this.viewer.isOpen) this.focusGrid(); },
    });
    this.viewer = makeImageViewer(this, { ...texts.closer, ...texts.tile });
    this.shortcutDialog = makeShortcutDialog(texts.keys);
    this.refreshHint = makeRefreshHint(texts.hint.refresh, () => {
      this.list.refresh();
      this.focusGrid();
    });
    this.statusBar = makeStatusBar(texts.status, this.refreshHint);
    this.classDialog = makeClassDialog({
      texts: texts.classes, classes: () => this.classes, change: (change) => this.changeClasses(change),
    });
    this.historyDialog = makeHistoryDialog({
      base, author: browserAuthor(), texts: texts.history, undo: (id) => this.operations.undoOperation(id),
    });
    this.map = makeEmbeddingMap({
      base, texts: texts.map, classes: () => this.classes,
      onSelect: (ids) => this.list.showChosen(ids), onOpen: (id) => { this.viewer.show(id, false); },
    });
    this.sidebar = makeSidebar({
      texts: texts.side, states: texts.states, findings: texts.found,
      show: (filter, order) => this.list.showFromSidebar(filter, order), openClasses: () => this.classDialog.open(),
    });
    this.toolbar = makeToolbar({
      texts: texts.tools, orders: texts.orders, grid: this.grid, query: () => this.list.query,
      show: (filter, order) => this.list.show(filter, order),
      actions: {
        undo: () => this.operations.undo(), redo: () => this.operations.redo(),
        map: () => this.showMap(Boolean(this.map.element.hidden)), classes: () => this.classDialog.open(),
        history: () => this.historyDialog.open(), help: () => this.shortcutDialog.open(),
      },
    });
    /** @param {LabelState} state */
    const labelAs = (state) => {
      this.label({ state, class: null, name: "" });
      this.focusGrid();
    };
    this.selectionBar = makeSelectionBar(texts.selected, {
      label: () => this.openClassPicker(), reject: () => labelAs("rejected"), unlabel: () => labelAs("unlabelled"),
      accept: () => {
        this.accept();
        this.focusGrid();
      },
      keep_best: () => this.applyToActive((ids) => this.operations.rejectDuplicates(ids)),
      keep_label: () => this.applyToActive((ids) => this.operations.settleConflicts(ids, "theirs")),
      use_other: () => this.applyToActive((ids) => this.operations.settleConflicts(ids, "own")),
      all: () => {
        this.selectAll();
        this.focusGrid();
      },
      none: () => {
        this.clearSelection();
        this.focusGrid();
      },
    });
    const { element, drawSurroundings } = layOut(this);
    this.element = element;
    this.drawSurroundings = drawSurroundings;
    listenToKeys(this.element, this);
    listenToPointer(this.grid, this);
  }

  /** Draw what is around the grid with the next frame; the grid itself is drawn at once by what changes it. */
  drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.grid.draw();
      this.drawSurroundings();
    });
  }

  /** The page shows this view: again, or for the first time. */
  onShow() {
    if (this.isShown) return;
    this.isShown = true;
    this.poller.start();
    this.list.open(readQuery());
  }

  onHide() {
    this.isShown = false;
    this.poller.stop();
  }

  /** Give way to another project's view. What is on its way goes on. */
  end() {
    this.onHide();
    this.lifetime.abort();
    this.list.index.stop();
    this.queue.onChange = () => {};
    this.queue.onAnswer = () => {};
  }

  /** Return the ids of the images that an action applies to: the one in the viewer, the selected, or the focused one. */
  activeIds() {
    const { index, selection } = this.list;
    if (this.viewer.isOpen) return [this.viewer.id];
    if (selection.count) return Array.from(selection.ids());
    return index.length ? [index.ids[this.grid.focus]] : [];
  }

  /** @param {Target} target */
  label(target) {
    const known = target.name ? this.classNamed(target.name) : null; // typed, and there already
    this.operations.set(this.activeIds(), known ? { state: "labelled", class: known.id, name: "" } : target);
    this.advance();
  }

  async accept() {
    const ids = this.activeIds();
    // Many labels are not replaced at once where label issues are not what is shown.
    const withIssues = ids.length === 1 || this.list.query.filter.found === "doubtful";
    // Without waiting where everything is known, so that the next key finds it done.
    if (ids.every((id) => this.items.get(id))) this.operations.accept(ids, withIssues);
    else {
      await this.holdKeys(this.operations.accept(ids, withIssues).catch(() => this.notify(this.texts.status.away)));
    }
    this.advance();
  }

  async acceptScreen() {
    const [from, to] = this.grid.shown;
    const ids = this.list.index.slice(from, to + 1).filter((id) => this.items.get(id));
    if (await this.operations.accept(ids)) this.draw();
  }

  /** After an action: move on to the next image that is not selected, and select nothing. */
  advance() {
    const { grid, viewer } = this;
    const { index, selection } = this.list;
    let to = grid.focus;
    if (viewer.isOpen || !selection.count) to++;
    else while (to < index.length && selection.has(to)) to++;
    selection.clear();
    if (to < index.length) grid.focusOn(to);
    if (viewer.isOpen && to < index.length) viewer.id = index.ids[to];
    this.drawSelection();
  }

  /**
   * Label the active images as the entry of the sidebar that they were dropped on.
   * @param {string} entry
   */
  drop(entry) {
    const [kind, value] = entry.split(":");
    this.label(kind === "class" ? { state: "labelled", class: Number(value), name: "" }
      : { state: /** @type {LabelState} */ (value), class: null, name: "" });
  }

  /**
   * @param {number} at
   * @param {{ shiftKey?: boolean }} [options]
   */
  pick(at, { shiftKey = false } = {}) {
    if (shiftKey) this.list.selection.extend(this.grid.focus, at);
    else this.list.selection.toggle(at);
    this.grid.focusOn(at);
    this.drawSelection();
  }

  /** @param {number} at */
  toggle(at) {
    if (!this.list.index.length) return;
    this.list.selection.toggle(at);
    this.drawSelection();
  }

  /**
   * @param {number} at
   * @param {boolean} isExtending
   */
  moveFocus(at, isExtending) {
    const to = Math.max(0, Math.min(this.list.index.length - 1, at));
    if (isExtending) this.list.selection.extend(this.grid.focus, to);
    this.grid.focusOn(to);
    if (isExtending) this.drawSelection();
  }

  /** @param {boolean} isExtending */
  moveToEnd(isExtending) {
    this.whenIndexed(() => this.moveFocus(this.list.index.length - 1, isExtending));
  }

  selectAll() {
    this.whenIndexed(() => {
      this.list.selection.selectAll();
      this.drawSelection();
    });
  }

  /** @param {() => void} callback */
  whenIndexed(callback) {
    const { index } = this.list;
    if (index.isComplete) callback();
    else this.holdKeys(index.done.then(callback));
  }

  clearSelection() {
    this.list.selection.clear();
    this.drawSelection();
  }

  /** @param {boolean} withDetails */
  openViewer(withDetails) {
    const { viewer } = this;
    const { index } = this.list;
    if (index.length || viewer.isOpen) {
      viewer.show(viewer.isOpen ? viewer.id : index.ids[this.grid.focus], withDetails);
    }
  }

  openClassPicker(typed = "") {
    const { length } = this.activeIds();
    if (length) this.classPicker.open(fillText(this.texts.chooser.title, { images: this.imageCount(length) }), typed);
  }

  /** @param {string} text */
  announce(text) {
    this.statusBar.announce(text);
  }

  /**
   * @param {string} text
   * @param {[label: string, action: () => unknown][]} [actions]
   * @param {"" | "error" | "conflict"} [kind]
   */
  notify(text, actions, kind) {
    this.statusBar.notify(text, actions, kind);
  }

  /** @param {number} count */
  imageCount(count) {
    return pluralText(this.texts.acts.images, count);
  }

  focusGrid() {
    this.grid.element.focus({ preventScroll: true });
  }

  /**
   * Apply an action about whose images the studio may have to be asked first.
   * @param {(ids: number[]) => Promise<unknown>} action
   */
  applyToActive(action) {
    this.holdKeys(action(this.activeIds())
      .then(() => this.advance(), () => this.notify(this.texts.status.away, [], "error")));
    this.focusGrid();
  }

  /**
   * Change the classes; rejects with an Error whose message is for people.
   * @param {ClassChange} change
   */
  async changeClasses(change) {
    const response = await fetch(`${this.base}/classes`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Studio-Curate": "1" },
      body: JSON.stringify({ author: browserAuthor(), id: newOperationId(), ...change }),
    }).catch(() => null);
    const answer = await response?.json().catch(() => null);
    const unanswered = this.texts.status[response?.status === 401 ? "secret" : "away"];
    if (!response?.ok || !answer?.classes) throw new Error(answer?.error ?? unanswered);
    this.onCounts(answer);
    this.items.invalidate();
  }

  /**
   * Keep keys back until a promise has ended, and drop them if it took so long that nobody means them any more.
   * @param {Promise<unknown>} promise
   */
  async holdKeys(promise) {
    this.busy++;
    const begun = performance.now();
    await promise;
    this.busy--;
    if (!this.busy) this.releaseKeys(performance.now() - begun < MAX_HOLD_MS);
  }

  /** @returns {number | undefined} */
  get focusedId() {
    return this.viewer.isOpen ? this.viewer.id : this.list.index.ids[this.grid.focus];
  }

  /** @param {number} id */
  focusId(id) {
    const at = this.list.index.positionOf(id);
    if (at < 0) return;
    if (this.viewer.isOpen) this.viewer.id = id;
    this.grid.focusOn(at);
    this.viewer.draw();
  }

  get classes() {
    return this.counts.classes;
  }

  /** @param {number | null} id */
  classOf(id) {
    return this.counts.classes.find((each) => each.id === id);
  }

  /** @param {string} name */
  classNamed(name) {
    return this.counts.classes.find((each) => each.name === name);
  }

  /**
   * Add a class that the studio has just created, until its counts come.
   * @param {number} id
   * @param {string} name
   */
  learnClass(id, name) {
    if (this.classOf(id)) return;
    const created = { id, name, position: this.classes.length, colour: "", hotkey: "", count: 0 };
    this.counts = { ...this.counts, classes: [...this.classes, created] };
  }

  /** @param {OperationResult} result */
  onAnswer(result) {
    this.ownNumber = Math.max(this.ownNumber, result.number ?? 0);
    if (result.error === null) this.poller.fetchCountsSoon();
    this.draw();
  }

  /**
   * @param {Change[] | null} changes
   * @param {number} number
   */
  onChanges(changes, number) {
    if (changes) {
      this.items.apply(changes, number);
      this.list.onTargetsChanged(groupByTarget(changes.map(([id, state, classId]) => (
        [id, this.queue.targetOf(id) ?? { state, class: classId, name: "" }]))));
    } else {
      this.items.invalidate();
      this.list.isStale ||= number > this.ownNumber; // not where it was only this view's own large operation
    }
    this.draw();
  }

  /** @param {Counts} counts */
  onCounts(counts) {
    const { list, map } = this;
    const analyses = JSON.stringify(counts.studies ?? {});
    if (this.analyses !== undefined && this.analyses !== analyses) {
      this.items.invalidate(); // the studio has analysed anew
      if (!map.element.hidden) map.show();
      const { found, suggested, copies } = list.query.filter;
      list.isStale ||= Boolean(found || suggested || copies) || !["newest", "oldest"].includes(list.query.order);
    }
    if (counts.clashes !== this.counts.clashes) this.items.invalidate(); // which of them are in conflict, too
    this.analyses = analyses;
    this.counts = counts;
    // So that what the browser draws itself, such as the sign for a calendar, can be seen.
    this.element.style.colorScheme = luminance(themeOf(this.element).paper) < 0.2 ? "dark" : "light";
    map.refresh();
    this.classDialog.refresh();
    this.draw();
  }

  /**
   * @param {boolean} isConnected
   * @param {boolean} [needsSecret]
   */
  onConnection(isConnected, needsSecret = false) {
    if (isConnected && this.isAway) this.queue.wake();
    this.isAway = !isConnected;
    this.needsSecret = needsSecret;
    this.drawSoon();
  }

  /** @param {boolean} on */
  showMap(on) {
    if (on === !this.map.element.hidden) return;
    if (on) this.map.show();
    else this.map.hide();
    this.grid.element.hidden = on;
    this.drawSoon();
  }

  /**
   * @param {number} at
   * @returns {GridTileState}
   */
  gridTileState(at) {
    const { index, selection } = this.list;
    return { ...tileState(this, index.ids[at]), isSelected: selection.has(at), isFocused: at === this.grid.focus };
  }

  draw() {
    this.grid.draw();
    this.viewer.draw();
    this.drawSoon();
  }

  drawSelection() {
    this.grid.draw();
    this.drawSoon();
  }
}

/** @type {CurateView | null} */
let current = null;

/** @param {ComponentArgs<CurateData>} args */
export default function ({ data, parentElement }) {
  if (current?.place !== data.place) {
    current?.end();
    current = new CurateView(data);
  }
  const view = current;
  const home = parentElement.querySelector(".home");
  if (home && view.element.parentNode !== home) home.replaceChildren(view.element);
  view.onShow();
  return () => view.onHide();
}
