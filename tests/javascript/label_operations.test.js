import assert from "node:assert/strict";
import { test } from "node:test";
import { splitSets } from "../../studio/web/curate/frontend/label_operations.js";

/** @import { Target } from "../../studio/web/curate/frontend/types.js" */

/** @type {Target} */
const ONE = { state: "labelled", class: 1, name: "" };
/** @type {Target} */
const TWO = { state: "labelled", class: 2, name: "" };

test("no operation holds more images than the studio takes, and none gets lost", () => {
  const sets = [{ ids: Int32Array.of(1, 2, 3, 4, 5), target: ONE }, { ids: Int32Array.of(6, 7), target: TWO }];
  const parts = splitSets(sets, 3);
  assert.deepEqual(parts.map((part) => part.map(({ ids, target }) => [target.class, ...ids])),
    [[[1, 1, 2, 3]], [[1, 4, 5], [2, 6]], [[2, 7]]]);
});

test("what fits is one operation, and nothing is none", () => {
  assert.equal(splitSets([{ ids: Int32Array.of(1, 2), target: ONE }], 2).length, 1);
  assert.equal(splitSets([{ ids: Int32Array.of(1, 2), target: ONE }]).length, 1);
  assert.deepEqual(splitSets([]), []);
});
