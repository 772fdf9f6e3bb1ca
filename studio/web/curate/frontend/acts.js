// What a person does to labels: set, accept, undo, redo, settle a clash. Each act shows at once, from what is known
// here; the queue carries it to the studio, whose answer then stands.
const MOST_AN_OPERATION = 100_000; // the studio takes twice as many

class Acts {
  // view: { items, queue, classes, index, say(text), tell(text, actions), touched(ids, targets), … }: see Curating.
  constructor(view, texts) {
    Object.assign(this, { view, texts, done: [], undone: [], awaited: new Map() });
    view.queue.answered = (entry, result, number) => this.answered(entry, result, number);
  }

  // Gives images a target: { state, class, name }.
  set(ids, target) {
    if (!ids.length) return;
    this.record([{ ids: Int32Array.from(ids).sort(), target }]);
    this.view.say(`${this.named(target)} · ${counted(this.texts.images, ids.length)}`);
  }

  // sets: [{ ids (ascending), target }], one act. seen: how much of the history was known, where that is not as usual.
  record(sets, seen) {
    const { view } = this;
    const before = byTarget(sets.flatMap(({ ids }) => (
      Array.from(ids, (id) => [id, view.items.targetOf(id)]).filter(([, target]) => target))));
    const links = parted(sets).map((part) => {
      const ids = part.flatMap((set) => [...set.ids]);
      const op = {
        id: newId(),
        kind: "set",
        seen: seen ?? view.items.seen(ids, view.follower.number),
        sets: part.map((set) => ({ images: idsText(set.ids), ...asSent(set.target) })),
      };
      view.queue.add(op, part);
      return op.id;
    });
    this.done.push({ links, before, after: sets, at: view.focusedId });
    this.undone = [];
    view.touched(sets);
  }

  // Takes back this view's newest act, or, where it has none, this browser's newest one.
  undo() {
    this.turn("undo", this.done, this.undone);
  }

  redo() {
    this.turn("redo", this.undone, this.done);
  }

  turn(kind, from, to) {
    const { view } = this;
    const act = from.pop();
    if (!act) {
      view.queue.add({ id: newId(), kind }, []);
      return;
    }
    const looks = kind === "undo" ? act.before : act.after;
    // The last of its operations first; what takes it back is what a redo takes back in turn.
    act.links = act.links.reverse().map((operation, at) => {
      const id = newId();
      view.queue.add({ id, kind, operation }, at ? [] : looks);
      return id;
    });
    to.push(act);
    view.touched(looks);
    view.focusId(act.at); // as the cursor in a text goes to what is undone
    view.say(filled(this.texts[kind === "undo" ? "undone" : "redone"], { act: this.about(act) }));
  }

  // Takes back an operation out of the history.
  async undoOf(operation) {
    await new Promise((resolve, reject) => {
      const id = newId();
      this.awaited.set(id, { resolve, reject });
      this.view.queue.add({ id, kind: "undo", operation }, []);
    });
    this.forget(operation);
  }

  // Accepts what the studio suggests for those of these images that it suggests something for; with doubts, what
  // doubtful labels might be instead, too.
  async accept(ids, doubts = false) {
    let items = Array.from(ids, (id) => this.view.items.get(id));
    if (!items.every(Boolean)) items = await this.view.items.all(ids);
    const pairs = items.map((item) => [item.id, this.offered(item, doubts)]).filter(([, aClass]) => aClass)
      .map(([id, aClass]) => [id, { state: "labelled", class: aClass.id, name: "" }]);
    if (!pairs.length) {
      this.view.say(this.texts.no_suggestion);
      return 0;
    }
    const sets = byTarget(pairs);
    this.record(sets);
    this.view.say(filled(this.texts.accepted, { act: this.about({ after: sets }) }));
    return pairs.length;
  }

  offered(item, doubts) {
    const waits = this.view.items.targetOf(item.id).state === "unlabelled";
    if (waits) return item.suggestion && this.view.classOf(item.suggestion[0]);
    return doubts && openDoubt(this.view, item);
  }

  // Rejects those of these images that are copies of another which is kept.
  async rejectCopies(ids) {
    const copies = (await this.view.items.all(ids)).filter(({ group, keeper }) => group && !keeper).map(({ id }) => id);
    if (copies.length) this.set(copies, { state: "rejected", class: null, name: "" });
    else this.view.say(this.texts.no_copies);
    return copies.length;
  }

  // Settles clashes: with what stands, which is thereby looked at, or with what was wanted.
  async settle(ids, way, seen) {
    const items = (await this.view.items.all(ids)).filter(({ clash }) => clash);
    const pairs = items.map((item) => [item.id, way === "mine"
      ? { state: item.clash[0], class: item.clash[1], name: "" }
      : { state: item.state, class: item.class, name: "" }]);
    if (!pairs.length) return 0;
    const sets = byTarget(pairs);
    this.record(sets, seen);
    this.view.say(this.about({ after: sets }));
    return pairs.length;
  }

  answered({ op, looks }, result, number) {
    const { view } = this;
    this.wait(result);
    if (result.error !== null && result.error !== undefined) {
      this.forget(op.id);
      view.items.age(); // what they truly are
      view.tell(filled(this.texts.refused, { why: result.error || this.texts.unknown }), [], "fault");
    } else {
      this.learnClasses(op, result);
      if (result.changes) view.items.apply(result.changes, number, true);
      else if (op.kind === "set") this.assume(looks, new Set((result.clashes ?? []).map(([id]) => id)), number);
      else view.items.age();
      if (op.kind !== "set" && !looks.length) this.tellTurn(op, result);
      if (result.clashes?.length) this.clashed(op, looks, result.clashes, number);
    }
    view.answered(op, result);
  }

  // A clash is shown until one of the two is chosen.
  clashed(op, looks, clashes, number) {
    const { view, texts } = this;
    view.items.apply(clashes, number);
    for (const [id] of clashes) {
      const item = view.items.get(id);
      const wanted = looks.find(({ ids }) => holdsId(ids, id))?.target;
      if (item && wanted) item.clash = [wanted.state, wanted.class ?? view.classNamed(wanted.name)?.id ?? null];
    }
    const ids = clashes.map(([id]) => id);
    view.tell(filled(ids.length === 1 ? texts.clash_one : texts.clash_many, { count: formatted(ids.length) }), [
      [texts.keep_theirs, () => this.settle(ids, "theirs", number)],
      [texts.use_mine, () => this.settle(ids, "mine", number)],
    ], "clash");
  }

  learnClasses({ sets = [] }, { changes }) {
    for (const { class_name: name, images } of sets) {
      const ids = name && changes ? idsOf(images) : [];
      const change = changes?.find(([id, state]) => state === "labelled" && holdsId(ids, id));
      if (name && change) this.view.learnClass(change[2], name);
    }
  }

  assume(looks, clashed, number) {
    for (const { ids, target } of looks) {
      const aClass = target.name ? this.view.classNamed(target.name)?.id : target.class;
      if (aClass === undefined) this.view.items.age();
      else this.view.items.apply(Array.from(ids).filter((id) => !clashed.has(id) && this.view.items.get(id))
        .map((id) => [id, target.state, aClass]), number, true);
    }
  }

  tellTurn(op, result) {
    const texts = this.texts;
    const count = result.changes?.length;
    if (!result.number) this.view.say(op.kind === "undo" ? texts.nothing_to_undo : texts.nothing_to_redo);
    else {
      const act = count === undefined ? texts.much : counted(texts.images, count);
      this.view.say(filled(op.kind === "undo" ? texts.undone : texts.redone, { act }));
      if (result.changes) this.view.touched(byTarget(result.changes.map(([id, state, aClass]) => (
        [id, { state, class: aClass, name: "" }]))));
    }
  }

  wait(result) {
    const waiter = this.awaited.get(result.id);
    if (!waiter) return;
    this.awaited.delete(result.id);
    if (result.error) waiter.reject(new Error(result.error));
    else waiter.resolve(result);
  }

  // What was refused never happened: there is nothing to take back.
  forget(id) {
    const stays = ({ links }) => !links.includes(id);
    Object.assign(this, { done: this.done.filter(stays), undone: this.undone.filter(stays) });
  }

  named(target) {
    if (target.state !== "labelled") return this.texts[target.state];
    return target.name || this.view.classOf(target.class)?.name || "?";
  }

  about({ after }) {
    const count = after.reduce((sum, { ids }) => sum + ids.length, 0);
    const names = after.slice(0, 3).map(({ target }) => this.named(target)).join(", ");
    return `${names}${after.length > 3 ? ", …" : ""} · ${counted(this.texts.images, count)}`;
  }
}

function asSent(target) {
  if (target.state !== "labelled") return { state: target.state };
  return target.name ? { state: "labelled", class_name: target.name } : { state: "labelled", class: target.class };
}

// Parts sets so that no operation holds more than the studio takes.
function parted(sets) {
  const parts = [];
  let [part, room] = [[], MOST_AN_OPERATION];
  for (const { ids, target } of sets) {
    for (let at = 0; at < ids.length;) {
      const some = ids.subarray(at, at + room);
      part.push({ ids: some, target });
      at += some.length;
      room -= some.length;
      if (room === 0) {
        parts.push(part);
        [part, room] = [[], MOST_AN_OPERATION];
      }
    }
  }
  return part.length ? [...parts, part] : parts;
}
