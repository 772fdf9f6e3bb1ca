// The paging index: the ids of the images that match a filter, in their order, 4 bytes each, fetched page by page. The
// first page is enough to draw; the others follow while people already work.
const FIRST_PAGE = 1024, PAGE = 8192;
const FIRST_PAUSE_MS = 150; // so that the first screen's images come before the rest of the list
const FIRST_RETRY_MS = 500, MAX_RETRY_MS = 8_000;

export class ImageIndex {
  /**
   * @param {(cursor: string, limit: number) => string} pageAddress
   * @param {() => void} onChange  called after each page
   */
  constructor(pageAddress, onChange) {
    this.pageAddress = pageAddress;
    this.onChange = onChange;
    this.length = 0;
    this.isComplete = false;
    this.error = "";
    this.ids = new Int32Array(FIRST_PAGE);
    /** @type {Map<number, number>} */
    this.positions = new Map();
    this.controller = new AbortController();
    /** @type {() => void} */
    this.resolveDone = () => {};
    /** @type {Promise<void>} */
    this.done = new Promise((resolve) => { this.resolveDone = resolve; });
  }

  /**
   * Create the index of given images.
   * @param {Iterable<number>} ids
   */
  static of(ids) {
    const index = new ImageIndex(() => "", () => {});
    index.append(Int32Array.from(ids));
    index.complete();
    return index;
  }

  /** Fetch all pages. An unreachable studio is asked again, ever less often, until it answers or this is stopped. */
  async load() {
    const { signal } = this.controller;
    /** @type {string | null} */
    let cursor = "";
    let isFirst = true;
    for (let tries = 0; cursor !== null;) {
      try {
        /** @type {Response} */
        const response = await fetch(this.pageAddress(cursor, isFirst ? FIRST_PAGE : PAGE), { signal });
        /** @type {{ ids?: number[], next: string | null, error?: string } | null} */
        const page = await response.json().catch(() => null);
        if (response.status >= 400 && response.status < 500 && ![401, 408, 429].includes(response.status)) {
          this.error = page?.error || `${response.status}`; // an impossible filter; waiting would not help
          break;
        }
        if (!response.ok || !page?.ids) throw new Error(`${response.status}`);
        this.append(page.ids);
        cursor = page.next;
        tries = 0;
      } catch {
        if (signal.aborted) return;
        await sleep(Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** tries++));
        continue;
      }
      if (signal.aborted) return;
      if (cursor !== null) {
        this.onChange();
        if (isFirst && this.length) await sleep(FIRST_PAUSE_MS);
        isFirst = false;
      }
    }
    this.complete();
    this.onChange();
  }

  stop() {
    this.controller.abort();
  }

  /** @param {ArrayLike<number> & Iterable<number>} ids */
  append(ids) {
    if (this.length + ids.length > this.ids.length) {
      const larger = new Int32Array(Math.max(this.ids.length * 2, this.length + ids.length));
      larger.set(this.ids);
      this.ids = larger;
    }
    for (const id of ids) {
      if (this.positions.has(id)) continue; // it moved along the order between two pages
      this.positions.set(id, this.length);
      this.ids[this.length++] = id;
    }
  }

  complete() {
    this.isComplete = true;
    this.resolveDone();
  }

  /**
   * Return an image's position, or -1.
   * @param {number} id
   */
  positionOf(id) {
    return this.positions.get(id) ?? -1;
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  slice(from, to) {
    return Array.from(this.ids.subarray(Math.max(0, from), Math.min(this.length, Math.max(0, to))));
  }
}

/** @param {number} wait_ms */
function sleep(wait_ms) {
  return new Promise((resolve) => { setTimeout(resolve, wait_ms); });
}
