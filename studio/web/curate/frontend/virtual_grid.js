// The grid: a scroll container of any height in which only the tiles that are seen exist, 200 at most.
import { readStored, writeStored } from "../../components/local_storage.js";
import { element } from "../../../share/web_demo/page/dom.js";
import { Tile, tileId } from "./tile.js";

/** @import { CurateView } from "./curate_view.js" */
/** @import { CurateTexts } from "./texts.js" */

const GAP_PX = 6, EDGE_PX = 5;
const MAX_TILES = 200, MARGIN_ROWS = 2;
// Browsers end elements somewhere (Firefox at 17.8 million pixels): a taller grid is scrolled through in larger steps.
const MAX_HEIGHT_PX = 15_000_000;
const SETTLE_MS = 70;
export const MIN_TILE_PX = 56, MAX_TILE_PX = 320;
const DEFAULT_TILE_PX = 104, TILE_STEP_PX = 4;
const STORED_TILE_PX = "retrain-studio/tile-side";

export class VirtualGrid {
  /**
   * @param {CurateView} view
   * @param {CurateTexts} texts
   */
  constructor(view, texts) {
    this.view = view;
    this.texts = texts;
    this.focus = 0;
    this.columns = 1;
    this.side = DEFAULT_TILE_PX;
    this.width = 0;
    this.height = 0;
    this.screenRows = 1;
    this.margin = 0;
    this.wantedSide = Number(readStored(STORED_TILE_PX)) || DEFAULT_TILE_PX;
    /**
     * By position.
     * @type {Map<number, Tile>}
     */
    this.tiles = new Map();
    /** @type {Tile[]} */
    this.spare = [];
    this.shown = [0, -1];
    /** @type {number | undefined} */
    this.frame = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.settling = undefined;
    /** @type {number | undefined} */
    this.prefetchedFrom = undefined;
    this.prefetched_ms = 0;
    this.previousFrom = 0;
    this.content = element("div", { className: "floor", role: "presentation" });
    this.element = element("div", {
      className: "grid", role: "listbox", tabIndex: 0, "aria-multiselectable": "true", "aria-label": texts.grid.images,
    }, this.content);
    this.element.onscroll = () => this.drawSoon();
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.element);
  }

  get count() {
    return this.view.list.index.length;
  }

  get pitch() {
    return this.side + GAP_PX;
  }

  get rows() {
    return Math.ceil(this.count / this.columns);
  }

  /** The height of everything, were there no limit to elements. */
  get fullHeight() {
    return this.rows * this.pitch - GAP_PX + 2 * EDGE_PX;
  }

  get scale() {
    return this.fullHeight > MAX_HEIGHT_PX ? (this.fullHeight - this.height) / (MAX_HEIGHT_PX - this.height) : 1;
  }

  get top() {
    return this.element.scrollTop * this.scale;
  }

  set top(value) {
    this.element.scrollTop = Math.max(0, value) / this.scale;
  }

  /**
   * Make tiles larger or smaller, and remember it.
   * @param {number} side
   */
  resize(side) {
    this.wantedSide = side;
    writeStored(STORED_TILE_PX, `${side}`);
    this.measure(true);
  }

  measure(isForced = false) {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!height || (!isForced && width === this.width && height === this.height)) return;
    const kept = this.isShown(this.focus) ? this.focus : this.shown[0];
    const above = this.rowOf(kept) * this.pitch - this.top;
    this.width = width;
    this.height = height;
    for (let side = this.wantedSide; ; side += TILE_STEP_PX) {
      this.columns = Math.max(1, Math.floor((width - 2 * EDGE_PX + GAP_PX) / (side + GAP_PX)));
      this.side = (width - 2 * EDGE_PX + GAP_PX) / this.columns - GAP_PX;
      this.screenRows = Math.ceil(height / this.pitch) + 1;
      if (this.columns * this.screenRows <= MAX_TILES || this.columns === 1) break;
    }
    this.margin = Math.max(0, Math.min(MARGIN_ROWS, Math.floor((MAX_TILES / this.columns - this.screenRows) / 2)));
    this.fitContent();
    this.top = this.rowOf(kept) * this.pitch - above;
    this.draw();
  }

  /** Begin at the top of another index. */
  reset() {
    this.focus = 0;
    this.fitContent();
    this.top = 0;
  }

  fitContent() {
    this.content.style.height = `${Math.min(this.fullHeight, MAX_HEIGHT_PX)}px`;
  }

  /** @param {number} at */
  rowOf(at) {
    return Math.floor(at / this.columns);
  }

  /** @param {number} at */
  isShown(at) {
    return at >= this.shown[0] && at <= this.shown[1];
  }

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  /** Draw what is seen. Cheap where nothing has changed; at once, so that a key's effect is in the next frame. */
  draw() {
    if (!this.height) return;
    this.fitContent();
    const { top, pitch, columns, side, height, count, margin } = this;
    const shift = this.element.scrollTop - top; // 0, unless steps are larger
    const first = Math.max(0, Math.floor((top - EDGE_PX) / pitch));
    const last = Math.max(first, Math.floor((top + height - EDGE_PX) / pitch));
    this.shown = [first * columns, Math.min(count, (last + 1) * columns) - 1];
    const from = Math.max(0, first - margin) * columns;
    const to = Math.min(count, Math.max(from, Math.min((last + 1 + margin) * columns, from + MAX_TILES)));
    for (const [at, tile] of this.tiles) {
      if (at < from || at >= to) {
        this.tiles.delete(at);
        this.spare.push(tile);
      }
    }
    /** @type {ChildNode | null} */
    let next = this.content.firstChild; // tiles stand in their order, for screen readers
    for (let at = from; at < to; at++) {
      let tile = this.tiles.get(at);
      if (!tile) {
        tile = this.spare.pop() ?? new Tile(this.texts.tile);
        this.tiles.set(at, tile);
      }
      if (tile.element === next) next = next.nextSibling;
      else this.content.insertBefore(tile.element, next);
      const x = EDGE_PX + (at % columns) * pitch;
      tile.place(at, count, rounded(x), rounded(EDGE_PX + this.rowOf(at) * pitch + shift), rounded(side));
      tile.draw(this.view.gridTileState(at), this.isShown(at));
    }
    for (const tile of this.spare.splice(0)) tile.clear();
    if (this.tiles.has(this.focus)) this.element.setAttribute("aria-activedescendant", tileId(this.focus));
    else this.element.removeAttribute("aria-activedescendant");
    this.prefetch();
  }

  /** Prefetch what is seen and what comes next: at once while people go step by step, after a rest while they rush. */
  prefetch() {
    const [from, to] = this.shown;
    const screen = to - from + 1;
    const isFar = Math.abs(from - (this.prefetchedFrom ?? from)) > screen / 2;
    const isRushing = isFar && performance.now() - this.prefetched_ms < SETTLE_MS * 2;
    this.prefetchedFrom = from;
    this.prefetched_ms = performance.now();
    clearTimeout(this.settling);
    const prefetch = () => {
      const { index } = this.view.list;
      const isForward = from >= this.previousFrom;
      this.previousFrom = from;
      const rim = this.margin * this.columns;
      const [before, after] = isForward ? [rim, screen] : [screen, rim];
      const ahead = [...index.slice(to + 1, to + 1 + after), ...index.slice(from - before, from)];
      this.view.items.prefetch(index.slice(from, to + 1), ahead);
    };
    if (isRushing) this.settling = setTimeout(prefetch, SETTLE_MS);
    else prefetch();
  }

  /**
   * Move the focus to a position, and scroll to it.
   * @param {number} at
   */
  focusOn(at) {
    this.focus = Math.max(0, Math.min(this.count - 1, at));
    this.reveal(this.focus);
    this.view.list.onFocusMoved();
    this.draw();
  }

  /** @param {number} at */
  reveal(at) {
    this.fitContent();
    const y = this.rowOf(at) * this.pitch;
    const end = y + this.pitch + 2 * EDGE_PX;
    if (y < this.top) this.top = y;
    else if (end > this.top + this.height) this.top = end - this.height;
  }

  /**
   * Return the position of the image under a point of the window, or -1.
   * @param {number} clientX
   * @param {number} clientY
   */
  positionAt(clientX, clientY) {
    const [x, y] = this.pointAt(clientX, clientY);
    const column = Math.floor((x - EDGE_PX + GAP_PX / 2) / this.pitch);
    const at = Math.floor((y - EDGE_PX + GAP_PX / 2) / this.pitch) * this.columns + column;
    return column >= 0 && column < this.columns && at >= 0 && at < this.count ? at : -1;
  }

  /**
   * Return a point of the window as one of the grid's whole height.
   * @param {number} clientX
   * @param {number} clientY
   */
  pointAt(clientX, clientY) {
    const box = this.element.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top + this.top];
  }

  /**
   * Return the positions in a rectangle between two points, as [first, last] of each row.
   * @param {number[]} one
   * @param {number[]} other
   */
  rangesBetween([x1, y1], [x2, y2]) {
    /** @param {number} y */
    const row = (y) => Math.max(0, Math.min(this.rows - 1, (y - EDGE_PX) / this.pitch));
    /** @param {number} x */
    const column = (x) => Math.max(0, Math.min(this.columns - 1, Math.floor((x - EDGE_PX) / this.pitch)));
    const [left, right] = [column(Math.min(x1, x2)), column(Math.max(x1, x2))];
    const found = [];
    for (let each = Math.floor(row(Math.min(y1, y2))); each <= row(Math.max(y1, y2)); each++) {
      found.push([each * this.columns + left, Math.min(this.count - 1, each * this.columns + right)]);
    }
    return found;
  }

  get pageStep() {
    return Math.max(1, Math.floor(this.height / this.pitch)) * this.columns;
  }
}

/** @param {number} px */
function rounded(px) {
  return Math.round(px * 100) / 100;
}
