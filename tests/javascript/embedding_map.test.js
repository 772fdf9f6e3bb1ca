import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelColour } from "../../studio/web/curate/frontend/map_point_painter.js";
import { MapPoints } from "../../studio/web/curate/frontend/map_points.js";
import { ThumbnailLayout } from "../../studio/web/curate/frontend/map_thumbnails.js";
import { MapViewport } from "../../studio/web/curate/frontend/map_viewport.js";

Object.assign(globalThis, { cancelAnimationFrame: () => {} });

/**
 * Write points as GET map does.
 * @param {[id: number, x: number, y: number, classId: number][]} points
 */
function mapBytes(points) {
  const view = new DataView(new ArrayBuffer(4 + 16 * points.length));
  view.setInt32(0, points.length, true);
  points.forEach(([id, x, y, classId], at) => {
    view.setInt32(4 + 4 * at, id, true);
    view.setFloat32(4 + 4 * (points.length + at), x, true);
    view.setFloat32(4 + 4 * (2 * points.length + at), y, true);
    view.setInt32(4 + 4 * (3 * points.length + at), classId, true);
  });
  return view.buffer;
}

const POINTS = new MapPoints(mapBytes([[7, 0.1, 0.1, 1], [3, 0.5, 0.5, 2], [9, 0.9, 0.9, 0], [4, 0.9, 0.1, -1]]));

/** @param {Iterable<number>} indices */
const idsOf = (indices) => Array.from(indices, (i) => POINTS.ids[i]).sort((one, other) => one - other);

test("points are found by their image, with their position and class", () => {
  for (const [id, x, y, classId] of [[7, 0.1, 0.1, 1], [3, 0.5, 0.5, 2], [9, 0.9, 0.9, 0], [4, 0.9, 0.1, -1]]) {
    const at = POINTS.indexOf(id);
    assert.deepEqual([POINTS.x[at], POINTS.y[at], POINTS.classes[at]], [Math.fround(x), Math.fround(y), classId]);
  }
  assert.equal(POINTS.indexOf(5), -1);
});

test("a new class is counted, and the same one changes nothing", () => {
  const points = new MapPoints(mapBytes([[1, 0, 0, 5], [2, 0, 0, 5]]));
  assert.equal(points.setClass(1, 6), true);
  assert.deepEqual([points.counts.get(5), points.counts.get(6)], [1, 1]);
  assert.equal(points.setClass(1, 6), false);
  assert.equal(points.setClass(99, 6), false);
});

test("points in a rectangle, without hidden classes", () => {
  const box = { left: 0.4, top: 0, right: 1, bottom: 0.6 };
  assert.deepEqual(idsOf(POINTS.inBox(box, new Set())), [3, 4]);
  assert.deepEqual(idsOf(POINTS.inBox(box, new Set([-1]))), [3]);
});

test("points in a polygon: concave, self-crossing, and none", () => {
  const concave = [[0, 0], [1, 0], [1, 1], [0.85, 1], [0.85, 0.3], [0, 0.3]]; // an L: 3 is in its bay
  assert.deepEqual(idsOf(POINTS.inPolygon(concave, new Set())), [4, 7, 9]);
  const crossing = [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7], [0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]];
  assert.deepEqual(idsOf(POINTS.inPolygon(crossing, new Set())), []); // circled twice: outside by the even-odd rule
  assert.deepEqual([...POINTS.inPolygon([[0, 0], [1, 1]], new Set())], []);
  assert.deepEqual([...POINTS.inPolygon([[0, 0.5], [1, 0.5], [0.2, 0.5]], new Set())], []);
});

test("a lasso agrees with a test of each edge, for a thousand random points", () => {
  let state = 7;
  const random = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const given = Array.from({ length: 1000 }, (_each, at) => (
    /** @type {[number, number, number, number]} */ ([at, Math.fround(random()), Math.fround(random()), 1])));
  const polygon = Array.from({ length: 40 }, () => [random(), random()]);
  const points = new MapPoints(mapBytes(given));
  const expected = given.filter(([, x, y]) => polygon.reduce((isInside, [x1, y1], at) => {
    const [x2, y2] = polygon[(at + 1) % polygon.length];
    return y1 > y !== y2 > y && x < x1 + (y - y1) / (y2 - y1) * (x2 - x1) ? !isInside : isInside;
  }, false)).map(([id]) => id);
  const found = Array.from(points.inPolygon(polygon, new Set()), (i) => points.ids[i]).sort((one, other) => one - other);
  assert.ok(expected.length > 100);
  assert.deepEqual(found, expected);
});

test("zooming keeps what is under the pointer where it is", () => {
  const viewport = new MapViewport(() => {});
  viewport.resize(800, 600);
  const before = viewport.toMap(500, 200);
  viewport.zoomAt(3, 500, 200);
  const after = viewport.toMap(500, 200);
  assert.ok(Math.abs(before[0] - after[0]) < 1e-9 && Math.abs(before[1] - after[1]) < 1e-9);
  assert.equal(viewport.zoom, 3);
  viewport.zoomAt(1e9, 400, 300);
  assert.equal(viewport.zoom, 4000);
  viewport.zoomAt(1e-12, 400, 300);
  assert.equal(viewport.zoom, 0.5);
});

test("the transform and its inverse agree, and panning moves by pixels", () => {
  const viewport = new MapViewport(() => {});
  viewport.resize(800, 600);
  const { scaleX, scaleY, left, top } = viewport.transform;
  const [x, y] = viewport.toMap(100, 250);
  assert.ok(Math.abs(x * scaleX + left - 100) < 1e-9 && Math.abs(y * scaleY + top - 250) < 1e-9);
  viewport.zoomAt(2, 400, 300);
  const before = viewport.transform;
  viewport.pan(30, -20);
  assert.ok(Math.abs(viewport.transform.left - before.left - 30) < 1e-9);
  assert.ok(Math.abs(viewport.transform.top - before.top + 20) < 1e-9);
});

test("thumbnails do not overlap, stay where they were, and give way where there are too many points", () => {
  const side = 20, transform = { scaleX: 200, scaleY: 200, left: 0, top: 0 };
  const points = {
    ids: Int32Array.from({ length: 30 }, (_each, at) => at + 1),
    x: Float32Array.from({ length: 30 }, (_each, at) => ((at * 37) % 100) / 100),
    y: Float32Array.from({ length: 30 }, (_each, at) => ((at * 61) % 100) / 100),
  };
  const layout = new ThumbnailLayout();
  const viewport = { width: 200, height: 200, transform };
  const all = Int32Array.from({ length: 30 }, (_each, at) => at);
  const first = layout.choose(points, all, viewport, side);
  assert.ok(first.length > 5);
  for (const one of first) {
    for (const other of first) {
      if (one !== other) assert.ok(Math.abs(one.x - other.x) >= side || Math.abs(one.y - other.y) >= side);
    }
  }
  const reversed = all.slice().reverse();
  const chosen = (/** @type {{ i: number }[]} */ each) => each.map(({ i }) => i).sort((one, other) => one - other);
  assert.deepEqual(chosen(layout.choose(points, reversed, viewport, side)), chosen(first));
  assert.deepEqual(layout.choose(points, all, { ...viewport, width: 20 }, side), []);
});

test("a colour as it lies in a canvas's pixels", () => {
  assert.equal(pixelColour("#123456"), 0x563412);
});
