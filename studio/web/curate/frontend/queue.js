// Labels on their way. What a person does stands in the browser's storage before anything else happens, and stays
// there until the studio has answered: a closed tab, a cut line and a restarted server lose nothing. Operations
// have ids of their own, so sending one twice is harmless; they go out in order, one batch at a time.
const QUEUE_KEPT = "retrain-studio/labels/";
const AUTHOR_KEPT = "retrain-studio/author";
const BATCH_OPERATIONS = 200, BATCH_CHARACTERS = 4_000_000, KEEPALIVE_CHARACTERS = 16_000;
const ANSWER_MS = 60_000, LOOK_MS = 20;
const FIRST_REST_MS = 500, LONGEST_REST_MS = 8_000, REFUSED_REST_MS = 15_000;

// Not of a page but of the tab: what is on its way goes on while other pages are open.
const queues = new Map();

function labelQueue(place, base) {
  if (!queues.has(place)) queues.set(place, new LabelQueue(place, base));
  return queues.get(place);
}

addEventListener("beforeunload", (event) => {
  // Only what this browser could not keep would be lost.
  for (const queue of queues.values()) if (queue.unkept) event.preventDefault();
});
addEventListener("online", () => queues.forEach((queue) => queue.wake()));
addEventListener("visibilitychange", () => { if (!document.hidden) queues.forEach((queue) => queue.wake()); });

// Which browser this is: two tabs of one do not clash.
const author = (() => {
  const kept = readKept(AUTHOR_KEPT);
  if (kept) return kept;
  const made = newId();
  writeKept(AUTHOR_KEPT, made);
  return made;
})();

class LabelQueue {
  // place: the project's name in the storage; base: its routes.
  constructor(place, base) {
    Object.assign(this, { prefix: `${QUEUE_KEPT}${place}/`, base, sending: false, fault: "", said: "" });
    // Whoever shows the labels is told of changes and gets each answer: (entry, result, number of the history).
    this.told = () => {};
    this.answered = () => {};
    this.last_ms = 0;
    this.batch = BATCH_OPERATIONS;
    this.tab = newId().slice(0, 8);
    this.pending = this.kept(); // what an earlier tab left
    if (this.pending.length) this.send();
  }

  get unkept() {
    return this.pending.some(({ kept }) => !kept);
  }

  // Shows and keeps an operation, then sends it. looks: [{ ids, target }], what images look like until it is answered.
  add(op, looks) {
    this.last_ms = Math.max(Date.now(), this.last_ms + 1); // names sort as they were made, whatever the clock does
    const key = `${this.prefix}${this.last_ms.toString(36).padStart(9, "0")}-${this.tab}`;
    const kept = writeKept(key, JSON.stringify(op));
    this.pending.push({ key, op, looks, kept });
    this.told();
    this.send();
  }

  // What an image is to be, as far as that is on its way; undefined where nothing is.
  targetOf(id) {
    for (let at = this.pending.length - 1; at >= 0; at--) {
      for (const { ids, target } of this.pending[at].looks) if (holdsId(ids, id)) return target;
    }
    return undefined;
  }

  // Ends when all that has been added by now is answered, at the latest after limit_ms, and where nothing can be sent.
  async settled(limit_ms) {
    const asked = new Set(this.pending);
    const until = performance.now() + limit_ms;
    while (!this.fault && performance.now() < until && this.pending.some((entry) => asked.has(entry))) {
      await new Promise((looked) => { setTimeout(looked, LOOK_MS); });
    }
  }

  wake() {
    this.woken?.();
    this.send();
  }

  send() {
    if (this.sending || !this.waiting().length) return;
    this.sending = true;
    // In a task of its own, so that what was done is seen first.
    setTimeout(async () => {
      for (let tries = 0; this.waiting().length; tries++) {
        if (await alone(this.prefix, () => this.sendBatch())) tries = -1;
        else await this.rest(tries);
      }
      this.sending = false;
      this.told();
    });
  }

  // Everything of the project that this browser has to send, in order: what another tab left behind, too.
  waiting() {
    const mine = new Set(this.pending.map(({ key }) => key));
    const others = this.kept((key) => !mine.has(key)).map((entry) => ({ ...entry, foreign: true }));
    if (!others.length) return this.pending;
    return [...this.pending, ...others].sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  kept(wanted = () => true) {
    return keptKeys(this.prefix).filter(wanted).flatMap((key) => {
      try {
        const op = JSON.parse(readKept(key));
        return [{ key, op, looks: looksOf(op), kept: true }];
      } catch {
        dropKept(key); // half written, or by something else
        return [];
      }
    });
  }

  // Returns whether it is worth going on at once.
  async sendBatch() {
    const batch = [];
    let characters = 0;
    for (const entry of this.waiting().slice(0, this.batch)) {
      characters += JSON.stringify(entry.op).length;
      if (batch.length && characters > BATCH_CHARACTERS) break;
      batch.push(entry);
    }
    if (!batch.length) return true;
    const { status, said } = await this.ask(batch.map(({ op }) => op));
    const results = new Map((status === 200 && said?.results ? said.results : []).map((each) => [each.id, each]));
    const answered = batch.filter(({ op }) => results.has(op.id));
    if (answered.length) {
      this.become("");
      this.batch = BATCH_OPERATIONS;
      for (const entry of answered) this.settle(entry, results.get(entry.op.id), said.number);
      return true;
    }
    if ([400, 409, 413, 422].includes(status)) {
      // Something in it cannot be taken. One by one, it is found out which.
      this.batch = 1;
      if (batch.length === 1) this.settle(batch[0], { error: said?.error ?? "" }, 0);
      return true;
    }
    this.become(status === 401 ? "secret" : status >= 400 && status < 500 && ![408, 429].includes(status)
      ? "refused" : "away", said?.error);
    return false;
  }

  settle(entry, result, number) {
    dropKept(entry.key);
    this.pending = this.pending.filter((each) => each !== entry);
    if (!entry.foreign) this.answered(entry, result, number);
    this.told();
  }

  become(fault, said = "") {
    if (this.fault === fault && this.said === said) return;
    Object.assign(this, { fault, said });
    this.told();
  }

  async rest(tries) {
    const longest = this.fault === "away" ? LONGEST_REST_MS : REFUSED_REST_MS;
    const wait_ms = this.fault === "away" ? Math.min(longest, FIRST_REST_MS * 2 ** tries) : longest;
    await new Promise((go) => {
      this.woken = go;
      setTimeout(go, wait_ms);
    });
    this.woken = null;
  }

  // Gives { status, said }: 0 where there was no answer, said null where it was not JSON.
  async ask(operations) {
    const body = JSON.stringify({ author, operations });
    try {
      const answer = await fetch(`${this.base}/labels`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Studio-Curate": "1" },
        body,
        keepalive: body.length < KEEPALIVE_CHARACTERS, // then it arrives although the tab is closed meanwhile
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: answer.status, said: await answer.json().catch(() => null) };
    } catch {
      return { status: 0, said: null };
    }
  }
}

function looksOf(op) {
  return (op.sets ?? []).map(({ images, state, class: id = null, class_name: name = "" }) => (
    { ids: idsOf(images), target: { state, class: id, name } }));
}

// Several tabs take turns, where the browser can arrange it: it cannot on pages served over plain http.
function alone(name, act) {
  return navigator.locks ? navigator.locks.request(name, act) : act();
}

// The browser's storage, which may be full or forbidden.
function writeKept(key, text) {
  try {
    localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

function readKept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function dropKept(key) {
  try {
    localStorage.removeItem(key);
  } catch { /* it was never kept */ }
}

function keptKeys(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix)).sort();
  } catch {
    return [];
  }
}
