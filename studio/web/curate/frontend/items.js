// What tiles show: asked for where somebody looks, in batches, kept for the last few thousand images only.
const MOST_ITEMS = 3_000;
const ITEMS_A_REQUEST = 300;
const MOST_REQUESTS = 2;
const AGAIN_MS = 1_000;

class Items {
  // queue: what is on its way to the studio; told(): something that may be seen has changed.
  constructor(base, queue, told) {
    Object.assign(this, { base, queue, told, visible: [], ahead: [] });
    this.known = new Map(); // by id; the longest unused first
    this.requests = new Set();
  }

  get(id) {
    return this.known.get(id);
  }

  // What an image is, as a person is to see it: what is on its way goes before what the studio knows.
  targetOf(id) {
    const item = this.known.get(id);
    return this.queue.targetOf(id) ?? (item ? { state: item.state, class: item.class, name: "" } : undefined);
  }

  // Asks for what is to be seen now and next; requests for what nobody waits for any more are given up.
  want(visible, ahead) {
    Object.assign(this, { visible, ahead });
    for (const id of visible) {
      const item = this.known.get(id);
      if (item) {
        this.known.delete(id);
        this.known.set(id, item);
      }
    }
    const wanted = new Set([...visible, ...ahead]);
    for (const request of this.requests) if (!request.ids.some((id) => wanted.has(id))) request.controller.abort();
    this.ask();
  }

  ask() {
    for (const ids of [this.visible, this.ahead]) {
      if (this.requests.size >= MOST_REQUESTS) return;
      const asked = new Set(Array.from(this.requests, (request) => request.ids).flat());
      const wanted = ids.filter((id) => !this.known.get(id)?.fresh);
      const missing = wanted.filter((id) => !asked.has(id));
      if (missing.length) this.request(missing.slice(0, ITEMS_A_REQUEST));
      if (wanted.length) return; // what is seen comes first
    }
  }

  async request(ids) {
    const request = { ids, controller: new AbortController() };
    this.requests.add(request);
    try {
      this.keep(await this.fetch(ids, request.controller.signal), ids);
    } catch {
      if (!request.controller.signal.aborted) setTimeout(() => this.ask(), AGAIN_MS);
      this.requests.delete(request);
      return;
    }
    this.requests.delete(request);
    this.told();
    this.ask();
  }

  async fetch(ids, signal) {
    const answer = await fetch(`${this.base}/items?ids=${ids.join()}`, { signal });
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  }

  keep({ items, number }, asked) {
    for (const item of items) {
      const before = this.known.get(item.id);
      if (before && before.number > number) Object.assign(before, { fresh: true }); // something newer came meanwhile
      else this.known.set(item.id, { ...item, number, fresh: true });
    }
    // An image that is not of the project any more has a tile, and nothing to show in it.
    const given = new Set(items.map(({ id }) => id));
    for (const id of asked) {
      if (!given.has(id)) this.known.set(id, { id, gone: true, state: "unlabelled", class: null, number, fresh: true });
    }
    const seen = new Set(this.visible);
    for (const id of this.known.keys()) {
      if (this.known.size <= MOST_ITEMS) break;
      if (!seen.has(id)) this.known.delete(id);
    }
  }

  // Returns the items of all these ids, known or not, in their order; throws where the studio does not answer.
  async all(ids) {
    const missing = Array.from(ids).filter((id) => !this.known.has(id));
    const fetched = new Map();
    for (let at = 0; at < missing.length; at += 500) {
      const { items } = await this.fetch(missing.slice(at, at + 500));
      items.forEach((item) => fetched.set(item.id, item));
    }
    return Array.from(ids, (id) => this.known.get(id) ?? fetched.get(id)).filter(Boolean);
  }

  // Asks for one image that may not be in the grid.
  async also(id) {
    this.keep(await this.fetch([id]), [id]);
    this.told();
  }

  // Takes over what the studio says: changes [[id, state, class]] as of that number in the history. own: this view
  // decided so.
  apply(changes, number, own = false) {
    for (const [id, state, aClass] of changes) {
      const item = this.known.get(id);
      if (!item || item.number > number) continue;
      // Two things only the studio knows: whether a clash is settled by what another did, and what it suggests for a
      // image that had a label when it was asked for.
      const unsure = (item.clash && !own) || (state === "unlabelled" && item.state !== "unlabelled" && !item.suggestion);
      Object.assign(item, {
        state, class: aClass, number, doubt: null, clash: own ? null : item.clash, fresh: item.fresh && !unsure,
      });
    }
  }

  // Everything is asked for anew where it is seen, and shown as it was until then.
  age() {
    for (const item of this.known.values()) item.fresh = false;
    this.ask();
  }

  // How much of the history whoever sees these images knows: all of them are as of that number, or newer.
  seen(ids, followed) {
    let least = Infinity;
    for (const id of ids) {
      least = Math.min(least, Math.max(followed, this.known.get(id)?.number ?? 0));
      if (least <= followed) return followed;
    }
    return least === Infinity ? followed : least;
  }
}
