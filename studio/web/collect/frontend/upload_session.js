// An upload session: sends files to the studio's upload routes, several at a time, each from the byte where it stopped.
// It lives as long as the tab: pages may come and go, and the server may be away for a while.

/** @import { Destination, NamedFile, SessionTexts } from "./types.js" */

/**
 * One large file or many small ones, one after the other. sent: bytes.
 * @typedef {{ files: NamedFile[], blob: Blob, sent: number }} Bundle
 */
/** @typedef {"sending" | "finishing" | "done" | "failed" | "cancelled"} SessionState */
/**
 * status: 0 where there was no answer; body: its JSON or null; offset: the bundle's length there, or null.
 * @typedef {{ status: number, body: any, offset: number | null }} Answer
 */

const UPLOADS = "/studio/uploads";
// A part is as large as the line carries in this time: the server waits for one when it is to end.
const PART_MS = 2_000;
const MIN_PART_BYTES = 2 ** 18, FIRST_PART_BYTES = 2 ** 21, MAX_PART_BYTES = 2 ** 23;
const BUNDLE_BYTES = 2 ** 23;
// Smaller files travel together: a request costs a browser as much time as some hundred kilobytes do.
const SMALL_FILE_BYTES = 2 ** 20;
const PARALLEL_REQUESTS = 4;
const SILENCE_MS = 30_000;
const FIRST_RETRY_MS = 500, MAX_RETRY_MS = 8_000;
const MAX_ROUNDS = 3;
const MIN_ESTIMATE_S = 2;

/** @type {Set<UploadSession>} */
const sessions = new Set();

/** @param {BeforeUnloadEvent} event */
function confirmClose(event) {
  if (sessions.size) event.preventDefault(); // the browser asks, in words of its own
}

// An error that waiting does not help; its message is for people.
class UploadError extends Error {}

export class UploadSession {
  /**
   * @param {NamedFile[]} files
   * @param {Destination} destination
   * @param {SessionTexts} texts
   * @param {() => void} onChange  called whenever something has changed
   */
  constructor(files, destination, texts, onChange) {
    this.files = files;
    this.destination = destination;
    this.texts = texts;
    this.onChange = onChange;
    this.batch = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
      byte.toString(16).padStart(2, "0")).join("");
    this.bytes = files.reduce((sum, { file }) => sum + file.size, 0);
    this.bundles = bundleFiles(files).map(makeBundle); // a bundle's number is its place in this list
    this.queue = this.bundles.map((_bundle, number) => number);
    /** @type {string[]} */
    this.unreadable = [];
    /**
     * The bytes that each running request has sent.
     * @type {Map<XMLHttpRequest, number>}
     */
    this.requests = new Map();
    this.waiting = 0;
    this.partBytes = FIRST_PART_BYTES;
    /** @type {SessionState} */
    this.state = "sending";
    /** @type {Error | null} */
    this.error = null;
    /**
     * The job that imports the files, once they have arrived.
     * @type {number | null}
     */
    this.job = null;
    this.mark = { at_ms: 0, fraction: 0 };
    this.restartClock();
    addEventListener("beforeunload", confirmClose);
    sessions.add(this); // until all of it has arrived, closing the tab would lose it
  }

  get sentFiles() {
    return this.bundles.reduce((sum, { files, sent, blob }) => sum + (sent === blob.size ? files.length : 0), 0);
  }

  get sentBytes() {
    let sum = 0;
    for (const { sent } of this.bundles) sum += sent;
    for (const bytes of this.requests.values()) sum += bytes;
    return Math.min(sum, this.bytes);
  }

  get fraction() {
    return this.bytes ? this.sentBytes / this.bytes : 1;
  }

  /** The estimated time, or null where there is no estimate. */
  get secondsLeft() {
    const elapsed_s = (performance.now() - this.mark.at_ms) / 1000;
    const sent = this.fraction - this.mark.fraction;
    return elapsed_s < MIN_ESTIMATE_S || sent <= 0 || this.waiting ? null : elapsed_s / sent * (1 - this.fraction);
  }

  /** Send what is not there yet; again after an error. Never throws: `state` and `error` tell how it ended. */
  async run() {
    this.error = null;
    this.restartClock();
    this.setState("sending");
    try {
      for (let round = 0; this.state !== "done"; round++) {
        if (round === MAX_ROUNDS) throw new UploadError(this.texts.lost);
        await Promise.all(Array.from({ length: PARALLEL_REQUESTS }, () => this.sendQueue()));
        if (this.error) throw this.error;
        this.setState("finishing");
        await this.finish();
      }
    } catch (error) {
      this.error = error instanceof Error ? error : new Error(`${error}`);
      if (this.state !== "cancelled") this.setState("failed");
    }
    if (this.state === "done") sessions.delete(this);
  }

  /** Give up and let the server forget what it has. */
  cancel() {
    this.error ??= new UploadError("");
    this.setState("cancelled");
    sessions.delete(this);
    for (const request of this.requests.keys()) request.abort();
    fetch(`${UPLOADS}/${this.batch}`, { method: "DELETE", headers: { "X-Studio-Upload": "1" } }).catch(() => {});
  }

  /** @param {SessionState} state */
  setState(state) {
    this.state = state;
    this.onChange();
  }

  restartClock() {
    this.mark = { at_ms: performance.now(), fraction: this.fraction };
  }

  async sendQueue() {
    while (this.queue.length && !this.error) {
      const number = /** @type {number} */ (this.queue.shift());
      try {
        await this.sendBundle(number);
      } catch (error) {
        this.error ??= /** @type {Error} */ (error);
        this.queue.unshift(number);
      }
    }
  }

  /** @param {number} number */
  async sendBundle(number) {
    const bundle = this.bundles[number];
    let tries = 0;
    do {
      const { partBytes } = this;
      const begun = performance.now();
      const part = bundle.blob.slice(bundle.sent, bundle.sent + partBytes);
      const { offset } = await this.request("PUT", `/${number}?at=${bundle.sent}&size=${bundle.blob.size}`, part);
      if (offset !== null) {
        tries = 0;
        bundle.sent = offset;
        if (part.size === partBytes) this.adaptPartSize(partBytes, performance.now() - begun);
      } else if (await this.dropUnreadable(bundle)) {
        return;
      } else {
        await this.waitForServer(tries++);
        bundle.sent = (await this.request("HEAD", `/${number}`)).offset ?? bundle.sent;
      }
      this.onChange();
    } while (bundle.sent < bundle.blob.size);
  }

  /**
   * @param {number} bytes
   * @param {number} took_ms
   */
  adaptPartSize(bytes, took_ms) {
    const fitting = Math.round(bytes * Math.min(2, PART_MS / took_ms));
    this.partBytes = Math.min(MAX_PART_BYTES, Math.max(MIN_PART_BYTES, fitting));
  }

  /**
   * Leave out the files of a bundle that have been moved, changed or unplugged since they were chosen: the others become
   * a bundle of their own. Return whether there were any.
   * @param {Bundle} bundle
   */
  async dropUnreadable(bundle) {
    const kept = [];
    for (const each of bundle.files) {
      if (await isReadable(each.file)) kept.push(each);
      else this.unreadable.push(each.name);
    }
    if (kept.length === bundle.files.length) return false;
    this.bytes -= bundle.blob.size;
    Object.assign(bundle, makeBundle([]));
    if (kept.length) {
      const smaller = makeBundle(kept);
      this.queue.push(this.bundles.push(smaller) - 1);
      this.bytes += smaller.blob.size;
    }
    return true;
  }

  async finish() {
    const files = this.bundles.flatMap((bundle, number) =>
      bundle.files.map(({ name, file }) => ({ bundle: number, name, size: file.size })));
    if (!files.length) throw new UploadError(this.texts.unreadable);
    for (let tries = 0; ; tries++) {
      const list = new Blob([JSON.stringify({ ...this.destination, files })]);
      const { status, body } = await this.request("POST", "/finish", list);
      if (status === 200 && body) {
        this.job = body.job;
        this.setState("done");
        return;
      }
      if (status === 409 && body) {
        this.queue = body.incomplete;
        for (const number of this.queue) this.bundles[number].sent = 0;
        this.setState("sending");
        return;
      }
      await this.waitForServer(tries);
    }
  }

  /** @param {number} tries */
  async waitForServer(tries) {
    this.waiting++;
    this.onChange();
    await new Promise((resolve) => setTimeout(resolve, Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** tries)));
    this.waiting--;
    this.restartClock();
    this.onChange();
    if (this.error) throw this.error;
  }

  /**
   * Throws UploadError where waiting would not help.
   * @param {string} method
   * @param {string} path
   * @param {Blob | null} [content]
   * @returns {Promise<Answer>}
   */
  async request(method, path, content = null) {
    const request = new XMLHttpRequest(); // unlike fetch it tells how much of a body is gone
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let silence;
    /** @param {number} bytes */
    const onProgress = (bytes) => {
      clearTimeout(silence);
      // A server that hands files over may take its time; one that hears nothing has lost us.
      if (method !== "POST") silence = setTimeout(() => request.abort(), SILENCE_MS);
      this.requests.set(request, bytes);
      this.onChange();
    };
    await new Promise((resolve) => {
      request.open(method, `${UPLOADS}/${this.batch}${path}`);
      request.setRequestHeader("X-Studio-Upload", "1");
      request.responseType = "json";
      if (method === "PUT") request.upload.onprogress = (event) => onProgress(event.loaded);
      request.onloadend = resolve;
      onProgress(0);
      request.send(content);
    });
    clearTimeout(silence);
    this.requests.delete(request);
    if (this.error) throw this.error;
    const { status } = request;
    if (status === 507 || (status >= 400 && status < 500 && ![408, 409, 429].includes(status))) {
      throw new UploadError(request.response?.error ?? (status === 401 ? this.texts.secret : this.texts.refused));
    }
    const offset = request.getResponseHeader("Upload-Offset");
    return { status, body: request.response, offset: offset === null ? null : Number(offset) };
  }
}

/**
 * Group files into bundles: a large one alone, small ones up to a bundle's size together.
 * @param {NamedFile[]} files
 * @returns {NamedFile[][]}
 */
export function bundleFiles(files) {
  /** @type {NamedFile[][]} */
  const bundles = [];
  /** @type {NamedFile[]} */
  let small = [];
  let bytes = 0;
  for (const each of files) {
    if (each.file.size > SMALL_FILE_BYTES) {
      bundles.push([each]);
      continue;
    }
    if (bytes + each.file.size > BUNDLE_BYTES) {
      bundles.push(small);
      [small, bytes] = [[], 0];
    }
    small.push(each);
    bytes += each.file.size;
  }
  return small.length ? [...bundles, small] : bundles;
}

/**
 * A blob of files holds none of their bytes; they are read from the disk as they are sent.
 * @param {NamedFile[]} files
 * @returns {Bundle}
 */
function makeBundle(files) {
  return { files, blob: new Blob(files.map(({ file }) => file)), sent: 0 };
}

/** @param {Blob} file */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
