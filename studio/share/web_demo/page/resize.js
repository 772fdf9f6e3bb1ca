// Pillow's `resize(…, BILINEAR)`, bit for bit: a triangle filter over the area that a target pixel covers, in whole
// numbers with 22 bits after the point, rounded to 8 bits after each of the two passes.
// The method: https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
const BITS = 22;
const HALF = 1 << (BITS - 1);

/**
 * Compute the filter's coefficients for one direction: for each target pixel the first source pixel, the one after the
 * last, and their weights, `stride` values apart.
 * @param {number} from
 * @param {number} to
 */
function filterWeights(from, to) {
  const scale = from / to;
  const support = Math.max(scale, 1); // enlarging uses the neighbours alone
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(to);
  const ends = new Int32Array(to);
  const values = new Int32Array(to * stride);
  for (let at = 0; at < to; at++) {
    const centre = (at + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    /** @type {number[]} */
    const shares = [];
    let sum = 0;
    for (let i = start; i < end; i++) {
      const share = Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / support)));
      shares.push(share);
      sum += share;
    }
    starts[at] = start;
    ends[at] = end;
    shares.forEach((share, i) => { values[at * stride + i] = Math.trunc(0.5 + (share / sum) * (1 << BITS)); });
  }
  return { starts, ends, values, stride };
}

/** @param {number} sum */
const toByte = (sum) => Math.min(255, Math.max(0, sum >> BITS));

/**
 * Return whether Pillow reduces the height before the width, which shows in the last bit: found by asking Pillow.
 * @param {number} width
 * @param {number} height
 * @param {number} toWidth
 * @param {number} toHeight
 * @param {number} pillow
 */
function isVerticalFirst(width, height, toWidth, toHeight, pillow) {
  if (height <= toHeight) return false;
  return pillow >= 13 ? height - toHeight > 2 * (width - toWidth) : height > 100 * width;
}

// Takes an image from the top in strips of any height, so that no canvas need hold the whole of a large one.
export class Resize {
  /**
   * @param {number} width
   * @param {number} height
   * @param {number} toWidth
   * @param {number} toHeight
   * @param {number} pillow  the major version of the Pillow that is followed
   */
  constructor(width, height, toWidth, toHeight, pillow) {
    this.width = width;
    this.height = height;
    this.toWidth = toWidth;
    this.toHeight = toHeight;
    this.horizontal = filterWeights(width, toWidth);
    this.vertical = filterWeights(height, toHeight);
    this.verticalFirst = isVerticalFirst(width, height, toWidth, toHeight, pillow);
    this.stride = this.verticalFirst ? width * 4 : toWidth * 3;
    this.sums = new Int32Array(toHeight * this.stride).fill(HALF);
    this.line = this.verticalFirst ? null : new Uint8Array(this.stride);
    this.row = 0;
    this.firstOpen = 0; // the first target row that rows to come have a share in
  }

  /**
   * Add whole rows, as a canvas gives them; the fourth byte of each pixel is ignored.
   * @param {Uint8ClampedArray | Uint8Array} rgba
   */
  addRows(rgba) {
    const { starts, ends, values, stride } = this.vertical;
    for (let from = 0; from < rgba.length; from += this.width * 4, this.row++) {
      const source = rgba.subarray(from, from + this.width * 4);
      if (this.line) this.#narrow(source, this.line, 0);
      const line = this.line ?? source;
      while (this.firstOpen < this.toHeight && ends[this.firstOpen] <= this.row) this.firstOpen++;
      for (let at = this.firstOpen; at < this.toHeight && starts[at] <= this.row; at++) {
        const weight = values[at * stride + this.row - starts[at]];
        const to = at * this.stride;
        for (let x = 0; x < this.stride; x++) this.sums[to + x] += line[x] * weight;
      }
    }
  }

  /** Return red, green and blue of each pixel, toHeight × toWidth, once every row has been added. */
  pixels() {
    if (this.row !== this.height) throw new Error(`expected ${this.height} rows, got ${this.row}`);
    const reduced = Uint8Array.from(this.sums, toByte);
    if (!this.verticalFirst) return reduced;
    const pixels = new Uint8Array(this.toHeight * this.toWidth * 3);
    for (let at = 0; at < this.toHeight; at++) {
      this.#narrow(reduced.subarray(at * this.stride, (at + 1) * this.stride), pixels, at * this.toWidth * 3);
    }
    return pixels;
  }

  /**
   * Resize one row to the target's width.
   * @param {Uint8ClampedArray | Uint8Array} rgba
   * @param {Uint8Array} target
   * @param {number} offset  where in the target the row begins
   */
  #narrow(rgba, target, offset) {
    const { starts, ends, values, stride } = this.horizontal;
    let to = offset;
    for (let at = 0; at < this.toWidth; at++) {
      let red = HALF, green = HALF, blue = HALF, from = starts[at] * 4;
      for (let i = at * stride, end = i + ends[at] - starts[at]; i < end; i++, from += 4) {
        const weight = values[i];
        red += rgba[from] * weight;
        green += rgba[from + 1] * weight;
        blue += rgba[from + 2] * weight;
      }
      target[to++] = toByte(red);
      target[to++] = toByte(green);
      target[to++] = toByte(blue);
    }
  }
}
