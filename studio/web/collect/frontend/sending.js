// Sends files to the studio's upload routes, several at a time, each from the byte where it stopped. Python puts
// this in front of uploader.js and of camera.js: together they are one module, which lives as long as the tab.
// So does a sending: pages may come and go, and the server may be away for a while.
const UPLOADS = "/studio/uploads";
// A part is as large as the line carries in this time: the server waits for one when it is to end.
const PART_MS = 2_000;
const [LEAST_PART_BYTES, FIRST_PART_BYTES, MOST_PART_BYTES] = [2 ** 18, 2 ** 21, 2 ** 23];
const BUNDLE_BYTES = 2 ** 23;
// Smaller files travel together: a request costs a browser as much time as some hundred kilobytes do.
const SMALL_BYTES = 2 ** 20;
const LANES = 4;
const QUIET_MS = 30_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
const ROUNDS = 3;

const sendings = new Set();
// The browser asks before it closes the tab, in words of its own.
addEventListener("beforeunload", (event) => { if (sendings.size) event.preventDefault(); });

// What cannot be helped by waiting; its message is for people.
class Fault extends Error {}

class Sending {
  // files: [{ name, file }]; aim: { project, class_name, kind }; told is called whenever something has changed.
  constructor(files, aim, texts, told) {
    Object.assign(this, { files, aim, texts, told });
    this.batch = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
      byte.toString(16).padStart(2, "0")).join("");
    this.bytes = files.reduce((sum, { file }) => sum + file.size, 0);
    // A bundle is one large file or many small ones, one after the other; its number is its place in this list.
    this.bundles = bundled(files).map(bundle);
    this.queue = this.bundles.map((_bundle, number) => number);
    this.unreadable = [];
    this.requests = new Map();
    this.waiting = 0;
    this.partBytes = FIRST_PART_BYTES;
    this.state = "sending";
    this.fault = null;
    this.restart();
    sendings.add(this); // until all of it has arrived, closing the tab would lose it
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

  // Null while it cannot be said.
  get secondsLeft() {
    const elapsed_s = (performance.now() - this.mark.at) / 1000;
    const gone = this.fraction - this.mark.fraction;
    return elapsed_s < 2 || gone <= 0 || this.waiting ? null : elapsed_s / gone * (1 - this.fraction);
  }

  // Sends what is not there yet; again after a fault. Never throws: `state` and `fault` say how it ended.
  async run() {
    this.fault = null;
    this.restart();
    this.become("sending");
    try {
      for (let round = 0; this.state !== "done"; round++) {
        if (round === ROUNDS) throw new Fault(this.texts.lost);
        await Promise.all(Array.from({ length: LANES }, () => this.lane()));
        if (this.fault) throw this.fault;
        this.become("finishing");
        await this.finish();
      }
    } catch (fault) {
      this.fault = fault;
      if (this.state !== "cancelled") this.become("failed");
    }
    if (this.state === "done") sendings.delete(this);
  }

  // Gives up and lets the server forget what it has.
  cancel() {
    this.fault ??= new Fault("");
    this.become("cancelled");
    sendings.delete(this);
    for (const request of this.requests.keys()) request.abort();
    fetch(`${UPLOADS}/${this.batch}`, { method: "DELETE", headers: { "X-Studio-Upload": "1" } }).catch(() => {});
  }

  become(state) {
    this.state = state;
    this.told();
  }

  restart() {
    this.mark = { at: performance.now(), fraction: this.fraction };
  }

  async lane() {
    while (this.queue.length && !this.fault) {
      const number = this.queue.shift();
      try {
        await this.send(number);
      } catch (fault) {
        this.fault ??= fault;
        this.queue.unshift(number);
      }
    }
  }

  async send(number) {
    const it = this.bundles[number];
    let tries = 0;
    do {
      const { partBytes } = this;
      const begun = performance.now();
      const part = it.blob.slice(it.sent, it.sent + partBytes);
      const { have } = await this.ask("PUT", `/${number}?at=${it.sent}&size=${it.blob.size}`, part);
      if (have !== null) {
        tries = 0;
        it.sent = have;
        if (part.size === partBytes) this.fit(partBytes, performance.now() - begun);
      } else if (await this.rid(it)) {
        return;
      } else {
        await this.wait(tries++);
        it.sent = (await this.ask("HEAD", `/${number}`)).have ?? it.sent;
      }
      this.told();
    } while (it.sent < it.blob.size);
  }

  fit(bytes, took_ms) {
    const fitting = Math.round(bytes * Math.min(2, PART_MS / took_ms));
    this.partBytes = Math.min(MOST_PART_BYTES, Math.max(LEAST_PART_BYTES, fitting));
  }

  // Files may have been moved, changed or unplugged since they were chosen: what of a bundle can still be read
  // becomes a bundle of its own. Says whether that was so.
  async rid(it) {
    const kept = [];
    for (const each of it.files) {
      if (await readable(each.file)) kept.push(each);
      else this.unreadable.push(each.name);
    }
    if (kept.length === it.files.length) return false;
    this.bytes -= it.blob.size;
    Object.assign(it, bundle([]));
    if (kept.length) {
      this.queue.push(this.bundles.push(bundle(kept)) - 1);
      this.bytes += this.bundles.at(-1).blob.size;
    }
    return true;
  }

  async finish() {
    const files = this.bundles.flatMap((it, number) =>
      it.files.map(({ name, file }) => ({ bundle: number, name, size: file.size })));
    if (!files.length) throw new Fault(this.texts.unreadable);
    for (let tries = 0; ; tries++) {
      const list = new Blob([JSON.stringify({ ...this.aim, files })]);
      const { status, said } = await this.ask("POST", "/finish", list);
      if (status === 200 && said) {
        this.job = said.job;
        this.become("done");
        return;
      }
      if (status === 409 && said) {
        this.queue = said.incomplete;
        this.queue.forEach((number) => { this.bundles[number].sent = 0; });
        this.become("sending");
        return;
      }
      await this.wait(tries);
    }
  }

  // Waits for a server that is away.
  async wait(tries) {
    this.waiting++;
    this.told();
    await new Promise((go) => setTimeout(go, Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries)));
    this.waiting--;
    this.restart();
    this.told();
    if (this.fault) throw this.fault;
  }

  // Gives { status, said, have }: the answer's JSON and the file's length there, each null where it has none; status
  // 0 where there was no answer. Throws Fault where waiting would not help.
  async ask(method, path, body = null) {
    const request = new XMLHttpRequest(); // unlike fetch it tells how much of a body is gone
    let quiet;
    const heard = (bytes) => {
      clearTimeout(quiet);
      // A server that hands files over may take its time; one that hears nothing has lost us.
      if (method !== "POST") quiet = setTimeout(() => request.abort(), QUIET_MS);
      this.requests.set(request, bytes);
      this.told();
    };
    await new Promise((ended) => {
      request.open(method, `${UPLOADS}/${this.batch}${path}`);
      request.setRequestHeader("X-Studio-Upload", "1");
      request.responseType = "json";
      if (method === "PUT") request.upload.onprogress = (event) => heard(event.loaded);
      request.onloadend = ended;
      heard(0);
      request.send(body);
    });
    clearTimeout(quiet);
    this.requests.delete(request);
    if (this.fault) throw this.fault;
    const { status } = request;
    if (status === 507 || (status >= 400 && status < 500 && ![408, 409, 429].includes(status))) {
      throw new Fault(request.response?.error ?? (status === 401 ? this.texts.secret : this.texts.refused));
    }
    const offset = request.getResponseHeader("Upload-Offset");
    return { status, said: request.response, have: offset === null ? null : Number(offset) };
  }
}

function bundled(files) {
  const bundles = [];
  let small = [];
  let bytes = 0;
  for (const each of files) {
    if (each.file.size > SMALL_BYTES) {
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

// A blob of files holds none of their bytes; they are read from the disk as they are sent.
function bundle(files) {
  return { files, blob: new Blob(files.map(({ file }) => file)), sent: 0 };
}

async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// Makes an element: make("p", { className: "x" }, "text", child).
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function number(value, digits = 0) {
  return value.toLocaleString(document.documentElement.lang || "en", { maximumFractionDigits: digits });
}

function size(bytes) {
  const [unit, many] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find(([, least]) => bytes >= least) ?? ["kB", 1e3];
  return `${number(bytes / many, bytes < 1e7 || bytes >= 1e9 ? 1 : 0)} ${unit}`;
}

function duration(seconds, texts) {
  if (seconds < 60) return filled(texts.seconds, { count: number(Math.max(1, seconds)) });
  if (seconds < 3600) return filled(texts.minutes, { count: number(seconds / 60) });
  return filled(texts.hours, { count: number(seconds / 3600, 1) });
}
