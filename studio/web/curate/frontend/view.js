// What the whole grid is and does: which images are looked at, which are meant, and what follows from an act.
class Curating extends Looking {
  constructor({ place, base, texts }) {
    super();
    Object.assign(this, { place, base, texts, here: false });
    this.counts = { classes: [], unlabelled: 0, labelled: 0, rejected: 0, findings: {}, studies: {} };
    this.queue = labelQueue(place, base);
    this.queue.told = () => this.soon();
    this.items = new Items(base, this.queue, () => this.draw());
    this.follower = new Follower(base, {
      changed: (changes, number) => this.followed(changes, number),
      counted: (said) => this.learnCounts(said),
      reached: (reached, secret) => this.reached(reached, secret),
    });
    this.acts = new Acts(this, texts.acts);
    build(this);
  }

  // What is around the grid is drawn with the next frame; the grid itself at once, by whoever changes it.
  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.grid.draw();
      drawAround(this);
    });
  }

  // The page shows this view: again, or for the first time.
  enter() {
    if (this.here) return;
    this.here = true;
    this.follower.start();
    this.open(lookOfAddress());
  }

  leave() {
    this.here = false;
    this.follower.stop();
  }

  // Another project's view takes the place of this one. What is on its way goes on.
  end() {
    this.leave();
    this.ends.abort();
    this.index.stop();
    Object.assign(this.queue, { told: () => {}, answered: () => {} });
  }

  // The images that an act is about.
  subjects() {
    if (this.closer.open) return [this.closer.id];
    if (this.selection.count) return this.selection.ids();
    return this.index.length ? [this.index.ids[this.grid.focus]] : [];
  }

  label(target) {
    const known = target.name ? this.classNamed(target.name) : null; // typed, and there already
    this.acts.set(this.subjects(), known ? { state: "labelled", class: known.id, name: "" } : target);
    this.onwards();
  }

  async accept() {
    await this.accepting(this.subjects());
  }

  async acceptScreen() {
    const [from, to] = this.grid.shown;
    if (await this.acts.accept(this.index.slice(from, to + 1).filter((id) => this.items.get(id)))) this.draw();
  }

  async accepting(ids) {
    // Many labels are not given up at one blow where doubts are not what is looked at.
    const doubts = ids.length === 1 || this.look.filter.found === "doubtful";
    // Without waiting where everything is known, so that the next key finds it done.
    if (ids.every((id) => this.items.get(id))) {
      this.acts.accept(ids, doubts);
      this.onwards();
    } else {
      await this.hold(this.acts.accept(ids, doubts).catch(() => this.status.tell(this.texts.status.away)));
      this.onwards();
    }
  }

  // After an act: on to the next image that is not selected; nothing is selected any more.
  onwards() {
    const { grid, selection, index } = this;
    let to = grid.focus;
    if (this.closer.open || !selection.count) to++;
    else while (to < index.length && selection.has(to)) to++;
    selection.clear();
    if (to < index.length) grid.focusOn(to);
    if (this.closer.open && to < index.length) this.closer.id = index.ids[to];
    this.drawSelection();
  }

  drop(place) {
    const [kind, what] = place.split(":");
    this.label(kind === "class" ? { state: "labelled", class: Number(what), name: "" }
      : { state: what, class: null, name: "" });
  }

  pick(at, { shiftKey = false }) {
    const before = this.grid.focus;
    if (shiftKey) this.selection.extend(before, at);
    else this.selection.toggle(at);
    this.grid.focusOn(at);
    this.drawSelection();
  }

  toggle(at) {
    if (!this.index.length) return;
    this.selection.toggle(at);
    this.drawSelection();
  }

  move(at, extends_) {
    const to = Math.max(0, Math.min(this.index.length - 1, at));
    if (extends_) this.selection.extend(this.grid.focus, to);
    this.grid.focusOn(to);
    if (extends_) this.drawSelection();
  }

  toEnd(extends_) {
    if (this.index.complete) this.move(this.index.length - 1, extends_);
    else this.hold(this.index.done.then(() => this.move(this.index.length - 1, extends_)));
  }

  selectAll() {
    const all = () => {
      this.selection.all();
      this.drawSelection();
    };
    if (this.index.complete) all();
    else this.hold(this.index.done.then(all));
  }

  clear() {
    this.selection.clear();
    this.drawSelection();
  }

  zoom(withDetails) {
    const id = this.closer.open ? this.closer.id : this.index.ids[this.grid.focus];
    if (this.index.length || this.closer.open) this.closer.show(id, withDetails);
  }

  choose(typed = "") {
    const ids = this.subjects();
    if (ids.length) this.chooser.open(filled(this.texts.chooser.title, { images: this.images(ids.length) }), typed);
  }

  say(text) {
    this.status.say(text);
  }

  tell(text, actions, kind) {
    this.status.tell(text, actions, kind);
  }

  images(count) {
    return counted(this.texts.acts.images, count);
  }

  toGrid() {
    this.grid.element.focus({ preventScroll: true });
  }

  // Does something with the images that are meant, which the studio may have to be asked about first.
  each(act) {
    this.hold(act(this.subjects()).then(() => this.onwards(), () => this.tell(this.texts.status.away, [], "fault")));
    this.toGrid();
  }

  // What the dialog about classes asks for: { act, …fields }; rejects with an Error for people.
  async changeClasses(change) {
    const answer = await fetch(`${this.base}/classes`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Studio-Curate": "1" },
      body: JSON.stringify({ author, id: newId(), ...change }),
    }).catch(() => null);
    const said = await answer?.json().catch(() => null);
    const silent = this.texts.status[answer?.status === 401 ? "secret" : "away"];
    if (!answer?.ok || !said?.classes) throw new Error(said?.error ?? silent);
    this.learnCounts(said);
    this.items.age();
    return said;
  }

  get focusedId() {
    return this.closer.open ? this.closer.id : this.index.ids[this.grid.focus];
  }

  focusId(id) {
    const at = this.index.placeOf(id);
    if (at < 0) return;
    if (this.closer.open) this.closer.id = id;
    this.grid.focusOn(at);
    this.closer.draw();
  }

  // What is known of classes now.
  get classes() {
    return this.counts.classes;
  }

  classOf(id) {
    return this.counts.classes.find((each) => each.id === id);
  }

  classNamed(name) {
    return this.counts.classes.find((each) => each.name === name);
  }

  // A class that the studio has just made, until it tells more.
  learnClass(id, name) {
    if (this.classOf(id)) return;
    const position = this.classes.length;
    const made = { id, name, position, colour: "", hotkey: "", count: 0 };
    this.counts = { ...this.counts, classes: [...this.classes, made] };
  }

  want(visible, ahead) {
    this.items.want(visible, ahead);
  }

  answered(op, result) {
    this.mine = Math.max(this.mine ?? 0, result.number ?? 0);
    if (result.error === null) this.follower.countSoon();
    this.draw();
  }

  followed(changes, number) {
    if (changes) {
      this.items.apply(changes, number);
      this.touched(byTarget(changes.map(([id, state, aClass]) => (
        [id, this.queue.targetOf(id) ?? { state, class: aClass, name: "" }]))));
    } else {
      this.items.age();
      this.stale ||= number > (this.mine ?? 0); // not where it was only this view's own large act
    }
    this.draw();
  }

  learnCounts(said) {
    const studied = JSON.stringify(said.studies ?? {});
    if (this.studied !== undefined && this.studied !== studied) {
      this.items.age(); // the studio has looked again
      if (!this.map.element.hidden) this.map.show();
      const { found, suggested, copies } = this.look.filter;
      this.stale ||= Boolean(found || suggested || copies) || !["newest", "oldest"].includes(this.look.order);
    }
    if (said.clashes !== this.counts.clashes) this.items.age(); // which of them clash, too
    this.studied = studied;
    this.counts = said;
    // So that what the browser draws itself, such as the sign for a calendar, can be seen.
    this.element.style.colorScheme = luminance(themeOf(this.element).paper) < 0.2 ? "dark" : "light";
    this.map.refresh();
    this.classDialog.refresh();
    this.draw();
  }

  reached(reached, secret = false) {
    if (reached && this.away) this.queue.wake();
    Object.assign(this, { away: !reached, secret });
    this.soon();
  }

  mapShown(on) {
    if (on === !this.map.element.hidden) return;
    if (on) this.map.show();
    else this.map.hide();
    this.grid.element.hidden = on;
    this.soon();
  }

  facts(at) {
    return { ...this.factsOf(this.index.ids[at]), selected: this.selection.has(at), focus: at === this.grid.focus };
  }

  factsOf(id) {
    return factsOf(this, id);
  }

  draw() {
    this.grid.draw();
    this.closer.draw();
    this.soon();
  }

  drawSelection() {
    this.grid.draw();
    this.soon();
  }
}
