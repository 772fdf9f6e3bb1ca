import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AxisScale, decimalsFor, extent, indexRange, linePath, nearestIndex, withoutOutliers,
} from "../../studio/web/retrain/frontend/axis_scale.js";
import { CurveStore } from "../../studio/web/retrain/frontend/curve_store.js";
import { smooth } from "../../studio/web/retrain/frontend/smoothing.js";

/**
 * Smooth as TensorBoard's `resmoothDataset` does, written from its description.
 * @param {number[]} values
 * @param {number} weight
 */
function tensorBoardSmooth(values, weight) {
  let last = 0;
  return values.map((value, at) => {
    last = last * weight + (1 - weight) * value;
    return last / (1 - weight ** (at + 1));
  });
}

for (const weight of [0.1, 0.6, 0.9, 0.99]) {
  test(`smoothing by ${weight} is TensorBoard's`, () => {
    const values = Array.from({ length: 500 }, (_each, step) => 1 / (1 + step) + 0.1 * Math.sin(step * 12.9898));
    const found = smooth(values, weight);
    tensorBoardSmooth(values, weight).forEach((expected, at) => {
      assert.ok(Math.abs(found[at] - expected) <= 1e-12 * Math.abs(expected), `step ${at}: ${found[at]} ${expected}`);
    });
    assert.ok(Math.abs(found[0] - values[0]) < 1e-12); // not drawn towards 0
  });
}

test("what never changes stays exactly as it is", () => {
  for (const value of [1, 0.1, 0.913, 1 / 3]) {
    assert.deepEqual(smooth(Array(1000).fill(value), 0.99), Array(1000).fill(value));
  }
  assert.deepEqual(smooth([], 0.6), []);
  assert.deepEqual(smooth([0.5, 0.7], 0), [0.5, 0.7]);
});

test("a value that is no number does not spoil those after it", () => {
  const found = smooth([1, Number.NaN, 3, Number.POSITIVE_INFINITY, 2], 0.5);
  assert.deepEqual(found.map(Number.isFinite), [true, false, true, false, true]);
});

test("round numbers beside an axis", () => {
  const ticks = (/** @type {[number, number, number]} */ ...[from, to, px]) => new AxisScale(from, to, 0, px).ticks(70).values;
  assert.deepEqual(ticks(0, 4000, 400), [0, 1000, 2000, 3000, 4000]);
  assert.deepEqual(ticks(0.52, 1, 210).map((each) => each.toFixed(6)), ["0.600000", "0.800000", "1.000000"]);
  assert.ok(Object.is(ticks(-0.01, 1, 300)[0], 0)); // not minus 0
  assert.deepEqual([200, 1, 0.5, 0.02, 0.0005].map(decimalsFor), [0, 0, 1, 2, 4]);
  assert.ok(new AxisScale(3, 3, 0, 100).ticks(50).values.includes(3)); // nothing that varies
});

test("a scale and its inverse agree, also downwards", () => {
  const scale = new AxisScale(-2, 6, 200, 40);
  assert.deepEqual([scale.toPx(-2), scale.toPx(6), scale.toPx(2)], [200, 40, 120]);
  assert.equal(scale.valueAt(scale.toPx(1.25)), 1.25);
});

test("a path has few corners and keeps every peak", () => {
  const steps = 100_000;
  const xs = Array.from({ length: steps }, (_each, at) => at + 1);
  const ys = xs.map((x) => (x === 77_777 ? 9 : Math.sin(x)));
  const path = linePath(xs, ys, new AxisScale(0, steps, 0, 400), new AxisScale(0, 10, 100, 0));
  const corners = path.slice(1).split("L").map((corner) => corner.split(" ").map(Number));
  assert.ok(corners.length <= 4 * 401);
  assert.equal(Math.min(...corners.map(([, y]) => y)), 10); // the one that stands out
  assert.deepEqual(corners.map(([x]) => x), corners.map(([x]) => x).sort((one, other) => one - other));
});

test("a path leaves out what is no number", () => {
  const scale = new AxisScale(0, 10, 0, 100);
  assert.equal(linePath([0, 1, 2], [1, Number.NaN, 3], scale, scale), "M0.0 10.0L20.0 30.0");
  assert.equal(linePath([], [], scale, scale), "");
});

test("the nearest point", () => {
  for (const [x, expected] of [[-5, 0], [14, 0], [15, 0], [16, 1], [20, 1], [31, 2], [99, 2]]) {
    assert.equal(nearestIndex([10, 20, 40], x), expected, `${x}`);
  }
  assert.equal(nearestIndex([], 3), -1);
});

test("the part of a line that is seen goes on to a neighbour on either side", () => {
  assert.deepEqual(indexRange([1, 2, 3, 4, 5, 6], [3, 4]), [1, 5]);
  assert.deepEqual(indexRange([1, 2, 3], [0, 9]), [0, 3]);
  assert.deepEqual(indexRange([], [0, 9]), [0, 0]);
});

test("an axis fits the values but for outliers", () => {
  const values = [...Array.from({ length: 99 }, (_each, at) => at / 100), 1_000_000];
  assert.deepEqual(extent(withoutOutliers(values)), [0.02, 0.97]);
  assert.deepEqual(extent(withoutOutliers([1, 50, 3])), [1, 50]); // of few points all are seen
  assert.equal(extent([Number.NaN]), null);
});

test("points that come twice are kept once", () => {
  const store = new CurveStore("");
  assert.equal(store.add(3, "training", [[1, 0.5, 1, 0.1], [2, 0.6, 0.9, 0.2]]), true);
  assert.equal(store.add(3, "training", [[2, 0.6, 0.9, 0.2], [3, 0.7, 0.8, 0.3]]), true);
  assert.equal(store.add(3, "training", [[3, 0.7, 0.8, 0.3]]), false);
  store.add(3, "validation", [[2, 0.4, 1.1, null]]);
  assert.deepEqual(store.curveOf(3, "training").steps, [1, 2, 3]);
  assert.deepEqual(store.curveOf(3, "training").accuracy, [0.5, 0.6, 0.7]);
  assert.deepEqual(store.curveOf(3, "validation").seconds, [null]);
  assert.equal(store.lastStep(3), 3);
  assert.deepEqual(store.curveOf(9, "training").steps, []);
});
