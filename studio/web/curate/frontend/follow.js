// Follows the project's history: what others, other tabs and the studio itself have done since.
const POLL_MS = 1_000, COUNTS_MS = 5_000, SOON_MS = 250;

class Follower {
  // changed(changes or null, number), counted(what GET classes says), reached(whether the studio answers).
  constructor(base, { changed, counted, reached }) {
    Object.assign(this, { base, changed, counted, reached, number: 0, begun: false, on: false, countedAt: 0 });
    this.visible = () => { if (!document.hidden) this.go(); };
    this.countSoon = later(SOON_MS, () => this.count());
  }

  start() {
    if (this.on) return;
    this.on = true;
    addEventListener("visibilitychange", this.visible);
    addEventListener("online", this.visible);
    this.go();
  }

  stop() {
    this.on = false;
    clearTimeout(this.timer);
    removeEventListener("visibilitychange", this.visible);
    removeEventListener("online", this.visible);
  }

  async go() {
    clearTimeout(this.timer);
    if (!this.on || document.hidden || this.going) return;
    this.going = true;
    try {
      if (!this.begun) await this.count();
      else await this.poll();
      if (performance.now() - this.countedAt > COUNTS_MS) await this.count();
    } catch {
      this.reached(false);
    }
    this.going = false;
    if (this.on) this.timer = setTimeout(() => this.go(), POLL_MS);
  }

  async poll() {
    const said = await this.ask(`changes?after=${this.number}`);
    this.reached(true);
    if (said.number <= this.number) return;
    this.number = said.number;
    this.changed(said.changes, said.number);
    this.countSoon();
  }

  // Counts, classes and findings. The first time it says from where on the history is followed.
  async count() {
    this.countedAt = performance.now();
    const said = await this.ask("classes").catch(() => null);
    if (!said) return;
    this.reached(true);
    if (!this.begun) Object.assign(this, { begun: true, number: said.number });
    this.counted(said);
  }

  async ask(path) {
    const answer = await fetch(`${this.base}/${path}`, { cache: "no-store", signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) {
      if (answer.status === 401) this.reached(false, true);
      throw new Error(answer.status);
    }
    return answer.json();
  }
}
