// Polling of the project's history: what other people, other tabs and the studio itself have changed since.
import { throttled } from "../../../share/web_demo/page/dom.js";

/** @import { Change, Counts } from "./types.js" */

const POLL_MS = 1_000, COUNTS_MS = 5_000, COUNTS_DELAY_MS = 250;
const REQUEST_TIMEOUT_MS = 20_000;

/**
 * changes: null where there are too many; onConnection: whether the studio answers, and whether it asks for its secret.
 * @typedef {{
 *   onChanges: (changes: Change[] | null, number: number) => void,
 *   onCounts: (counts: Counts) => void,
 *   onConnection: (isConnected: boolean, needsSecret?: boolean) => void,
 * }} PollerCallbacks
 */

export class ChangePoller {
  /**
   * @param {string} base  the address of the project's routes
   * @param {PollerCallbacks} callbacks
   */
  constructor(base, callbacks) {
    this.base = base;
    this.callbacks = callbacks;
    this.number = 0;
    this.hasBegun = false;
    this.isOn = false;
    this.isPolling = false;
    this.counted_ms = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.onVisible = () => { if (!document.hidden) this.poll(); };
    this.fetchCountsSoon = throttled(COUNTS_DELAY_MS, () => this.fetchCounts());
  }

  start() {
    if (this.isOn) return;
    this.isOn = true;
    addEventListener("visibilitychange", this.onVisible);
    addEventListener("online", this.onVisible);
    this.poll();
  }

  stop() {
    this.isOn = false;
    clearTimeout(this.timer);
    removeEventListener("visibilitychange", this.onVisible);
    removeEventListener("online", this.onVisible);
  }

  async poll() {
    clearTimeout(this.timer);
    if (!this.isOn || document.hidden || this.isPolling) return;
    this.isPolling = true;
    try {
      if (!this.hasBegun) await this.fetchCounts();
      else await this.fetchChanges();
      if (performance.now() - this.counted_ms > COUNTS_MS) await this.fetchCounts();
    } catch {
      this.callbacks.onConnection(false);
    }
    this.isPolling = false;
    if (this.isOn) this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  async fetchChanges() {
    const { number, changes } = await this.get(`changes?after=${this.number}`);
    this.callbacks.onConnection(true);
    if (number <= this.number) return;
    this.number = number;
    this.callbacks.onChanges(changes, number);
    this.fetchCountsSoon();
  }

  /** Fetch counts, classes and findings; the first time they tell from which number on the history is polled. */
  async fetchCounts() {
    this.counted_ms = performance.now();
    const counts = await this.get("classes").catch(() => null);
    if (!counts) return;
    this.callbacks.onConnection(true);
    if (!this.hasBegun) {
      this.hasBegun = true;
      this.number = counts.number;
    }
    this.callbacks.onCounts(counts);
  }

  /** @param {string} path */
  async get(path) {
    const response = await fetch(`${this.base}/${path}`, {
      cache: "no-store", signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (!response.ok) {
      if (response.status === 401) this.callbacks.onConnection(false, true);
      throw new Error(`${response.status}`);
    }
    return response.json();
  }
}
