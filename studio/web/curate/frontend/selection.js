// Which images are selected: one byte a place of the index, so that a hundred thousand are as quick as one.

class Selection {
  constructor(index) {
    this.begin(index);
  }

  begin(index) {
    Object.assign(this, { index, count: 0, anchor: -1, bytes: new Uint8Array(index.ids.length) });
  }

  has(at) {
    return this.bytes[at] === 1;
  }

  set(at, on) {
    this.setRange(at, at, on);
  }

  // from and to in either order, both included.
  setRange(from, to, on) {
    this.fit();
    const [first, last] = [Math.max(0, Math.min(from, to)), Math.min(this.index.length - 1, Math.max(from, to))];
    for (let at = first; at <= last; at++) {
      if (this.has(at) !== on) this.count += on ? 1 : -1;
      this.bytes[at] = on ? 1 : 0;
    }
  }

  toggle(at) {
    this.fit();
    this.set(at, !this.has(at));
    this.anchor = at;
  }

  // Selects from the anchor to a place, and nothing else.
  extend(from, to) {
    if (this.anchor < 0) this.anchor = from;
    const { anchor } = this;
    this.clear();
    this.anchor = anchor;
    this.setRange(anchor, to, true);
  }

  all() {
    this.setRange(0, this.index.length - 1, true);
  }

  clear() {
    this.bytes.fill(0);
    Object.assign(this, { count: 0, anchor: -1 });
  }

  // What is selected, as it is, to be taken up again with restore().
  copy() {
    return this.bytes.slice();
  }

  restore(bytes) {
    this.fit();
    this.bytes.fill(0);
    this.bytes.set(bytes);
    this.count = bytes.reduce((sum, each) => sum + each, 0);
  }

  // Ids ascending.
  ids() {
    const found = new Int32Array(this.count);
    let next = 0;
    for (let at = 0; next < this.count; at++) if (this.bytes[at]) found[next++] = this.index.ids[at];
    return found.sort();
  }

  fit() {
    if (this.bytes.length >= this.index.ids.length) return;
    const larger = new Uint8Array(this.index.ids.length);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
