// The part of the embedding map that is seen: a centre, and how many times larger than the whole it is drawn.

/** @typedef {{ scaleX: number, scaleY: number, left: number, top: number }} Transform */

const MAX_ZOOM = 4000, MIN_ZOOM = 0.5;
const PADDING_PX = 28, MIN_SIDE_PX = 40;
const MAX_ASPECT = 1.6; // of the longer side to the shorter: a map may be stretched a little, so that a wide page is used
const ANIMATION_MS = 180;

export class MapViewport {
  #frame = 0;

  /** @param {() => void} onChange  called after each change. All measures are CSS pixels of the element with the map */
  constructor(onChange) {
    this.onChange = onChange;
    this.width = 1;
    this.height = 1;
    this.zoom = 1;
    this.x = 0.5;
    this.y = 0.5;
  }

  /**
   * Where points land: a point of the map is drawn at x * scaleX + left, y * scaleY + top.
   * @returns {Transform}
   */
  get transform() {
    const [width, height] = [this.width, this.height].map((side) => Math.max(MIN_SIDE_PX, side - 2 * PADDING_PX));
    const scaleX = Math.min(width, height * MAX_ASPECT) * this.zoom;
    const scaleY = Math.min(height, width * MAX_ASPECT) * this.zoom;
    return { scaleX, scaleY, left: this.width / 2 - this.x * scaleX, top: this.height / 2 - this.y * scaleY };
  }

  /** Return the part of the map that is seen, and a margin around it. */
  visibleBox(margin_px = 0) {
    const [left, top] = this.toMap(-margin_px, -margin_px);
    const [right, bottom] = this.toMap(this.width + margin_px, this.height + margin_px);
    return { left, top, right, bottom };
  }

  /**
   * Return a point of the element as one of the map.
   * @param {number} x
   * @param {number} y
   */
  toMap(x, y) {
    const { scaleX, scaleY, left, top } = this.transform;
    return [(x - left) / scaleX, (y - top) / scaleY];
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.onChange();
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  pan(x, y) {
    const { scaleX, scaleY } = this.transform;
    this.#stop();
    this.#set(this.x - x / scaleX, this.y - y / scaleY, this.zoom);
  }

  /**
   * Zoom by a factor and keep what is under (x, y) where it is.
   * @param {number} factor
   * @param {number} x
   * @param {number} y
   */
  zoomAt(factor, x, y) {
    this.#stop();
    const [mapX, mapY, zoom] = this.#zoomed(factor, x, y);
    this.#set(mapX, mapY, zoom);
  }

  /**
   * Zoom around the middle, animated unless people asked for less motion.
   * @param {number} factor
   */
  animateZoom(factor) {
    this.#animate(this.#zoomed(factor, this.width / 2, this.height / 2));
  }

  reset() {
    this.#animate([0.5, 0.5, 1]);
  }

  /**
   * @param {number} factor
   * @param {number} x
   * @param {number} y
   */
  #zoomed(factor, x, y) {
    const [mapX, mapY] = this.toMap(x, y);
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.zoom * factor));
    const by = zoom / this.zoom;
    return [mapX + (this.x - mapX) / by, mapY + (this.y - mapY) / by, zoom];
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} zoom
   */
  #set(x, y, zoom) {
    this.x = Math.min(1, Math.max(0, x));
    this.y = Math.min(1, Math.max(0, y));
    this.zoom = zoom;
    this.onChange();
  }

  #stop() {
    cancelAnimationFrame(this.#frame);
  }

  /** @param {number[]} to  x, y and zoom */
  #animate([x, y, zoom]) {
    this.#stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.#set(x, y, zoom);
      return;
    }
    const from = { x: this.x, y: this.y, zoom: this.zoom };
    const began = performance.now();
    /** @param {number} now */
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - began) / ANIMATION_MS));
      const eased = done * (2 - done);
      const zoomNow = from.zoom * (zoom / from.zoom) ** eased;
      // The centre moves with the zoom, so that what is in the middle at the end is never out of sight on the way.
      const moved = zoom === from.zoom ? eased : (1 / from.zoom - 1 / zoomNow) / (1 / from.zoom - 1 / zoom);
      this.#set(from.x + (x - from.x) * moved, from.y + (y - from.y) * moved, done === 1 ? zoom : zoomNow);
      if (done < 1) this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }
}
