// The map's data: where each image stands and what class it has, in typed arrays, so that a hundred thousand of them
// are searched in a millisecond or two and no index is needed.

const UNLABELLED = 0, REJECTED = -1; // in place of a class's id

class MapPoints {
  #sorted; // ids in ascending order, and where each now stands
  #places;

  // bytes: as GET map gives them: little-endian int32 count, then ids, x, y (float32, 0 to 1), class ids.
  constructor(bytes) {
    const count = new DataView(bytes).getInt32(0, true);
    const [ids, x, y, classes] = [Int32Array, Float32Array, Float32Array, Int32Array].map(
      (Kind, number) => new Kind(bytes, 4 + 4 * count * number, count));
    const order = drawingOrder(x, y);
    this.count = count;
    [this.ids, this.x, this.y, this.classes] = [ids, x, y, classes].map((part) => part.map((_value, at) => part[order[at]]));
    this.#places = Int32Array.from(order.keys()).sort((one, other) => this.ids[one] - this.ids[other]);
    this.#sorted = this.#places.map((at) => this.ids[at]);
    this.counts = new Map();
    for (const id of classes) this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
  }

  indexOf(id) {
    let low = 0, high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle] === id) return this.#places[middle];
      if (this.#sorted[middle] < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  // Gives an image a class; returns whether that is news.
  recolour(id, classId) {
    const at = this.indexOf(id);
    if (at < 0 || this.classes[at] === classId) return false;
    this.counts.set(this.classes[at], this.counts.get(this.classes[at]) - 1);
    this.counts.set(classId, (this.counts.get(classId) ?? 0) + 1);
    this.classes[at] = classId;
    return true;
  }

  // Indices of the points in a rectangle whose class is not hidden.
  inside({ left, top, right, bottom }, hidden) {
    const { x, y, classes, count } = this;
    const hides = hidden.size > 0;
    const found = new Int32Array(count);
    let many = 0;
    for (let i = 0; i < count; i++) {
      if (x[i] >= left && x[i] <= right && y[i] >= top && y[i] <= bottom && !(hides && hidden.has(classes[i]))) {
        found[many++] = i;
      }
    }
    return found.subarray(0, many);
  }

  // Indices of the points in a polygon [[x, y], …] (its rim crossed an odd number of times) that are not hidden.
  within(polygon, hidden) {
    const bands = banded(polygon);
    if (bands === null) return new Int32Array(0);
    const { x, y } = this;
    return this.inside(bands.box, hidden).filter((i) => bands.holds(x[i], y[i]));
  }
}

// The polygon's edges by bands of y: a point meets the few of its own band, however many there are.
function banded(polygon) {
  const [xs, ys] = [0, 1].map((axis) => polygon.map((corner) => corner[axis]));
  const box = {
    left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys),
  };
  const height = box.bottom - box.top;
  if (polygon.length < 3 || height <= 0) return null;
  const many = Math.min(512, polygon.length * 2);
  const band = (y) => Math.min(many - 1, Math.floor(((y - box.top) / height) * many));
  const bands = Array.from({ length: many }, () => []);
  polygon.forEach(([x1, y1], at) => {
    const [x2, y2] = polygon[(at + 1) % polygon.length];
    for (let each = band(Math.min(y1, y2)); each <= band(Math.max(y1, y2)); each++) bands[each].push(x1, y1, x2, y2);
  });
  function holds(x, y) {
    const edges = bands[band(y)];
    let is = false;
    for (let at = 0; at < edges.length; at += 4) {
      const y1 = edges[at + 1], y2 = edges[at + 3];
      if (y1 > y !== y2 > y && x < edges[at] + ((y - y1) / (y2 - y1)) * (edges[at + 2] - edges[at])) is = !is;
    }
    return is;
  }
  return { box, holds };
}

// Tile by tile, so that what is drawn one after the other lies close in memory, and by chance within a tile (the same
// each time): drawn by id, the class that came last would lie on top of all others.
function drawingOrder(x, y) {
  const tiles = 64;
  const tile = (value) => Math.max(0, Math.min(tiles - 1, Math.floor(value * tiles)));
  let state = 1;
  const key = Float64Array.from(x, (value, at) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return tile(y[at]) * tiles + tile(value) + state / 2 ** 32;
  });
  return Int32Array.from(key.keys()).sort((one, other) => key[one] - key[other]);
}
