// The list that the grid shows: the images that match the current query, in their order, the selection among them, and
// which of them do not match any more.
import { throttled } from "../../../share/web_demo/page/dom.js";
import { isMatch, isSameFilter, pageAddress, readQuery, TOOLBAR_FILTERS, writeQuery } from "./filters.js";
import { ImageIndex } from "./image_index.js";
import { Selection } from "./selection.js";

/** @import { CurateView } from "./curate_view.js" */
/** @import { Filter, Query, TargetSet } from "./types.js" */

const ADDRESS_MS = 500; // after a move of the focus
const MAX_SEND_WAIT_MS = 2_000;

export class FilteredList {
  /** @param {CurateView} view */
  constructor(view) {
    this.view = view;
    this.query = readQuery();
    this.index = new ImageIndex(() => "", () => {});
    /** @type {ImageIndex | null} */
    this.loading = null; // takes the place of `index` once its first page is there
    this.selection = new Selection(this.index);
    /** Ids that are shown and do not match any more. */
    this.moved = new Set();
    /** Ids that match and are not shown yet. */
    this.added = new Set();
    this.isStale = false;
    this.focusWanted = 0; // an image's id, until it is in the index
    /** @type {(() => void) | null} */
    this.onOpened = null;
    this.writeAddressSoon = throttled(ADDRESS_MS, () => this.writeAddress());
    addEventListener("popstate", () => this.onHistoryBack(), { signal: view.lifetime.signal });
  }

  /**
   * Show another query. The images that are there stay until the first of the new ones have come; keys wait for them.
   * @param {Query} query
   * @param {{ push?: boolean }} [options]  push: as a step that the back button undoes
   */
  open(query, { push = false } = {}) {
    const { view } = this;
    this.query = query;
    this.writeAddress(push);
    if (query.filter.clash) view.items.invalidate(); // whether an image is in conflict is known when it is asked for
    this.loading?.stop();
    this.index.stop();
    this.onOpened?.(); // whoever waited for the last one
    /** @type {ImageIndex} */
    const index = query.chosen ? ImageIndex.of(query.chosen)
      : new ImageIndex((cursor, limit) => pageAddress(view.base, query, cursor, limit), () => this.onGrown(index));
    this.loading = index;
    this.focusWanted = query.at;
    if (query.chosen) this.onGrown(index);
    else {
      view.holdKeys(new Promise((resolve) => { this.onOpened = () => resolve(undefined); }));
      // What was decided before counts for what matches now.
      view.queue.settled(MAX_SEND_WAIT_MS).then(() => { if (index === this.loading) index.load(); });
    }
    view.drawSoon();
  }

  /** @param {ImageIndex} index */
  onGrown(index) {
    if (index === this.loading && (index.length || index.isComplete)) this.adopt(index);
    if (index !== this.index) return;
    if (this.focusWanted) {
      const at = index.positionOf(this.focusWanted);
      if (at >= 0) this.view.grid.focusOn(at);
      if (at >= 0 || index.isComplete) this.focusWanted = 0;
    }
    this.view.draw();
  }

  /** @param {ImageIndex} index */
  adopt(index) {
    const { grid } = this.view;
    this.index = index;
    this.loading = null;
    this.isStale = false;
    this.moved.clear();
    this.added.clear();
    this.selection.reset(index);
    grid.reset();
    const { activeElement } = document;
    if (!activeElement || activeElement === document.body) grid.element.focus({ preventScroll: true });
    this.view.draw();
    this.onOpened?.();
  }

  /** Load anew; the focus stays with its image, or goes to the next one that still matches. */
  refresh() {
    let { focus } = this.view.grid;
    while (focus < this.index.length && this.moved.has(this.index.ids[focus])) focus++;
    this.open({ ...this.query, at: this.index.ids[Math.min(focus, this.index.length - 1)] ?? 0 });
  }

  /**
   * @param {Filter} filter
   * @param {string} [order]
   */
  show(filter, order = "newest") {
    const set = Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
    this.view.showMap(false);
    this.open({ filter: set, order, like: order === "alike" ? this.query.like : 0, at: 0 }, { push: true });
  }

  /**
   * Show a filter of the sidebar; those of the toolbar stay.
   * @param {Filter} filter
   * @param {string} order
   */
  showFromSidebar(filter, order) {
    const kept = Object.entries(this.query.filter)
      .filter(([name]) => TOOLBAR_FILTERS.includes(name) && name !== "suggested");
    this.show({ ...Object.fromEntries(kept), ...filter }, order);
  }

  /**
   * Show the images that are most similar to one.
   * @param {number} id
   */
  showSimilar(id) {
    this.view.showMap(false);
    this.open({ filter: {}, order: "alike", like: id, at: 0 }, { push: true });
  }

  /**
   * Show images that were chosen on the map, all of them selected.
   * @param {Int32Array} ids
   */
  showChosen(ids) {
    this.open({ filter: {}, order: "newest", like: 0, at: 0, chosen: ids });
    this.selection.selectAll();
    this.view.drawSelection();
  }

  onHistoryBack() {
    if (!this.view.isShown || !this.view.element.isConnected) return;
    const query = readQuery();
    const { filter, order, like } = this.query;
    if (!isSameFilter(query.filter, filter) || query.order !== order || query.like !== like) this.open(query);
  }

  writeAddress(push = false) {
    if (this.view.isShown) writeQuery(this.query, push);
  }

  onFocusMoved() {
    const { focus } = this.view.grid;
    this.focusWanted = 0;
    this.query.at = focus ? this.index.ids[focus] : 0;
    this.writeAddressSoon();
  }

  /**
   * Take in new targets, from here or from elsewhere: images that do not match any more stay, marked.
   * @param {TargetSet[]} sets
   */
  onTargetsChanged(sets) {
    const { query, view } = this;
    // Of filters other than state and class, only the studio can tell what would match now.
    const isPlain = !query.chosen && Object.keys(query.filter).every((name) => ["state", "class"].includes(name));
    for (const { ids, target } of sets) {
      const stays = isMatch(query, target, true);
      const isAdded = isPlain && this.index.isComplete && isMatch(query, target, false);
      const classId = target.state === "rejected" ? -1 : target.class ?? 0;
      for (const id of ids) {
        if (!this.index.positions.has(id)) {
          if (isAdded) this.added.add(id);
        } else if (stays) this.moved.delete(id);
        else this.moved.add(id);
        view.map.setClass(id, classId);
      }
    }
    view.grid.draw();
    view.drawSoon();
  }
}
