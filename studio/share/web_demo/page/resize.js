// Pillow's `resize(…, BILINEAR)`, bit for bit: a triangle filter over the area that a target pixel covers, in whole
// numbers with 22 bits after the point, rounded to 8 bits after each of the two passes.
// The method: https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
const BITS = 22;
const HALF = 1 << (BITS - 1);

// For each target pixel: where its source pixels begin, how many they are, and their weights.
function weights(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1); // enlarging looks at the neighbours alone
  const most = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(to);
  const ends = new Int32Array(to);
  const values = new Int32Array(to * most);
  for (let at = 0; at < to; at++) {
    const centre = (at + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const shares = [];
    let sum = 0;
    for (let i = start; i < end; i++) {
      const share = Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / reach)));
      shares.push(share);
      sum += share;
    }
    starts[at] = start;
    ends[at] = end;
    shares.forEach((share, i) => { values[at * most + i] = Math.trunc(0.5 + (share / sum) * (1 << BITS)); });
  }
  return { starts, ends, values, most };
}

const rounded = (sum) => Math.min(255, Math.max(0, sum >> BITS));

// Whether an image is made lower before it is made narrower, which shows in the last bit: found by asking Pillow.
function lowerFirst(width, height, toWidth, toHeight, pillow) {
  if (height <= toHeight) return false;
  return pillow >= 13 ? height - toHeight > 2 * (width - toWidth) : height > 100 * width;
}

// Takes an image from the top in strips of any height, so that no canvas need hold the whole of a large one.
// pillow: the major version of the Pillow that is followed.
export class Resize {
  constructor(width, height, toWidth, toHeight, pillow) {
    this.width = width;
    this.height = height;
    this.toWidth = toWidth;
    this.toHeight = toHeight;
    this.across = weights(width, toWidth);
    this.down = weights(height, toHeight);
    this.lowerFirst = lowerFirst(width, height, toWidth, toHeight, pillow);
    this.stride = this.lowerFirst ? width * 4 : toWidth * 3;
    this.sums = new Int32Array(toHeight * this.stride).fill(HALF);
    this.line = this.lowerFirst ? null : new Uint8Array(this.stride);
    this.row = 0;
    this.open = 0; // the first target row that rows to come have a share in
  }

  // rgba: bytes of whole rows, as a canvas gives them; the fourth of each pixel has no say.
  take(rgba) {
    const { starts, ends, values, most } = this.down;
    for (let from = 0; from < rgba.length; from += this.width * 4, this.row++) {
      const source = rgba.subarray(from, from + this.width * 4);
      if (!this.lowerFirst) this.narrow(source, this.line, 0);
      const line = this.line ?? source;
      while (this.open < this.toHeight && ends[this.open] <= this.row) this.open++;
      for (let at = this.open; at < this.toHeight && starts[at] <= this.row; at++) {
        const weight = values[at * most + this.row - starts[at]];
        const to = at * this.stride;
        for (let x = 0; x < this.stride; x++) this.sums[to + x] += line[x] * weight;
      }
    }
  }

  // Once every row has been taken: red, green, blue of each pixel, toHeight × toWidth.
  pixels() {
    if (this.row !== this.height) throw new Error(`expected ${this.height} rows, got ${this.row}`);
    const lower = Uint8Array.from(this.sums, rounded);
    if (!this.lowerFirst) return lower;
    const pixels = new Uint8Array(this.toHeight * this.toWidth * 3);
    for (let at = 0; at < this.toHeight; at++) {
      this.narrow(lower.subarray(at * this.stride, (at + 1) * this.stride), pixels, at * this.toWidth * 3);
    }
    return pixels;
  }

  narrow(rgba, target, to) {
    const { starts, ends, values, most } = this.across;
    for (let at = 0; at < this.toWidth; at++) {
      let red = HALF, green = HALF, blue = HALF, from = starts[at] * 4;
      for (let i = at * most, end = i + ends[at] - starts[at]; i < end; i++, from += 4) {
        const weight = values[i];
        red += rgba[from] * weight;
        green += rgba[from + 1] * weight;
        blue += rgba[from + 2] * weight;
      }
      target[to++] = rounded(red);
      target[to++] = rounded(green);
      target[to++] = rounded(blue);
    }
  }
}
