// Which part of the map is seen: a middle, and how many times larger than the whole it is drawn.

const MAP_MOST_ZOOM = 4000, MAP_LEAST_ZOOM = 0.5;
const MAP_PADDING_PX = 28;
const MAP_LONGEST_SIDE = 1.6; // to the shorter: a map may be drawn out a little, so that a wide page is used

class MapView {
  #moving = 0;

  // changed(): is called after each change. All measures are CSS pixels, of the element that shows the map.
  constructor(changed) {
    this.changed = changed;
    this.width = this.height = 1;
    this.zoom = 1;
    this.x = this.y = 0.5;
  }

  // Where points land: a point of the map is drawn at x * scaleX + left, y * scaleY + top.
  get place() {
    const [width, height] = [this.width, this.height].map((side) => Math.max(40, side - 2 * MAP_PADDING_PX));
    const scaleX = Math.min(width, height * MAP_LONGEST_SIDE) * this.zoom;
    const scaleY = Math.min(height, width * MAP_LONGEST_SIDE) * this.zoom;
    return { scaleX, scaleY, left: this.width / 2 - this.x * scaleX, top: this.height / 2 - this.y * scaleY };
  }

  // What of the map is seen, and a margin around it.
  seen(margin_px = 0) {
    const [left, top] = this.mapped(-margin_px, -margin_px);
    const [right, bottom] = this.mapped(this.width + margin_px, this.height + margin_px);
    return { left, top, right, bottom };
  }

  mapped(x, y) {
    const { scaleX, scaleY, left, top } = this.place;
    return [(x - left) / scaleX, (y - top) / scaleY];
  }

  resize(width, height) {
    Object.assign(this, { width: Math.max(1, width), height: Math.max(1, height) });
    this.changed();
  }

  pan(x, y) {
    const { scaleX, scaleY } = this.place;
    this.#stop();
    this.#go(this.x - x / scaleX, this.y - y / scaleY, this.zoom);
  }

  // Zooms by a factor and keeps what is under (x, y) where it is.
  zoomAt(factor, x = this.width / 2, y = this.height / 2) {
    this.#stop();
    this.#go(...this.#zoomed(factor, x, y));
  }

  // As zoomAt, and reset, but on the way there the map is seen moving, unless people asked for less motion.
  glideTo(factor) {
    this.#glide(this.#zoomed(factor, this.width / 2, this.height / 2));
  }

  reset() {
    this.#glide([0.5, 0.5, 1]);
  }

  #zoomed(factor, x, y) {
    const [mapX, mapY] = this.mapped(x, y);
    const zoom = Math.min(MAP_MOST_ZOOM, Math.max(MAP_LEAST_ZOOM, this.zoom * factor));
    const by = zoom / this.zoom;
    return [mapX + (this.x - mapX) / by, mapY + (this.y - mapY) / by, zoom];
  }

  #go(x, y, zoom) {
    Object.assign(this, { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)), zoom });
    this.changed();
  }

  #stop() {
    cancelAnimationFrame(this.#moving);
  }

  #glide([x, y, zoom]) {
    this.#stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.#go(x, y, zoom);
      return;
    }
    const from = { x: this.x, y: this.y, zoom: this.zoom };
    const began = performance.now();
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - began) / 180));
      const share = done * (2 - done);
      const zoomNow = from.zoom * (zoom / from.zoom) ** share;
      // The middle moves with the zoom, so that what is in the middle at the end is never out of sight on the way.
      const way = zoom === from.zoom ? share : (1 / from.zoom - 1 / zoomNow) / (1 / from.zoom - 1 / zoom);
      this.#go(from.x + (x - from.x) * way, from.y + (y - from.y) * way, done === 1 ? zoom : zoomNow);
      if (done < 1) this.#moving = requestAnimationFrame(step);
    };
    this.#moving = requestAnimationFrame(step);
  }
}
