// The grid: a scroll container of any height in which only the tiles that are seen exist, 200 at most.
const GAP_PX = 6, EDGE_PX = 5;
const MOST_TILES = 200, MARGIN_ROWS = 2;
// Browsers end elements somewhere (Firefox at 17.8 million pixels): a taller grid is scrolled through in larger steps.
const TALLEST_PX = 15_000_000;
const SETTLE_MS = 70;
const LEAST_SIDE_PX = 56, MOST_SIDE_PX = 320, FIRST_SIDE_PX = 104;
const SIDE_KEPT = "retrain-studio/tile-side";

class Grid {
  // view: { index, facts(at), want(visible, ahead), focusMoved() }, texts: { grid, tile }.
  constructor(view, texts) {
    Object.assign(this, { view, texts, focus: 0, columns: 1, side: FIRST_SIDE_PX, width: 0, height: 0 });
    this.wish = Number(readKept(SIDE_KEPT)) || FIRST_SIDE_PX;
    this.tiles = new Map(); // by place
    this.spare = [];
    this.shown = [0, -1];
    this.floor = element("div", { className: "floor", role: "presentation" });
    this.element = element("div", {
      className: "grid", role: "listbox", tabIndex: 0, "aria-multiselectable": "true", "aria-label": texts.grid.images,
    }, this.floor);
    this.element.onscroll = () => this.soon();
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.element);
  }

  get count() {
    return this.view.index.length;
  }

  get pitch() {
    return this.side + GAP_PX;
  }

  get rows() {
    return Math.ceil(this.count / this.columns);
  }

  // The height of everything, were there no end to elements.
  get depth() {
    return this.rows * this.pitch - GAP_PX + 2 * EDGE_PX;
  }

  get scale() {
    return this.depth > TALLEST_PX ? (this.depth - this.height) / (TALLEST_PX - this.height) : 1;
  }

  get top() {
    return this.element.scrollTop * this.scale;
  }

  set top(value) {
    this.element.scrollTop = Math.max(0, value) / this.scale;
  }

  // Makes tiles larger or smaller, and remembers it.
  resize(side) {
    this.wish = side;
    writeKept(SIDE_KEPT, `${side}`);
    this.measure(true);
  }

  measure(anew = false) {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!height || (!anew && width === this.width && height === this.height)) return;
    const kept = this.isSeen(this.focus) ? this.focus : this.shown[0];
    const above = this.rowOf(kept) * this.pitch - this.top;
    Object.assign(this, { width, height });
    for (let side = this.wish; ; side += 4) {
      this.columns = Math.max(1, Math.floor((width - 2 * EDGE_PX + GAP_PX) / (side + GAP_PX)));
      this.side = (width - 2 * EDGE_PX + GAP_PX) / this.columns - GAP_PX;
      this.screenRows = Math.ceil(height / this.pitch) + 1;
      if (this.columns * this.screenRows <= MOST_TILES || this.columns === 1) break;
    }
    this.margin = Math.max(0, Math.min(MARGIN_ROWS, Math.floor((MOST_TILES / this.columns - this.screenRows) / 2)));
    this.fit();
    this.top = this.rowOf(kept) * this.pitch - above;
    this.draw();
  }

  // Begins at the top of another index.
  begin() {
    this.focus = 0;
    this.fit();
    this.top = 0;
  }

  fit() {
    this.floor.style.height = `${Math.min(this.depth, TALLEST_PX)}px`;
  }

  rowOf(at) {
    return Math.floor(at / this.columns);
  }

  isSeen(at) {
    return at >= this.shown[0] && at <= this.shown[1];
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  // Draws what is seen. Cheap where nothing has changed; at once, so that a key's effect is in the next frame.
  draw() {
    if (!this.height) return;
    this.fit();
    const { top, pitch, columns, side, height, count, margin } = this;
    const shift = this.element.scrollTop - top; // 0, unless steps are larger
    const first = Math.max(0, Math.floor((top - EDGE_PX) / pitch));
    const last = Math.max(first, Math.floor((top + height - EDGE_PX) / pitch));
    this.shown = [first * columns, Math.min(count, (last + 1) * columns) - 1];
    const from = Math.max(0, first - margin) * columns;
    const to = Math.min(count, Math.max(from, Math.min((last + 1 + margin) * columns, from + MOST_TILES)));
    for (const [at, tile] of this.tiles) {
      if (at < from || at >= to) {
        this.tiles.delete(at);
        this.spare.push(tile);
      }
    }
    let next = this.floor.firstChild; // tiles stand in their order, for whoever hears them
    for (let at = from; at < to; at++) {
      let tile = this.tiles.get(at);
      if (!tile) {
        tile = this.spare.pop() ?? new Tile(this.texts.tile);
        this.tiles.set(at, tile);
      }
      if (tile.element === next) next = next.nextSibling;
      else this.floor.insertBefore(tile.element, next);
      const x = EDGE_PX + (at % columns) * pitch;
      tile.put(at, count, Math.round(x * 100) / 100, Math.round((EDGE_PX + this.rowOf(at) * pitch + shift) * 100) / 100,
        Math.round(side * 100) / 100);
      tile.draw(this.view.facts(at), this.isSeen(at));
    }
    for (const tile of this.spare.splice(0)) {
      tile.image("");
      tile.drawn = "";
      tile.element.remove();
    }
    if (this.tiles.has(this.focus)) this.element.setAttribute("aria-activedescendant", tileId(this.focus));
    else this.element.removeAttribute("aria-activedescendant");
    this.ask();
  }

  // Tells what is wanted: at once where people go step by step, when they rest where they rush past.
  ask() {
    const [from, to] = this.shown;
    const screen = to - from + 1;
    const far = Math.abs(from - (this.askedFrom ?? from)) > screen / 2;
    const rushing = far && performance.now() - this.askedAt < SETTLE_MS * 2;
    this.askedFrom = from;
    this.askedAt = performance.now();
    clearTimeout(this.settling);
    const ask = () => {
      const { index } = this.view;
      const onwards = from >= (this.before ?? 0);
      this.before = from;
      const rim = this.margin * this.columns;
      const [before, after] = onwards ? [rim, screen] : [screen, rim];
      const ahead = [...index.slice(to + 1, to + 1 + after), ...index.slice(from - before, from)];
      this.view.want(index.slice(from, to + 1), ahead);
    };
    if (rushing) this.settling = setTimeout(ask, SETTLE_MS);
    else ask();
  }

  // Moves the focus to a place, and to where it is seen.
  focusOn(at) {
    this.focus = Math.max(0, Math.min(this.count - 1, at));
    this.reveal(this.focus);
    this.view.focusMoved();
    this.draw();
  }

  reveal(at) {
    this.fit();
    const y = this.rowOf(at) * this.pitch;
    const end = y + this.pitch + 2 * EDGE_PX;
    if (y < this.top) this.top = y;
    else if (end > this.top + this.height) this.top = end - this.height;
  }

  // The place under a point of the window, or -1.
  placeAt(clientX, clientY) {
    const [x, y] = this.pointAt(clientX, clientY);
    const column = Math.floor((x - EDGE_PX + GAP_PX / 2) / this.pitch);
    const at = Math.floor((y - EDGE_PX + GAP_PX / 2) / this.pitch) * this.columns + column;
    return column >= 0 && column < this.columns && at >= 0 && at < this.count ? at : -1;
  }

  // A point of the window as one of the grid's whole height.
  pointAt(clientX, clientY) {
    const box = this.element.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top + this.top];
  }

  // The places within a rectangle between two points, as [first, last] of each row.
  placesBetween([x1, y1], [x2, y2]) {
    const row = (y) => Math.max(0, Math.min(this.rows - 1, (y - EDGE_PX) / this.pitch));
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
