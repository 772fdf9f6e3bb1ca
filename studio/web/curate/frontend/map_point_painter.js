// Drawing of the map's points straight into a canvas's pixels. A hundred thousand calls of a canvas's own methods take
// several times as long, and much longer where no graphics card helps.
import { element } from "../../../share/web_demo/page/dom.js";

/** @import { MapPoints } from "./map_points.js" */
/** @import { Transform } from "./map_viewport.js" */

/**
 * The pixels that a mark covers, as offsets in the image, and how strongly: with ink, and with paper around it.
 * @typedef {{ solid: Int32Array, edge: Int32Array, ink: Uint8Array, paper: Uint8Array }} Stamp
 */
/**
 * How a class is painted. colour: 0xBBGGRR; strength: 0 to 256.
 * @typedef {{ path: string, colour: number, isHollow: boolean, strength: number }} Paint
 */

const EDGE_PX = 48; // round the canvas, so that a mark on its rim needs no checks; larger than any mark's half
const OPAQUE = 256; // strengths count to here
const MAX_STAMPS = 400;

export class PointPainter {
  #image = new ImageData(1, 1);
  /** @type {Map<string, Stamp>} */
  #stamps = new Map();

  /**
   * Paint layers, one over the other, on bare paper. All measures are the canvas's own pixels.
   * @param {HTMLCanvasElement} canvas
   * @param {MapPoints} points
   * @param {{ indices: Int32Array, strength: number }[]} layers
   * @param {(classId: number) => Paint} paintOf
   * @param {Transform} transform
   * @param {{ radius: number, rim: number, paper: number }} options  rim: the paper around a mark; paper: a colour
   */
  paint(canvas, points, layers, paintOf, transform, { radius, rim, paper }) {
    const stride = canvas.width + 2 * EDGE_PX, rows = canvas.height + 2 * EDGE_PX;
    if (this.#image.width !== stride || this.#image.height !== rows) {
      this.#image = new ImageData(stride, rows);
      this.#stamps.clear(); // they count in rows of the image before
    }
    const pixels = new Uint32Array(this.#image.data.buffer);
    pixels.fill(0xff000000 | paper);
    const { x, y, classes } = points;
    const { scaleX, scaleY } = transform;
    const left = transform.left + EDGE_PX + 0.5, top = transform.top + EDGE_PX + 0.5;
    const least = EDGE_PX / 2, right = stride - least, bottom = rows - least;
    for (const { indices, strength } of layers) {
      /** @type {Map<number, { stamp: Stamp, colour: number, strength: number }>} */
      const brushes = new Map();
      for (let at = 0; at < indices.length; at++) {
        const i = indices[at];
        const column = (x[i] * scaleX + left) | 0, row = (y[i] * scaleY + top) | 0;
        if (column < least || row < least || column >= right || row >= bottom) continue;
        let brush = brushes.get(classes[i]);
        if (brush === undefined) {
          const { path, colour, isHollow, strength: own } = paintOf(classes[i]);
          brush = { stamp: this.#stamp(path, isHollow, radius, rim, stride), colour, strength: (strength * own) >> 8 };
          brushes.set(classes[i], brush);
        }
        applyStamp(pixels, row * stride + column, brush, paper);
      }
    }
    canvas.getContext("2d")?.putImageData(this.#image, -EDGE_PX, -EDGE_PX);
  }

  /**
   * @param {string} path
   * @param {boolean} isHollow
   * @param {number} radius
   * @param {number} rim
   * @param {number} stride
   */
  #stamp(path, isHollow, radius, rim, stride) {
    const name = `${path} ${isHollow} ${radius} ${rim}`;
    const known = this.#stamps.get(name);
    if (known) return known;
    if (this.#stamps.size > MAX_STAMPS) this.#stamps.clear();
    const half = Math.min(EDGE_PX / 2 - 1, Math.ceil(radius * 1.3 + rim + 1));
    const ink = coverage(half, (context) => {
      if (isHollow) drawMark(context, path, radius - Math.max(0.5, radius * 0.16), Math.max(1, radius * 0.32));
      else drawMark(context, path, radius);
    });
    const paper = coverage(half, (context) => {
      if (rim > 0) drawMark(context, path, radius, 2 * rim);
      if (rim > 0 || isHollow) drawMark(context, path, radius);
    });
    /** @type {Record<"solid" | "edge" | "ink" | "paper", number[]>} */
    const parts = { solid: [], edge: [], ink: [], paper: [] };
    ink.forEach((strength, at) => {
      const offset = (Math.floor(at / (2 * half + 1)) - half) * stride + (at % (2 * half + 1)) - half;
      // Among very many points nobody sees smooth edges, and they take most of the time.
      if (strength >= (rim > 0 ? 250 : 110)) parts.solid.push(offset);
      else if (rim > 0 && (strength > 5 || paper[at] > 5)) {
        parts.edge.push(offset);
        parts.ink.push(strength);
        parts.paper.push(paper[at]);
      }
    });
    const stamp = {
      solid: Int32Array.from(parts.solid), edge: Int32Array.from(parts.edge),
      ink: Uint8Array.from(parts.ink), paper: Uint8Array.from(parts.paper),
    };
    this.#stamps.set(name, stamp);
    return stamp;
  }
}

/**
 * @param {Uint32Array} pixels
 * @param {number} centre
 * @param {{ stamp: Stamp, colour: number, strength: number }} brush
 * @param {number} paper
 */
function applyStamp(pixels, centre, { stamp, colour, strength }, paper) {
  const { solid, edge, ink, paper: around } = stamp;
  if (strength >= OPAQUE) {
    const opaque = 0xff000000 | colour;
    for (let at = 0; at < solid.length; at++) pixels[centre + solid[at]] = opaque;
    for (let at = 0; at < edge.length; at++) {
      const place = centre + edge[at];
      const below = around[at] > 0 ? blend(pixels[place], paper, around[at]) : pixels[place];
      pixels[place] = ink[at] > 0 ? blend(below, colour, ink[at]) : below;
    }
    return;
  }
  for (let at = 0; at < solid.length; at++) {
    const place = centre + solid[at];
    pixels[place] = blend(pixels[place], colour, strength);
  }
  for (let at = 0; at < edge.length; at++) {
    const place = centre + edge[at];
    pixels[place] = blend(pixels[place], colour, (ink[at] * strength) >> 8);
  }
}

/**
 * Blend one colour over another, two of its bytes at a time.
 * @param {number} below
 * @param {number} above
 * @param {number} opacity  0 to 256
 */
function blend(below, above, opacity) {
  const red_blue = ((below & 0xff00ff) * (256 - opacity) + (above & 0xff00ff) * opacity) >>> 8;
  const green = ((below & 0x00ff00) * (256 - opacity) + (above & 0x00ff00) * opacity) >>> 8;
  return 0xff000000 | (red_blue & 0xff00ff) | (green & 0x00ff00);
}

/**
 * Return how strongly (0 to 255) each pixel of a square of 2 * half + 1 is covered by what is drawn around its centre.
 * @param {number} half
 * @param {(context: CanvasRenderingContext2D) => void} draw
 */
function coverage(half, draw) {
  const canvas = element("canvas", { width: 2 * half + 1, height: 2 * half + 1 });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.translate(half + 0.5, half + 0.5);
  draw(context);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((_value, at) => at % 4 === 3);
}

/**
 * Draw a mark of class_appearance.js around the origin: filled, or its outline where a line's width is given.
 * @param {CanvasRenderingContext2D} context
 * @param {string} path
 * @param {number} radius
 * @param {number} [line]
 */
export function drawMark(context, path, radius, line = 0) {
  context.save();
  context.scale(radius, radius);
  context.lineWidth = line / radius;
  context.lineJoin = "round";
  if (line > 0) context.stroke(new Path2D(path));
  else context.fill(new Path2D(path));
  context.restore();
}

/**
 * Return #rrggbb as it lies in a canvas's pixels on all machines there are: 0xBBGGRR.
 * @param {string} colour
 */
export function pixelColour(colour) {
  const value = Number.parseInt(colour.slice(1), 16);
  return ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
}
