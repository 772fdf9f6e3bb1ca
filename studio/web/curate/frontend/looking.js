// Which images are looked at: what the address says, the walk that gives them, and which of them have moved on since.
const ADDRESS_MS = 500, HOLD_MS = 5_000, SENT_MS = 2_000;

class Looking {
  constructor() {
    Object.assign(this, { busy: 0, moved: new Set(), fresh: new Set(), stale: false, look: lookOfAddress() });
    this.ends = new AbortController(); // of everything that listens, where another project's view takes the place
    this.index = new WalkIndex(null, () => {});
    this.selection = new Selection(this.index);
    this.writeSoon = later(ADDRESS_MS, () => this.write());
    addEventListener("popstate", () => this.back(), { signal: this.ends.signal });
  }

  // Looks at something. The images that are there stay until the first of the new ones have come; keys wait for them.
  open(look, { push = false } = {}) {
    this.look = look;
    this.write(push);
    if (look.filter.clash) this.items.age(); // whether an image clashes is known when it is asked for
    this.next?.stop();
    this.index.stop();
    this.opened?.(); // whoever waited for the last one
    const index = look.chosen ? WalkIndex.of(look.chosen, () => {})
      : new WalkIndex((cursor, limit) => walkAddress(this.base, look, cursor, limit), () => this.grown(index));
    this.next = index;
    this.until = look.at;
    if (look.chosen) this.grown(index);
    else {
      this.hold(new Promise((resolve) => { this.opened = resolve; }));
      // What was decided before counts for what is found now.
      this.queue.settled(SENT_MS).then(() => { if (index === this.next) index.walk(); });
    }
    this.soon();
  }

  grown(index) {
    if (index === this.next && (index.length || index.complete)) this.adopt(index);
    if (index !== this.index) return;
    if (this.until) {
      const at = index.placeOf(this.until);
      if (at >= 0) this.grid.focusOn(at);
      if (at >= 0 || index.complete) this.until = 0;
    }
    this.draw();
  }

  adopt(index) {
    Object.assign(this, { index, next: null, stale: false });
    this.moved.clear();
    this.fresh.clear();
    this.selection.begin(index);
    this.grid.begin();
    const { activeElement } = document;
    if (!activeElement || activeElement === document.body) this.grid.element.focus({ preventScroll: true });
    this.draw();
    this.opened?.();
  }

  // Walks anew, for what has moved; the focus stays with its image, or goes to the next one that is still there.
  refresh() {
    let { focus } = this.grid;
    while (focus < this.index.length && this.moved.has(this.index.ids[focus])) focus++;
    this.open({ ...this.look, at: this.index.ids[Math.min(focus, this.index.length - 1)] ?? 0 });
  }

  go(filter, order = "newest") {
    const kept = Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
    this.mapShown(false);
    this.open({ filter: kept, order, like: order === "alike" ? this.look.like : 0, at: 0 }, { push: true });
  }

  // As go, from the side panel: what narrows stays.
  goShelf(filter, order) {
    const narrowing = Object.entries(this.look.filter)
      .filter(([name]) => NARROWING.includes(name) && name !== "suggested");
    this.go({ ...Object.fromEntries(narrowing), ...filter }, order);
  }

  openLike(id) {
    this.mapShown(false);
    this.open({ filter: {}, order: "alike", like: id, at: 0 }, { push: true });
  }

  // Images chosen on the map, all of them selected.
  openChosen(ids) {
    this.open({ filter: {}, order: "newest", like: 0, at: 0, chosen: ids });
    this.selection.all();
    this.drawSelection();
  }

  back() {
    if (!this.here || !this.element.isConnected) return;
    const look = lookOfAddress();
    if (!sameFilter(look.filter, this.look.filter) || look.order !== this.look.order || look.like !== this.look.like) {
      this.open(look);
    }
  }

  write(push = false) {
    if (this.here) writeAddress(this.look, push);
  }

  // Keys that are pressed until this has ended are done then, unless it took so long that nobody means them any more.
  async hold(promise) {
    this.busy++;
    const begun = performance.now();
    await promise;
    this.busy--;
    if (!this.busy) this.released(performance.now() - begun < HOLD_MS);
  }

  focusMoved() {
    this.until = 0;
    this.look.at = this.grid.focus ? this.index.ids[this.grid.focus] : 0;
    this.writeSoon();
  }

  // Sets [{ ids, target }] have been decided, here or elsewhere: what is found by this look no more stays, marked.
  touched(sets) {
    const found = (target, decided) => staysIn(this.look, target, decided);
    // Of others than states and classes, only the studio can tell what they would find now.
    const isPlain = !this.look.chosen
      && Object.keys(this.look.filter).every((name) => ["state", "class"].includes(name));
    for (const { ids, target } of sets) {
      const [stays, comes] = [found(target, true), isPlain && this.index.complete && found(target, false)];
      const colour = target.state === "rejected" ? -1 : target.class ?? 0;
      for (const id of ids) {
        if (!this.index.places.has(id)) {
          if (comes) this.fresh.add(id);
        } else if (stays) this.moved.delete(id);
        else this.moved.add(id);
        this.map.recolour(id, colour);
      }
    }
    this.grid.draw();
    this.soon();
  }
}
