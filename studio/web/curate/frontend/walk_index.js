// The images that a filter shows, in their order: ids only, 4 bytes each, fetched window by window from the studio's
// walk. The first window is enough to draw; the others follow while people already work.
const FIRST_WINDOW = 1024, WINDOW = 8192;
const FIRST_PAUSE_MS = 150; // so that the first screen's images come before the rest of the list

class WalkIndex {
  // address(cursor, limit) gives a window's address; told() is called after each window.
  constructor(address, told) {
    Object.assign(this, { address, told, length: 0, complete: false, fault: "" });
    this.ids = new Int32Array(FIRST_WINDOW);
    this.places = new Map();
    this.controller = new AbortController();
    this.done = new Promise((resolve) => { this.finish = resolve; });
  }

  // An index of given images.
  static of(ids, told) {
    const index = new WalkIndex(null, told);
    index.append(ids);
    index.end();
    return index;
  }

  async walk() {
    const { signal } = this.controller;
    let cursor = "", isFirst = true;
    for (let tries = 0; cursor !== null;) {
      try {
        const answer = await fetch(this.address(cursor, isFirst ? FIRST_WINDOW : WINDOW), { signal });
        const said = await answer.json().catch(() => null);
        if (answer.status >= 400 && answer.status < 500 && ![401, 408, 429].includes(answer.status)) {
          this.fault = said?.error || `${answer.status}`; // a filter that cannot be; waiting would not help
          break;
        }
        if (!answer.ok || !said?.ids) throw new Error(answer.status);
        this.append(said.ids);
        cursor = said.next;
        tries = 0;
      } catch {
        if (signal.aborted) return;
        await new Promise((go) => setTimeout(go, Math.min(8_000, 500 * 2 ** tries++)));
        continue;
      }
      if (signal.aborted) return;
      if (cursor !== null) {
        this.told();
        if (isFirst && this.length) await new Promise((go) => setTimeout(go, FIRST_PAUSE_MS));
        isFirst = false;
      }
    }
    this.end();
    this.told();
  }

  stop() {
    this.controller.abort();
  }

  append(ids) {
    if (this.length + ids.length > this.ids.length) {
      const larger = new Int32Array(Math.max(this.ids.length * 2, this.length + ids.length));
      larger.set(this.ids);
      this.ids = larger;
    }
    for (const id of ids) {
      if (this.places.has(id)) continue; // it moved along the order between two windows
      this.places.set(id, this.length);
      this.ids[this.length++] = id;
    }
  }

  end() {
    this.complete = true;
    this.finish();
  }

  placeOf(id) {
    return this.places.get(id) ?? -1;
  }

  slice(from, to) {
    return Array.from(this.ids.subarray(Math.max(0, from), Math.min(this.length, Math.max(0, to))));
  }
}
