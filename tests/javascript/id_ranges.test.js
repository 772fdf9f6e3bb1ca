import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatIdRanges, groupByTarget, includesId, newOperationId, parseIdRanges,
} from "../../studio/web/curate/frontend/id_ranges.js";

/** @import { Target } from "../../studio/web/curate/frontend/types.js" */

test("ranges of ids are written and read", () => {
  assert.equal(formatIdRanges([9, 1, 2, 3, 5, 4]), "1-5,9");
  assert.equal(formatIdRanges([7]), "7");
  assert.equal(formatIdRanges([]), "");
  assert.equal(formatIdRanges([4, 4, 5]), "4-5"); // an id that comes twice
  assert.deepEqual([...parseIdRanges("1-5,9")], [1, 2, 3, 4, 5, 9]);
  assert.deepEqual([...parseIdRanges("")], []);
});

test("what is written is read as the same ids", () => {
  const ids = Array.from({ length: 500 }, (_each, at) => (at * 7919) % 1009).sort((one, other) => one - other);
  assert.deepEqual([...parseIdRanges(formatIdRanges(ids))], ids);
});

test("an id is found among ascending ones, and only if it is there", () => {
  const ids = Int32Array.of(2, 3, 7, 11, 12);
  for (let id = 0; id < 15; id++) assert.equal(includesId(ids, id), [2, 3, 7, 11, 12].includes(id), `${id}`);
  assert.equal(includesId(new Int32Array(0), 1), false);
});

test("images are grouped by their target: state, class and a new class's name", () => {
  /** @type {Target} */
  const labelled = { state: "labelled", class: 3, name: "" };
  /** @type {Target} */
  const created = { state: "labelled", class: null, name: "fox" };
  const groups = groupByTarget([[5, labelled], [2, created], [1, { ...labelled }], [4, { ...labelled, class: 4 }]]);
  assert.deepEqual(groups.map(({ ids, target }) => [[...ids], target.class, target.name]),
    [[[1, 5], 3, ""], [[2], null, "fox"], [[4], 4, ""]]);
});

test("operations get ids of their own", () => {
  assert.equal(new Set(Array.from({ length: 100 }, newOperationId)).size, 100);
});
