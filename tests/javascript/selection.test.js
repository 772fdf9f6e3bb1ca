import assert from "node:assert/strict";
import { test } from "node:test";
import { ImageIndex } from "../../studio/web/curate/frontend/image_index.js";
import { Selection } from "../../studio/web/curate/frontend/selection.js";

const IDS = [30, 10, 50, 20, 40]; // in the grid's order

function makeSelection() {
  return new Selection(ImageIndex.of(IDS));
}

test("toggling selects and deselects, and counts", () => {
  const selection = makeSelection();
  selection.toggle(1);
  selection.toggle(3);
  assert.deepEqual([selection.count, selection.has(1), selection.has(2)], [2, true, false]);
  selection.toggle(1);
  assert.deepEqual([selection.count, selection.has(1)], [1, false]);
});

test("ids ascend, whatever the order of the grid", () => {
  const selection = makeSelection();
  selection.setRange(0, 2, true);
  assert.deepEqual([...selection.ids()], [10, 30, 50]);
});

test("a range may be given in either order, and ends where the index ends", () => {
  const selection = makeSelection();
  selection.setRange(9, 3, true);
  assert.deepEqual([...selection.ids()], [20, 40]);
  selection.setRange(-5, 3, false);
  assert.deepEqual([...selection.ids()], [40]);
  assert.equal(selection.count, 1);
});

test("extending keeps its anchor and selects nothing else", () => {
  const selection = makeSelection();
  selection.toggle(2); // the anchor
  selection.extend(0, 4);
  assert.deepEqual([...selection.ids()], [20, 40, 50]);
  selection.extend(4, 0);
  assert.deepEqual([...selection.ids()], [10, 30, 50]);
});

test("without an anchor, extending begins where it comes from", () => {
  const selection = makeSelection();
  selection.extend(3, 4);
  assert.deepEqual([...selection.ids()], [20, 40]);
});

test("a copy restores the selection as it was", () => {
  const selection = makeSelection();
  selection.toggle(1);
  const copy = selection.copy();
  selection.selectAll();
  assert.equal(selection.count, IDS.length);
  selection.restore(copy);
  assert.deepEqual([...selection.ids()], [10]);
  assert.equal(selection.count, 1);
});

test("the selection grows with an index that is still loading", () => {
  const index = new ImageIndex(() => "", () => {});
  index.append([1, 2, 3]);
  const selection = new Selection(index);
  selection.toggle(2);
  index.append(Array.from({ length: 5_000 }, (_each, at) => 10 + at));
  selection.setRange(4_000, 4_001, true);
  assert.deepEqual([...selection.ids()], [3, 4_007, 4_008]);
});

test("another index begins with nothing selected", () => {
  const selection = makeSelection();
  selection.selectAll();
  selection.reset(ImageIndex.of([7, 8]));
  assert.deepEqual([selection.count, [...selection.ids()]], [0, []]);
});
