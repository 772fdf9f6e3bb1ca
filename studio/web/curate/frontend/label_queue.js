// Labels on their way to the studio. An operation is stored in the browser before anything else happens, and stays
// there until the studio has answered: a closed tab, a lost connection and a restarted server lose nothing. Operations
// have ids of their own, so sending one twice is harmless; they go out in order, one batch at a time.
import { readStored, removeStored, storedKeys, writeStored } from "../../components/local_storage.js";
import { includesId, newOperationId, parseIdRanges } from "./id_ranges.js";

/** @import { Operation, OperationResult, TargetSet } from "./types.js" */

/**
 * An operation that waits. targets: what images are shown as until it is answered; isStored: false where the browser's
 * storage is full or forbidden; isForeign: another tab left it behind.
 * @typedef {{ key: string, op: Operation, targets: TargetSet[], isStored: boolean, isForeign?: boolean }} QueueEntry
 */

/** @typedef {"" | "away" | "secret" | "refused"} QueueError */

const STORED_LABELS = "retrain-studio/labels/";
const STORED_AUTHOR = "retrain-studio/author";
const BATCH_OPERATIONS = 200, BATCH_CHARACTERS = 4_000_000, KEEPALIVE_CHARACTERS = 16_000;
const REQUEST_TIMEOUT_MS = 60_000, SETTLED_POLL_MS = 20;
const FIRST_RETRY_MS = 500, MAX_RETRY_MS = 8_000, REFUSED_RETRY_MS = 15_000;

/**
 * Not of a page but of the tab: what is on its way goes on while other pages are open.
 * @type {Map<string, LabelQueue>}
 */
const queues = new Map();

/**
 * Return the queue of a project.
 * @param {string} place  the project's name in the storage
 * @param {string} base  the address of its routes
 */
export function labelQueue(place, base) {
  if (!queues.size) listenToPage();
  const queue = queues.get(place) ?? new LabelQueue(place, base);
  queues.set(place, queue);
  return queue;
}

function listenToPage() {
  const wakeAll = () => { for (const queue of queues.values()) queue.wake(); };
  addEventListener("beforeunload", (event) => {
    // Only what this browser could not store would be lost.
    for (const queue of queues.values()) if (queue.hasUnstored) event.preventDefault();
  });
  addEventListener("online", wakeAll);
  addEventListener("visibilitychange", () => { if (!document.hidden) wakeAll(); });
}

/** @type {string | null} */
let author = null;

/** Return the name of this browser in the history: two tabs of one do not conflict. */
export function browserAuthor() {
  author ??= readStored(STORED_AUTHOR);
  if (!author) {
    author = newOperationId();
    writeStored(STORED_AUTHOR, author);
  }
  return author;
}

export class LabelQueue {
  /**
   * @param {string} place
   * @param {string} base
   */
  constructor(place, base) {
    this.prefix = `${STORED_LABELS}${place}/`;
    this.base = base;
    this.isSending = false;
    /** @type {QueueError} */
    this.error = "";
    this.errorMessage = "";
    /** Called when anything has changed. */
    this.onChange = () => {};
    /**
     * Called with each answer, and the number of the history that it is of.
     * @type {(entry: QueueEntry, result: OperationResult, number: number) => void}
     */
    this.onAnswer = () => {};
    /** @type {(() => void) | null} */
    this.endRest = null;
    this.last_ms = 0;
    this.batchSize = BATCH_OPERATIONS;
    this.tab = newOperationId().slice(0, 8);
    this.pending = this.stored(); // what an earlier tab left
    if (this.pending.length) this.send();
  }

  get hasUnstored() {
    return this.pending.some(({ isStored }) => !isStored);
  }

  /**
   * Store an operation, then send it.
   * @param {Operation} op
   * @param {TargetSet[]} targets  what images are shown as until it is answered
   */
  add(op, targets) {
    this.last_ms = Math.max(Date.now(), this.last_ms + 1); // keys sort as they were made, whatever the clock does
    const key = `${this.prefix}${this.last_ms.toString(36).padStart(9, "0")}-${this.tab}`;
    const isStored = writeStored(key, JSON.stringify(op));
    this.pending.push({ key, op, targets, isStored });
    this.onChange();
    this.send();
  }

  /**
   * Return what an image is to be, as far as that is on its way; undefined where nothing is.
   * @param {number} id
   */
  targetOf(id) {
    for (let at = this.pending.length - 1; at >= 0; at--) {
      for (const { ids, target } of this.pending[at].targets) if (includesId(ids, id)) return target;
    }
    return undefined;
  }

  /**
   * Wait until all that has been added by now is answered, at most limit_ms, and not where nothing can be sent.
   * @param {number} limit_ms
   */
  async settled(limit_ms) {
    const asked = new Set(this.pending);
    const until = performance.now() + limit_ms;
    while (!this.error && performance.now() < until && this.pending.some((entry) => asked.has(entry))) {
      await new Promise((resolve) => { setTimeout(resolve, SETTLED_POLL_MS); });
    }
  }

  wake() {
    this.endRest?.();
    this.send();
  }

  send() {
    if (this.isSending || !this.waiting().length) return;
    this.isSending = true;
    // In a task of its own, so that the effect is seen first.
    setTimeout(async () => {
      for (let tries = 0; this.waiting().length; tries++) {
        if (await withLock(this.prefix, () => this.sendBatch())) tries = -1;
        else await this.rest(tries);
      }
      this.isSending = false;
      this.onChange();
    });
  }

  /** Return everything of the project that this browser has to send, in order: what another tab left behind, too. */
  waiting() {
    const own = new Set(this.pending.map(({ key }) => key));
    const others = this.stored((key) => !own.has(key)).map((entry) => ({ ...entry, isForeign: true }));
    if (!others.length) return this.pending;
    return [...this.pending, ...others].sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /**
   * @param {(key: string) => boolean} isWanted
   * @returns {QueueEntry[]}
   */
  stored(isWanted = () => true) {
    return storedKeys(this.prefix).filter(isWanted).flatMap((key) => {
      try {
        const op = JSON.parse(readStored(key) ?? "");
        return [{ key, op, targets: targetsOf(op), isStored: true }];
      } catch {
        removeStored(key); // half written, or by something else
        return [];
      }
    });
  }

  /** Return whether to go on at once. */
  async sendBatch() {
    /** @type {QueueEntry[]} */
    const batch = [];
    let characters = 0;
    for (const entry of this.waiting().slice(0, this.batchSize)) {
      characters += JSON.stringify(entry.op).length;
      if (batch.length && characters > BATCH_CHARACTERS) break;
      batch.push(entry);
    }
    if (!batch.length) return true;
    const { status, answer } = await this.post(batch.map(({ op }) => op));
    /** @type {Map<string | undefined, OperationResult>} */
    const results = new Map((status === 200 && answer?.results ? answer.results : []).map((each) => [each.id, each]));
    let isAnswered = false;
    for (const entry of batch) {
      const result = results.get(entry.op.id);
      if (!result) continue;
      if (!isAnswered) this.setError("");
      isAnswered = true;
      this.batchSize = BATCH_OPERATIONS;
      this.settle(entry, result, answer?.number ?? 0);
    }
    if (isAnswered) return true;
    if ([400, 409, 413, 422].includes(status)) {
      // Something in it cannot be taken. One by one, it is found out which.
      this.batchSize = 1;
      if (batch.length === 1) this.settle(batch[0], { error: answer?.error ?? "" }, 0);
      return true;
    }
    const isRefused = status >= 400 && status < 500 && ![408, 429].includes(status);
    this.setError(status === 401 ? "secret" : isRefused ? "refused" : "away", answer?.error);
    return false;
  }

  /**
   * @param {QueueEntry} entry
   * @param {OperationResult} result
   * @param {number} number
   */
  settle(entry, result, number) {
    removeStored(entry.key);
    this.pending = this.pending.filter((each) => each !== entry);
    if (!entry.isForeign) this.onAnswer(entry, result, number);
    this.onChange();
  }

  /**
   * @param {QueueError} error
   * @param {string} [message]
   */
  setError(error, message = "") {
    if (this.error === error && this.errorMessage === message) return;
    this.error = error;
    this.errorMessage = message;
    this.onChange();
  }

  /**
   * Wait before the next try, or until woken.
   * @param {number} tries
   */
  async rest(tries) {
    const wait_ms = this.error === "away" ? Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** tries) : REFUSED_RETRY_MS;
    await new Promise((resolve) => {
      this.endRest = () => resolve(undefined);
      setTimeout(resolve, wait_ms);
    });
    this.endRest = null;
  }

  /**
   * Send operations. status is 0 where there was no answer, answer null where it was not JSON.
   * @param {Operation[]} operations
   * @returns {Promise<{ status: number, answer: { results?: OperationResult[], number?: number, error?: string } | null }>}
   */
  async post(operations) {
    const body = JSON.stringify({ author: browserAuthor(), operations });
    try {
      const response = await fetch(`${this.base}/labels`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Studio-Curate": "1" },
        body,
        keepalive: body.length < KEEPALIVE_CHARACTERS, // then it arrives although the tab is closed meanwhile
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      return { status: response.status, answer: await response.json().catch(() => null) };
    } catch {
      return { status: 0, answer: null };
    }
  }
}

/**
 * @param {Operation} op
 * @returns {TargetSet[]}
 */
function targetsOf(op) {
  return (op.sets ?? []).map(({ images, state, class: id = null, class_name: name = "" }) => (
    { ids: parseIdRanges(images), target: { state, class: id, name } }));
}

/**
 * Let tabs take turns, where the browser can arrange it: it cannot on pages served over plain http.
 * @param {string} name
 * @param {() => Promise<boolean>} callback
 */
function withLock(name, callback) {
  return navigator.locks ? navigator.locks.request(name, callback) : callback();
}
