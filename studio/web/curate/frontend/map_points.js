// The embedding map's data: the position and the class of each image, in typed arrays, so that a hundred thousand of
// them are searched in a millisecond or two and no index is needed.

/** @typedef {{ left: number, top: number, right: number, bottom: number }} Box */

/** In place of a class's id. */
export const UNLABELLED = 0, REJECTED = -1;

export class MapPoints {
  #sortedIds;
  #indices; // of the points, in the order of the sorted ids

  /** @param {ArrayBuffer} bytes  as GET map gives them: little-endian int32 count, ids, x, y (float32, 0 to 1), class ids */
  constructor(bytes) {
    const count = new DataView(bytes).getInt32(0, true);
    /** @param {number} column */
    const offset = (column) => 4 + 4 * count * column;
    const ids = new Int32Array(bytes, offset(0), count);
    const x = new Float32Array(bytes, offset(1), count), y = new Float32Array(bytes, offset(2), count);
    const classes = new Int32Array(bytes, offset(3), count);
    const order = drawingOrder(x, y);
    this.count = count;
    this.ids = ids.map((_value, at) => ids[order[at]]);
    this.x = x.map((_value, at) => x[order[at]]);
    this.y = y.map((_value, at) => y[order[at]]);
    this.classes = classes.map((_value, at) => classes[order[at]]);
    this.#indices = Int32Array.from(order.keys()).sort((one, other) => this.ids[one] - this.ids[other]);
    this.#sortedIds = this.#indices.map((at) => this.ids[at]);
    /** @type {Map<number, number>} */
    this.counts = new Map();
    for (const id of classes) this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
  }

  /**
   * Return the index of an image's point, or -1.
   * @param {number} id
   */
  indexOf(id) {
    let low = 0, high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.#sortedIds[middle] === id) return this.#indices[middle];
      if (this.#sortedIds[middle] < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /**
   * Give an image a class; return whether that changed anything.
   * @param {number} id
   * @param {number} classId
   */
  setClass(id, classId) {
    const at = this.indexOf(id);
    if (at < 0 || this.classes[at] === classId) return false;
    this.counts.set(this.classes[at], (this.counts.get(this.classes[at]) ?? 0) - 1);
    this.counts.set(classId, (this.counts.get(classId) ?? 0) + 1);
    this.classes[at] = classId;
    return true;
  }

  /**
   * Return the indices of the points in a rectangle whose class is not hidden.
   * @param {Box} box
   * @param {Set<number>} hidden
   */
  inBox({ left, top, right, bottom }, hidden) {
    const { x, y, classes, count } = this;
    const hides = hidden.size > 0;
    const found = new Int32Array(count);
    let length = 0;
    for (let i = 0; i < count; i++) {
      if (x[i] >= left && x[i] <= right && y[i] >= top && y[i] <= bottom && !(hides && hidden.has(classes[i]))) {
        found[length++] = i;
      }
    }
    return found.subarray(0, length);
  }

  /**
   * Return the indices of the points in a polygon (its rim crossed an odd number of times) that are not hidden.
   * @param {number[][]} polygon  [[x, y], …]
   * @param {Set<number>} hidden
   */
  inPolygon(polygon, hidden) {
    const bands = polygonBands(polygon);
    if (bands === null) return new Int32Array(0);
    const { x, y } = this;
    return this.inBox(bands.box, hidden).filter((i) => bands.contains(x[i], y[i]));
  }
}

/**
 * Sort a polygon's edges into bands of y: a point is tested against the few of its own band, however many there are.
 * @param {number[][]} polygon
 */
function polygonBands(polygon) {
  const [xs, ys] = [0, 1].map((axis) => polygon.map((corner) => corner[axis]));
  const box = {
    left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys),
  };
  const height = box.bottom - box.top;
  if (polygon.length < 3 || height <= 0) return null;
  const bandCount = Math.min(512, polygon.length * 2);
  /** @param {number} y */
  const bandOf = (y) => Math.min(bandCount - 1, Math.floor(((y - box.top) / height) * bandCount));
  const bands = Array.from({ length: bandCount }, () => /** @type {number[]} */ ([]));
  polygon.forEach(([x1, y1], at) => {
    const [x2, y2] = polygon[(at + 1) % polygon.length];
    for (let each = bandOf(Math.min(y1, y2)); each <= bandOf(Math.max(y1, y2)); each++) bands[each].push(x1, y1, x2, y2);
  });
  /**
   * @param {number} x
   * @param {number} y
   */
  function contains(x, y) {
    const edges = bands[bandOf(y)];
    let isInside = false;
    for (let at = 0; at < edges.length; at += 4) {
      const y1 = edges[at + 1], y2 = edges[at + 3];
      if (y1 > y !== y2 > y && x < edges[at] + ((y - y1) / (y2 - y1)) * (edges[at + 2] - edges[at])) isInside = !isInside;
    }
    return isInside;
  }
  return { box, contains };
}

/**
 * Order points tile by tile, so that what is drawn one after the other lies close in memory, and by chance within a tile
 * (the same each time): drawn by id, the class that came last would lie on top of all others.
 * @param {Float32Array} x
 * @param {Float32Array} y
 */
function drawingOrder(x, y) {
  const tiles = 64;
  /** @param {number} value */
  const tileOf = (value) => Math.max(0, Math.min(tiles - 1, Math.floor(value * tiles)));
  let state = 1;
  const key = Float64Array.from(x, (value, at) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return tileOf(y[at]) * tiles + tileOf(value) + state / 2 ** 32;
  });
  return Int32Array.from(key.keys()).sort((one, other) => key[one] - key[other]);
}
