// The whole of what is seen of a project's runs: their curves, their list, the one that is looked at. Built once a project
// and moved to wherever the page draws it, so that a page that runs again finds it as it was.
const LIVE_MS = 700, LIST_MS = 2_000, IDLE_MS = 15_000, FAULT_MS = 4_000;

class Board {
  constructor({ place, base, curate, texts }) {
    Object.assign(this, {
      place, base, curate, texts, runs: [], columns: [], deleted: [], drawn: new Set(), colours: new Map(), here: false,
      opened: Number(new URLSearchParams(location.search).get("run")) || null, versus: null, // runs that are looked at
      details: new Map(), stamp: null,
      readIn: new Map(), // in which state of a run its curves were read last
      picked: false, // whether somebody chose the run that is looked at, after the newest had begun
    });
    this.store = new CurveStore(base);
    const shown = () => this.runs.filter((run) => this.drawn.has(run.id))
      .map((run) => ({ ...run, colour: this.colourOf(run.id) })).reverse();
    this.curves = makeCurves({ texts: texts.curves, store: this.store, runs: shown });
    this.table = makeRunTable({ texts: texts.table, board: this });
    this.results = makeResults({ texts: texts.results, board: this });
    this.naming = makeNaming({ texts: texts.naming, save: (run, name, note) => this.named(run, name, note) });
    this.notices = element("div", { className: "notices", role: "status", "aria-live": "polite" });
    this.boardButton = button(texts.tensorboard.open, () => this.openTensorBoard(), { title: texts.tensorboard.help });
    this.tools = element("div", { className: "board-tools" }, element("h2", {}, texts.table.runs), this.boardButton);
    this.element = element("section", { className: "retraining" }, this.curves.element, this.tools,
      this.table.element, this.results.element, this.notices, this.naming.element);
  }

  // The page shows this board; stamp changes where the page knows of something new.
  enter(stamp) {
    this.here = true;
    if (this.stamp !== stamp) this.wanted = true;
    this.stamp = stamp;
    this.wake();
  }

  leave() {
    this.here = false;
    clearTimeout(this.timer);
  }

  wake() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), 0);
  }

  async look() {
    if (!this.here || this.looking) return;
    this.looking = true;
    let wait = FAULT_MS;
    try {
      await this.refresh();
      wait = this.runs.some(isLive) ? LIVE_MS : IDLE_MS;
      this.fault(false);
    } catch {
      this.fault(true);
    }
    this.looking = false;
    if (this.wanted) wait = 0;
    this.timer = setTimeout(() => this.look(), wait);
  }

  async refresh() {
    // The list is long where there are many runs, and changes seldom; curves grow all the time.
    if (this.wanted || !this.runs.some(isLive) || performance.now() - this.listedAt > LIST_MS) {
      this.wanted = false;
      this.learn(await this.ask("runs"));
      this.listedAt = performance.now();
    }
    const drawn = this.runs.filter((run) => this.drawn.has(run.id));
    const due = drawn.filter((run) => isLive(run) || this.readIn.get(run.id) !== run.state);
    const grown = await this.store.refresh(due.map((run) => run.id));
    for (const run of due) this.readIn.set(run.id, run.state);
    const shown = JSON.stringify(drawn.map(({ id, title }) => [id, title]));
    if (grown || shown !== this.shown) this.curves.draw();
    this.shown = shown;
    await this.lookCloser();
  }

  // What the studio says of all runs.
  learn({ runs, columns, deleted }) {
    const known = new Set(this.runs.map((run) => run.id));
    const isFirst = !known.size;
    const text = JSON.stringify([runs, columns, deleted]);
    if (text === this.learnt) return;
    this.learnt = text;
    Object.assign(this, { runs, columns, deleted });
    for (const id of runs.map((run) => run.id).sort((one, other) => one - other)) {
      if (!this.colours.has(id)) this.colours.set(id, PALETTE[this.colours.size % PALETTE.length]);
    }
    const ids = runs.map((run) => run.id);
    for (const id of this.drawn) if (!ids.includes(id)) this.drawn.delete(id);
    // A new run is drawn over those that are drawn already.
    const fresh = isFirst ? [ids[0], this.opened].filter((id) => ids.includes(id)) : ids.filter((id) => !known.has(id));
    for (const id of fresh) this.drawn.add(id);
    if (!isFirst && fresh.length) this.picked = false;
    const latest = runs.find((run) => run.cells.accuracy) ?? runs[0];
    const finishedNow = runs.find((run) => run.cells.accuracy && this.unfinished?.has(run.id));
    this.unfinished = new Set(runs.filter((run) => !run.cells.accuracy).map((run) => run.id));
    if (finishedNow && !this.picked) this.opened = finishedNow.id;
    if (!ids.includes(this.opened)) this.opened = latest?.id ?? null;
    if (!ids.includes(this.versus)) this.versus = null;
    this.table.draw();
    this.element.classList.toggle("empty", !runs.length && !deleted.length);
    this.curves.element.hidden = !runs.length;
    this.boardButton.hidden = !runs.length;
  }

  async lookCloser() {
    const run = this.run(this.opened);
    if (!run) {
      this.results.draw(null);
      return;
    }
    const key = `${run.id} ${run.state} ${run.name}`;
    if (this.details.get(run.id)?.key !== key) {
      if (!this.details.has(run.id)) this.results.draw(run, null);
      const found = await this.ask(`runs/${run.id}`);
      this.details.set(run.id, { key, found });
    }
    if (this.opened !== run.id) return;
    this.results.draw(this.run(run.id), this.details.get(run.id).found);
    await this.drawDifference();
  }

  async drawDifference() {
    const { opened, versus } = this;
    const place = this.results.difference;
    if (!versus || versus === opened) {
      this.versus = null;
      place.replaceChildren();
      this.differing = null;
      return;
    }
    const key = `${opened} ${versus} ${this.run(opened).title} ${this.run(versus).title}`;
    if (this.differing === key) return;
    const found = await this.ask(`runs/${opened}/differences?from=${versus}`);
    if (this.opened !== opened || this.versus !== versus) return;
    this.differing = key;
    place.replaceChildren(...differenceOf(found, this.texts.difference, (asking) => this.gridAddress(asking)));
  }

  run(id) {
    return this.runs.find((run) => run.id === id) ?? null;
  }

  colourOf(id) {
    return this.colours.get(id) ?? PALETTE[0];
  }

  labelOf(key) {
    return this.columns.find((each) => each.key === key)?.label ?? "";
  }

  isDefault(run, key) {
    return this.columns.find((each) => each.key === key)?.default === run.cells[key]?.text;
  }

  draw(id, on) {
    if (on) this.drawn.add(id);
    else this.drawn.delete(id);
    this.table.draw();
    this.curves.draw();
    this.wanted = true;
    this.wake();
  }

  open(id) {
    this.opened = id;
    this.picked = true;
    this.drawn.add(id);
    const address = new URL(location.href);
    address.searchParams.set("run", id);
    history.replaceState(history.state, "", address);
    this.table.draw();
    this.results.draw(this.run(id), this.details.get(id)?.found ?? null);
    this.results.title.focus({ preventScroll: true });
    this.wanted = true;
    this.wake();
  }

  compare(id) {
    this.versus = id;
    if (id) this.drawn.add(id);
    this.table.draw();
    this.drawDifference().catch(() => this.fault(true));
    this.wanted = true;
    this.wake();
  }

  rename(run) {
    this.naming.open(run);
  }

  async named(run, name, note) {
    if (name !== run.name) await this.act("rename", run.id, name);
    if (note !== run.note) await this.act("annotate", run.id, note);
  }

  // Asks the studio to do something with a run; says what came of it.
  async act(act, id, text = "") {
    const run = this.run(id);
    try {
      const said = await this.ask("runs", { act, runs: [id], text });
      this.learn(said);
      if (act === "delete") {
        this.details.delete(id);
        const { deleted, undo } = this.texts.acts;
        this.tell(filled(deleted, { run: run.title }), undo, () => this.act("bring_back", id));
      } else if (act === "rerun") this.tell(filled(this.texts.acts.rerun, { run: run.title }));
      this.acted?.();
    } catch (error) {
      this.tell(error.message || this.texts.acts.away);
    }
    this.wanted = true;
    this.wake();
  }

  async openTensorBoard() {
    // Opened at once: a window that opens only when an answer has come is taken for an advertisement.
    const tab = open("about:blank", "_blank");
    this.boardButton.disabled = true;
    this.boardButton.textContent = this.texts.tensorboard.starting;
    try {
      const { address } = await this.ask("tensorboard", {});
      if (tab) tab.location = address;
      else this.tell(filled(this.texts.tensorboard.at, { address }));
    } catch (error) {
      tab?.close();
      this.tell(error.message || this.texts.acts.away);
    }
    this.boardButton.disabled = false;
    this.boardButton.textContent = this.texts.tensorboard.open;
  }

  // Where the images that are meant are shown in the labelling grid.
  gridAddress(asking) {
    return `${this.curate}&${new URLSearchParams(Object.entries(asking).map(([name, value]) => [name, `${value}`]))}`;
  }

  // Rejects with an Error whose message is for people, or empty where nobody answered.
  async ask(what, body = null) {
    const answer = await fetch(`${this.base}/${what}`, body && {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Studio-Retrain": "1" },
    }).catch(() => null);
    const said = await answer?.json().catch(() => null);
    if (!answer?.ok || !said) throw new Error(said?.error ?? "");
    return said;
  }

  tell(text, label = "", act = () => {}) {
    const notice = element("div", { className: "notice" }, element("p", {}, text));
    if (label) notice.append(button(label, () => { notice.remove(); act(); }));
    notice.append(button("✕", () => notice.remove(), { className: "quiet", "aria-label": this.texts.acts.close }));
    this.notices.replaceChildren(notice);
  }

  fault(on) {
    if (on === Boolean(this.away)) return;
    this.away = on;
    if (on) this.tell(this.texts.acts.away);
    else this.notices.replaceChildren();
  }
}

function isLive({ state }) {
  return state === "queued" || state === "running";
}

let current = null;

export default function ({ data, parentElement, setTriggerValue }) {
  if (current?.place !== data.place) {
    current?.leave();
    current = new Board(data);
  }
  const board = current;
  // The page has to run again where a job begins that it must watch.
  board.acted = () => setTriggerValue("acted", Date.now());
  const home = parentElement.querySelector(".home");
  if (board.element.parentNode !== home) home.replaceChildren(board.element);
  board.enter(data.stamp);
  return () => board.leave();
}
