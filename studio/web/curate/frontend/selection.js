// The selected images: one byte a position of the index, so that a hundred thousand are as quick as one.

/** @import { ImageIndex } from "./image_index.js" */

export class Selection {
  /** @param {ImageIndex} index */
  constructor(index) {
    this.index = index;
    this.count = 0;
    this.anchor = -1;
    this.bytes = new Uint8Array(index.ids.length);
  }

  /**
   * Start over with another index.
   * @param {ImageIndex} index
   */
  reset(index) {
    this.index = index;
    this.count = 0;
    this.anchor = -1;
    this.bytes = new Uint8Array(index.ids.length);
  }

  /** @param {number} at */
  has(at) {
    return this.bytes[at] === 1;
  }

  /**
   * Select or deselect from one position to another, in either order, both included.
   * @param {number} from
   * @param {number} to
   * @param {boolean} on
   */
  setRange(from, to, on) {
    this.#grow();
    const [first, last] = [Math.max(0, Math.min(from, to)), Math.min(this.index.length - 1, Math.max(from, to))];
    for (let at = first; at <= last; at++) {
      if (this.has(at) !== on) this.count += on ? 1 : -1;
      this.bytes[at] = on ? 1 : 0;
    }
  }

  /** @param {number} at */
  toggle(at) {
    this.#grow();
    this.setRange(at, at, !this.has(at));
    this.anchor = at;
  }

  /**
   * Select from the anchor to a position, and nothing else.
   * @param {number} from  the anchor where there is none yet
   * @param {number} to
   */
  extend(from, to) {
    if (this.anchor < 0) this.anchor = from;
    const { anchor } = this;
    this.clear();
    this.anchor = anchor;
    this.setRange(anchor, to, true);
  }

  selectAll() {
    this.setRange(0, this.index.length - 1, true);
  }

  clear() {
    this.bytes.fill(0);
    this.count = 0;
    this.anchor = -1;
  }

  /** Return the selection as it is, for restore(). */
  copy() {
    return this.bytes.slice();
  }

  /** @param {Uint8Array} bytes */
  restore(bytes) {
    this.#grow();
    this.bytes.fill(0);
    this.bytes.set(bytes);
    this.count = bytes.reduce((sum, each) => sum + each, 0);
  }

  /** Return the ids of the selected images in ascending order. */
  ids() {
    const found = new Int32Array(this.count);
    let next = 0;
    for (let at = 0; next < this.count; at++) if (this.bytes[at]) found[next++] = this.index.ids[at];
    return found.sort();
  }

  #grow() {
    if (this.bytes.length >= this.index.ids.length) return;
    const larger = new Uint8Array(this.index.ids.length);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
