// Scales of a chart's axes: from values to places on the screen, the round numbers beside an axis, and paths.

export class AxisScale {
  /**
   * @param {number} from
   * @param {number} to
   * @param {number} start_px
   * @param {number} end_px
   */
  constructor(from, to, start_px, end_px) {
    const isEmpty = !(to > from); // nothing that varies
    this.from = isEmpty ? from - 0.5 : from;
    this.to = isEmpty ? this.from + 1 : to;
    this.start_px = start_px;
    this.end_px = end_px;
    this.factor = (end_px - start_px) / (this.to - this.from);
  }

  /** @param {number} value */
  toPx(value) {
    return this.start_px + (value - this.from) * this.factor;
  }

  /** @param {number} place_px */
  valueAt(place_px) {
    return this.from + (place_px - this.start_px) / this.factor;
  }

  /**
   * Return round values with at least so many pixels between them, and the step between two.
   * @param {number} apart_px
   */
  ticks(apart_px) {
    const count = Math.max(1, Math.abs(this.end_px - this.start_px) / apart_px);
    const rough = (this.to - this.from) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
    const values = [];
    const last = Math.floor(this.to / step + 1e-9);
    for (let at = Math.ceil(this.from / step - 1e-9); at <= last; at++) values.push(at * step + 0); // never minus 0
    return { values, step };
  }
}

/**
 * Return the decimals that tell round values apart which are a step away from each other.
 * @param {number} step
 */
export function decimalsFor(step) {
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

/**
 * Return the least and the largest of the finite numbers, or null where there is none.
 * @param {Iterable<number>} values
 * @returns {[number, number] | null}
 */
export function extent(values) {
  let least = Number.POSITIVE_INFINITY, largest = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > largest) largest = value;
  }
  return least <= largest ? [least, largest] : null;
}

/**
 * Return the index of the value nearest to one, among rising values; -1 where there is none.
 * @param {ArrayLike<number>} values
 * @param {number} value
 */
export function nearestIndex(values, value) {
  if (!values.length) return -1;
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - values[low - 1] <= values[low] - value ? low - 1 : low;
}

/**
 * Return an SVG path through points, with no more corners than a screen can show: of each column of pixels the first, the
 * least, the largest and the last.
 * @param {ArrayLike<number>} xs
 * @param {ArrayLike<number>} ys
 * @param {AxisScale} x
 * @param {AxisScale} y
 */
export function linePath(xs, ys, x, y) {
  let path = "";
  /** @type {number | null} */
  let column = null;
  /** @type {number[]} */
  let kept = []; // first, least, largest, last
  const flush = () => {
    for (const at of [...new Set(kept)].sort((one, other) => one - other)) {
      path += `${path ? "L" : "M"}${x.toPx(xs[at]).toFixed(1)} ${y.toPx(ys[at]).toFixed(1)}`;
    }
  };
  for (let at = 0; at < xs.length; at++) {
    if (!Number.isFinite(ys[at])) continue;
    const here = Math.round(x.toPx(xs[at]));
    if (here !== column) {
      flush();
      [column, kept] = [here, [at, at, at, at]];
    }
    if (ys[at] < ys[kept[1]]) kept[1] = at;
    if (ys[at] > ys[kept[2]]) kept[2] = at;
    kept[3] = at;
  }
  flush();
  return path;
}

/**
 * Return the first and the one after the last index in a range, with a neighbour on either side so that lines go on.
 * @param {ArrayLike<number>} xs  rising
 * @param {[number, number]} range
 */
export function indexRange(xs, [from, to]) {
  let first = 0, last = xs.length;
  while (first < last && xs[first] < from) first++;
  while (last > first && xs[last - 1] > to) last--;
  return [Math.max(0, first - 1), Math.min(xs.length, last + 1)];
}

/**
 * Return the range of values without outliers: single batches jump, and the first steps are far from all others, so an
 * axis that fits them would press the rest together. TensorBoard leaves out 5 percent at either end.
 * @param {number[]} values
 */
export function withoutOutliers(values) {
  if (values.length < 50) return values;
  const sorted = values.filter(Number.isFinite).sort((one, other) => one - other);
  return [sorted[Math.floor(sorted.length * 0.02)], sorted[Math.ceil(sorted.length * 0.98) - 1]];
}
