// What tiles show, by image: fetched for the images on the screen, in batches, kept for the last few thousand only.

/** @import { LabelQueue } from "./label_queue.js" */
/** @import { Change, Item, ItemResponse, Target } from "./types.js" */

const MAX_ITEMS = 3_000;
const REQUEST_ITEMS = 300, LOAD_ALL_ITEMS = 500;
const MAX_REQUESTS = 2;
const RETRY_MS = 1_000;

export class ItemCache {
  /**
   * @param {string} base  the address of the project's routes
   * @param {LabelQueue} queue
   * @param {() => void} onChange  called when something that may be seen has changed
   */
  constructor(base, queue, onChange) {
    this.base = base;
    this.queue = queue;
    this.onChange = onChange;
    /** @type {number[]} */
    this.visible = [];
    /** @type {number[]} */
    this.ahead = [];
    /**
     * By id; the longest unused first.
     * @type {Map<number, Item>}
     */
    this.items = new Map();
    /** @type {Set<{ ids: number[], controller: AbortController }>} */
    this.requests = new Set();
  }

  /** @param {number} id */
  get(id) {
    return this.items.get(id);
  }

  /**
   * Return what an image is shown as: what is on its way goes before what the studio has answered.
   * @param {number} id
   * @returns {Target | undefined}
   */
  targetOf(id) {
    const item = this.items.get(id);
    return this.queue.targetOf(id) ?? (item ? { state: item.state, class: item.class, name: "" } : undefined);
  }

  /**
   * Fetch what is seen now and next; requests for what is no longer needed are aborted.
   * @param {number[]} visible
   * @param {number[]} ahead
   */
  prefetch(visible, ahead) {
    this.visible = visible;
    this.ahead = ahead;
    for (const id of visible) {
      const item = this.items.get(id);
      if (item) {
        this.items.delete(id);
        this.items.set(id, item);
      }
    }
    const wanted = new Set([...visible, ...ahead]);
    for (const request of this.requests) if (!request.ids.some((id) => wanted.has(id))) request.controller.abort();
    this.requestMissing();
  }

  requestMissing() {
    for (const ids of [this.visible, this.ahead]) {
      if (this.requests.size >= MAX_REQUESTS) return;
      const asked = new Set(Array.from(this.requests, (request) => request.ids).flat());
      const wanted = ids.filter((id) => !this.items.get(id)?.fresh);
      const missing = wanted.filter((id) => !asked.has(id));
      if (missing.length) this.request(missing.slice(0, REQUEST_ITEMS));
      if (wanted.length) return; // what is seen comes first
    }
  }

  /** @param {number[]} ids */
  async request(ids) {
    const request = { ids, controller: new AbortController() };
    this.requests.add(request);
    try {
      this.store(await this.fetch(ids, request.controller.signal), ids);
    } catch {
      if (!request.controller.signal.aborted) setTimeout(() => this.requestMissing(), RETRY_MS);
      this.requests.delete(request);
      return;
    }
    this.requests.delete(request);
    this.onChange();
    this.requestMissing();
  }

  /**
   * @param {number[]} ids
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ items: ItemResponse[], number: number }>}
   */
  async fetch(ids, signal) {
    const response = await fetch(`${this.base}/items?ids=${ids.join()}`, { signal });
    if (!response.ok) throw new Error(`${response.status}`);
    return response.json();
  }

  /**
   * @param {{ items: ItemResponse[], number: number }} response
   * @param {number[]} asked
   */
  store({ items, number }, asked) {
    for (const item of items) {
      const before = this.items.get(item.id);
      if (before && before.number > number) before.fresh = true; // something newer came meanwhile
      else this.items.set(item.id, { ...item, number, fresh: true });
    }
    // An image that is not of the project any more has a tile, and nothing to show in it.
    const given = new Set(items.map(({ id }) => id));
    for (const id of asked) {
      if (!given.has(id)) this.items.set(id, { id, gone: true, state: "unlabelled", class: null, number, fresh: true });
    }
    const seen = new Set(this.visible);
    for (const id of this.items.keys()) {
      if (this.items.size <= MAX_ITEMS) break;
      if (!seen.has(id)) this.items.delete(id);
    }
  }

  /**
   * Return the items of all these ids, cached or not, in their order; throws where the studio does not answer.
   * @param {Iterable<number>} ids
   */
  async loadAll(ids) {
    const missing = Array.from(ids).filter((id) => !this.items.has(id));
    /** @type {Map<number, ItemResponse>} */
    const fetched = new Map();
    for (let at = 0; at < missing.length; at += LOAD_ALL_ITEMS) {
      const { items } = await this.fetch(missing.slice(at, at + LOAD_ALL_ITEMS));
      for (const item of items) fetched.set(item.id, item);
    }
    return Array.from(ids, (id) => this.items.get(id) ?? fetched.get(id)).filter((item) => item !== undefined);
  }

  /**
   * Fetch one image that may not be in the grid.
   * @param {number} id
   */
  async load(id) {
    this.store(await this.fetch([id]), [id]);
    this.onChange();
  }

  /**
   * Apply changes from the studio.
   * @param {Change[]} changes
   * @param {number} number  of the history, as of which they are
   * @param {boolean} [isOwn]  whether this view made them
   */
  apply(changes, number, isOwn = false) {
    for (const [id, state, classId] of changes) {
      const item = this.items.get(id);
      if (!item || item.number > number) continue;
      // Two things only the studio knows: whether a conflict is settled by what another did, and what it suggests for an
      // image that had a label when it was asked for.
      const isUncertain = (item.clash && !isOwn)
        || (state === "unlabelled" && item.state !== "unlabelled" && !item.suggestion);
      Object.assign(item, {
        state, class: classId, number, doubt: null, clash: isOwn ? null : item.clash, fresh: item.fresh && !isUncertain,
      });
    }
  }

  /** Fetch everything anew where it is seen, and show it as it was until then. */
  invalidate() {
    for (const item of this.items.values()) item.fresh = false;
    this.requestMissing();
  }

  /**
   * Return the number of the history that a person who sees these images knows: all of them are as of it, or newer.
   * @param {Iterable<number>} ids
   * @param {number} polled  the number of the history that was polled last
   */
  knownNumber(ids, polled) {
    let least = Number.POSITIVE_INFINITY;
    for (const id of ids) {
      least = Math.min(least, Math.max(polled, this.items.get(id)?.number ?? 0));
      if (least <= polled) return polled;
    }
    return least === Number.POSITIVE_INFINITY ? polled : least;
  }
}
