// The queue of labels that wait to be sent: nothing is lost, nothing is sent out of order, and a repeated operation keeps
// its id.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

/** @import { Operation, OperationResult, TargetSet } from "../../studio/web/curate/frontend/types.js" */
/** @typedef {{ author: string, operations: Operation[] }} Batch */

const PREFIX = "retrain-studio/labels/7-1700000000/"; // as versions before this one wrote it
const BASE = "/studio/projects/7";

class FakeStorage {
  /** @param {string} key */
  getItem(key) {
    return Object.hasOwn(this, key) ? Reflect.get(this, key) : null;
  }

  /**
   * @param {string} key
   * @param {string} text
   */
  setItem(key, text) {
    if (isFull) throw new Error("QuotaExceededError");
    Reflect.set(this, key, text);
  }

  /** @param {string} key */
  removeItem(key) {
    Reflect.deleteProperty(this, key);
  }
}

let isFull = false;
let storage = new FakeStorage();
/** @type {Batch[]} */
let batches = [];
/** @type {(batch: Batch) => Response | Promise<Response>} */
let answer = accept;

Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
Object.defineProperty(globalThis, "localStorage", { get: () => storage, configurable: true });
const { LabelQueue } = await import("../../studio/web/curate/frontend/label_queue.js");

beforeEach(() => {
  mock.restoreAll();
  isFull = false;
  storage = new FakeStorage();
  batches = [];
  answer = accept;
  mock.method(globalThis, "fetch", async (/** @type {string} */ address, /** @type {{ body: string }} */ options) => {
    assert.equal(address, `${BASE}/labels`);
    const batch = JSON.parse(options.body);
    batches.push(batch);
    return answer(batch);
  });
});

/** @param {Batch} batch */
function accept({ operations }) {
  return new Response(JSON.stringify({ number: 40, results: operations.map(({ id }) => ({ id, error: null })) }));
}

/** @param {number} status */
function refuse(status, error = "") {
  return new Response(JSON.stringify({ error }), { status });
}

function makeQueue() {
  return new LabelQueue("7-1700000000", BASE);
}

/**
 * @param {string} id
 * @param {number} image
 * @returns {[Operation, TargetSet[]]}
 */
function labelling(id, image, classId = 3) {
  return [
    { id, kind: "set", seen: 1, sets: [{ images: `${image}`, state: "labelled", class: classId }] },
    [{ ids: Int32Array.of(image), target: { state: "labelled", class: classId, name: "" } }],
  ];
}

function storedOperations() {
  return Object.keys(storage).filter((key) => key.startsWith(PREFIX)).sort()
    .map((key) => JSON.parse(storage.getItem(key) ?? ""));
}

/** @param {() => boolean} condition */
async function until(condition) {
  for (let tries = 0; tries < 400; tries++) {
    if (condition()) return;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  assert.fail(`this did not come: ${condition}`);
}

test("an operation is stored before it is sent, and removed once it is answered", async () => {
  const queue = makeQueue();
  queue.add(...labelling("a", 1));
  assert.deepEqual(storedOperations().map(({ id }) => id), ["a"]);
  assert.equal(batches.length, 0);
  await until(() => queue.pending.length === 0);
  assert.deepEqual(storedOperations(), []);
  assert.deepEqual(batches.map(({ operations }) => operations.map(({ id }) => id)), [["a"]]);
});

test("answers are handed on with the number of the history", async () => {
  const queue = makeQueue();
  /** @type {[string, OperationResult, number][]} */
  const answers = [];
  queue.onAnswer = ({ op }, result, number) => answers.push([op.id, result, number]);
  queue.add(...labelling("a", 1));
  await until(() => answers.length === 1);
  assert.deepEqual(answers, [["a", { id: "a", error: null }, 40]]);
});

test("what is lost on the way is sent again, in the same order and under the same ids", async () => {
  const queue = makeQueue();
  let failures = 0;
  answer = (batch) => {
    if (failures++ < 1) throw new TypeError("the line is cut");
    return accept(batch);
  };
  for (const [at, id] of ["a", "b", "c"].entries()) queue.add(...labelling(id, at));
  await until(() => queue.error === "away");
  assert.deepEqual(storedOperations().map(({ id }) => id), ["a", "b", "c"]);
  queue.wake();
  await until(() => queue.pending.length === 0);
  const ids = batches.map(({ operations }) => operations.map(({ id }) => id));
  assert.deepEqual(ids, [["a", "b", "c"], ["a", "b", "c"]]);
  assert.equal(queue.error, "");
});

test("all batches of a browser have the same author", async () => {
  const queue = makeQueue();
  queue.add(...labelling("a", 1));
  await until(() => batches.length === 1);
  queue.add(...labelling("b", 1));
  await until(() => batches.length === 2);
  assert.equal(batches[0].author, batches[1].author);
  assert.ok(batches[0].author.length >= 16);
});

test("what an earlier version or a closed tab left in the storage is sent, oldest first", async () => {
  const old = [
    ["00lx3f2b1-aaaaaaaa", { id: "old1", kind: "set", seen: 0, sets: [{ images: "1-3", state: "labelled", class_name: "fox" }] }],
    ["00lx3f2b9-bbbbbbbb", { id: "old2", kind: "undo", operation: "old1" }],
  ];
  for (const [name, operation] of old) storage.setItem(`${PREFIX}${name}`, JSON.stringify(operation));
  const queue = makeQueue();
  assert.deepEqual(queue.targetOf(2), { state: "labelled", class: null, name: "fox" }); // shown until it is answered
  await until(() => queue.pending.length === 0);
  assert.deepEqual(batches[0].operations, old.map(([, operation]) => operation));
  assert.deepEqual(storedOperations(), []);
});

test("what another tab leaves behind is sent too, but its answer is not this view's", async () => {
  const queue = makeQueue();
  let answers = 0;
  queue.onAnswer = () => { answers++; };
  storage.setItem(`${PREFIX}00lx3f2b1-cccccccc`, JSON.stringify(labelling("left", 5)[0]));
  queue.add(...labelling("own", 6));
  await until(() => storedOperations().length === 0 && queue.pending.length === 0);
  assert.deepEqual(batches.flatMap(({ operations }) => operations.map(({ id }) => id)), ["left", "own"]);
  assert.equal(answers, 1);
});

test("a half-written entry is dropped and holds nothing up", async () => {
  storage.setItem(`${PREFIX}00lx3f2b1-dddddddd`, '{"id": "ha');
  const queue = makeQueue();
  queue.add(...labelling("a", 1));
  await until(() => queue.pending.length === 0);
  assert.deepEqual(batches.flatMap(({ operations }) => operations.map(({ id }) => id)), ["a"]);
  assert.deepEqual(Object.keys(storage).filter((key) => key.startsWith(PREFIX)), []);
});

test("one operation that cannot be taken is found out; all others are saved", async () => {
  const queue = makeQueue();
  /** @type {Record<string, string | null | undefined>} */
  const errors = {};
  queue.onAnswer = ({ op }, { error }) => { errors[op.id] = error; };
  answer = (batch) => (batch.operations.some(({ id }) => id === "bad") ? refuse(400, "no such class") : accept(batch));
  for (const [at, id] of ["a", "bad", "c"].entries()) queue.add(...labelling(id, at));
  await until(() => queue.pending.length === 0);
  assert.deepEqual(errors, { a: null, bad: "no such class", c: null });
});

test("a studio that asks for its secret, or refuses, keeps everything", async () => {
  for (const [status, error] of /** @type {const} */ ([[401, "secret"], [403, "refused"]])) {
    storage = new FakeStorage();
    answer = () => refuse(status, "why");
    const queue = makeQueue();
    queue.add(...labelling("a", 1));
    await until(() => queue.error === error);
    assert.equal(queue.errorMessage, "why");
    assert.deepEqual(storedOperations().map(({ id }) => id), ["a"]);
    answer = accept; // so that nothing waits after the test
    queue.wake();
    await until(() => queue.pending.length === 0);
  }
});

test("labels that the browser cannot store are sent all the same, and reported", async () => {
  isFull = true;
  const queue = makeQueue();
  queue.add(...labelling("a", 1));
  assert.equal(queue.hasUnstored, true);
  await until(() => queue.pending.length === 0);
  assert.equal(queue.hasUnstored, false);
  assert.equal(batches.length, 1);
});

test("the newest target of an image is shown", async () => {
  const queue = makeQueue();
  queue.add(...labelling("a", 1, 3));
  queue.add(...labelling("b", 1, 4));
  queue.add(...labelling("c", 2, 5));
  assert.deepEqual([queue.targetOf(1)?.class, queue.targetOf(2)?.class, queue.targetOf(3)], [4, 5, undefined]);
  await until(() => queue.pending.length === 0);
});

test("keys sort in the order of the operations though the clock goes back", async () => {
  const queue = makeQueue();
  const times = [1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_000];
  mock.method(Date, "now", () => times.shift() ?? 0);
  for (const id of ["a", "b", "c"]) queue.add(...labelling(id, 1));
  assert.deepEqual(storedOperations().map(({ id }) => id), ["a", "b", "c"]);
  await until(() => queue.pending.length === 0);
});

test("a long queue goes out in batches of at most 200", async () => {
  const queue = makeQueue();
  for (let at = 0; at < 450; at++) queue.add(...labelling(`${at}`, at));
  await until(() => queue.pending.length === 0);
  assert.deepEqual(batches.map(({ operations }) => operations.length), [200, 200, 50]);
});
