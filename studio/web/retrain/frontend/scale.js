// From values to places on the screen, and the round numbers that stand beside an axis.

class Scale {
  constructor(from, to, start_px, end_px) {
    if (!(to > from)) [from, to] = [from - 0.5, from + 0.5];
    Object.assign(this, { from, to, start_px, end_px });
    this.factor = (end_px - start_px) / (to - from);
  }

  at(value) {
    return this.start_px + (value - this.from) * this.factor;
  }

  valueAt(place_px) {
    return this.from + (place_px - this.start_px) / this.factor;
  }

  // Round values with at least so many pixels between them.
  ticks(apart_px) {
    const count = Math.max(1, Math.abs(this.end_px - this.start_px) / apart_px);
    const rough = (this.to - this.from) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
    const found = [];
    const last = Math.floor(this.to / step + 1e-9);
    for (let at = Math.ceil(this.from / step - 1e-9); at <= last; at++) found.push(at * step + 0); // never minus 0
    return { values: found, step };
  }
}

// The decimals that tell round values apart which are a step away from each other.
function decimals(step) {
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

// The least and the largest of numbers, or null where there is none.
function extent(values) {
  let least = Infinity, largest = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > largest) largest = value;
  }
  return least <= largest ? [least, largest] : null;
}

// The index of the value nearest to one, among rising values; -1 where there is none.
function nearest(values, value) {
  if (!values.length) return -1;
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - values[low - 1] <= values[low] - value ? low - 1 : low;
}

// A path through points, with no more corners than a screen can show: of each column of pixels the first, the least, the
// largest and the last.
function pathOf(xs, ys, x, y) {
  let drawn = "", column = null, kept = [];
  const put = (at) => { drawn += `${drawn ? "L" : "M"}${x.at(xs[at]).toFixed(1)} ${y.at(ys[at]).toFixed(1)}`; };
  const flush = () => {
    [...new Set(kept)].sort((one, other) => one - other).forEach(put);
  };
  for (let at = 0; at < xs.length; at++) {
    if (!Number.isFinite(ys[at])) continue;
    const here = Math.round(x.at(xs[at]));
    if (here !== column) {
      flush();
      [column, kept] = [here, [at, at, at, at]]; // first, least, largest, last
    }
    if (ys[at] < ys[kept[1]]) kept[1] = at;
    if (ys[at] > ys[kept[2]]) kept[2] = at;
    kept[3] = at;
  }
  flush();
  return drawn;
}
