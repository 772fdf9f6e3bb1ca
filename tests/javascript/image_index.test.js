import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ImageIndex } from "../../studio/web/curate/frontend/image_index.js";

/** @type {string[]} */
let requests = [];

beforeEach(() => { requests = []; });
afterEach(() => mock.restoreAll());

/**
 * Answer requests one after the other; an error is one for which there is no answer.
 * @param {({ status?: number, body: unknown } | Error)[]} answers
 */
function answering(...answers) {
  mock.method(globalThis, "fetch", async (/** @type {string} */ address) => {
    requests.push(address);
    const answer = answers.shift() ?? new Error("there is no answer left");
    if (answer instanceof Error) throw answer;
    return new Response(JSON.stringify(answer.body), { status: answer.status ?? 200 });
  });
}

/** @param {() => void} [onChange] */
function makeIndex(onChange = () => {}) {
  return new ImageIndex((cursor, limit) => `/walk?after=${cursor}&limit=${limit}`, onChange);
}

test("pages are fetched in order, the first one small", async () => {
  answering({ body: { ids: [5, 3], next: "c1" } }, { body: { ids: [9], next: "c2" } }, { body: { ids: [1], next: null } });
  let changes = 0;
  const index = makeIndex(() => { changes++; });
  await index.load();
  assert.deepEqual(requests, ["/walk?after=&limit=1024", "/walk?after=c1&limit=8192", "/walk?after=c2&limit=8192"]);
  assert.deepEqual(index.slice(0, 10), [5, 3, 9, 1]);
  assert.deepEqual([index.isComplete, index.error, changes], [true, "", 3]);
  await index.done;
});

test("an image that comes twice keeps its first position", async () => {
  answering({ body: { ids: [1, 2], next: "c" } }, { body: { ids: [2, 3], next: null } });
  const index = makeIndex();
  await index.load();
  assert.deepEqual(index.slice(0, 9), [1, 2, 3]);
  assert.deepEqual([index.positionOf(2), index.positionOf(3), index.positionOf(4)], [1, 2, -1]);
});

test("where there is no answer the same page is asked for again", async () => {
  answering({ body: { ids: [1], next: "c" } }, new TypeError("the line is cut"), { status: 503, body: {} },
    { body: { ids: [2], next: null } });
  const index = makeIndex();
  await index.load();
  assert.deepEqual(requests.slice(1), Array(3).fill("/walk?after=c&limit=8192"));
  assert.deepEqual(index.slice(0, 9), [1, 2]);
});

test("a filter that cannot be is an error, and nothing is asked again", async () => {
  answering({ status: 400, body: { error: "expected a day" } });
  const index = makeIndex();
  await index.load();
  assert.deepEqual([index.error, index.isComplete, index.length, requests.length], ["expected a day", true, 0, 1]);
});

test("an index that is stopped does not change any more", async () => {
  let changes = 0;
  const index = makeIndex(() => { changes++; });
  mock.method(globalThis, "fetch", async () => {
    index.stop();
    return new Response(JSON.stringify({ ids: [1], next: "c" }));
  });
  await index.load();
  assert.deepEqual([changes, index.isComplete], [0, false]);
});

test("it grows beyond its first room", () => {
  const ids = Array.from({ length: 100_000 }, (_each, at) => at * 3);
  const index = ImageIndex.of(ids);
  assert.deepEqual([index.length, index.positionOf(299_997), index.isComplete], [100_000, 99_999, true]);
  assert.deepEqual(index.slice(99_998, 200_000), [299_994, 299_997]);
  assert.deepEqual(index.slice(-5, 2), [0, 3]);
});
