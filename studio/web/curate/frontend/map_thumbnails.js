// The images of the embedding map: their items are fetched where the map shows them, and thumbnails stand in place of
// points where there is room for them.
import { element, throttled } from "../../../share/web_demo/page/dom.js";
import { thumbnailAddress } from "./tile.js";

/** @import { MapPoints } from "./map_points.js" */
/** @import { MapViewport } from "./map_viewport.js" */
/** @import { ItemResponse } from "./types.js" */

const MAX_THUMBNAILS = 150;
const MAX_COVERS = 2; // thumbnails side by side would cover the map so often: with more, they would hide it
const REQUEST_ITEMS = 500, REQUEST_DELAY_MS = 80;
const MAX_ITEMS = 5000, MAX_BITMAPS = 600;

// Items by id, and squares of their thumbnails.
export class MapItems {
  /**
   * null: not in the project any more.
   * @type {Map<number, ItemResponse | null>}
   */
  #items = new Map();
  /** @type {Map<string, ImageBitmap | null>} */
  #bitmaps = new Map();
  /** @type {Set<number>} */
  #wanted = new Set();
  /** @type {Set<number>} */
  #requested = new Set();
  #requestSoon;

  /**
   * @param {string} base  the address of the project's routes
   * @param {() => void} onChange  called when something has come
   */
  constructor(base, onChange) {
    this.onChange = onChange;
    this.#requestSoon = throttled(REQUEST_DELAY_MS, () => this.#request(base));
  }

  /**
   * Return an item, or undefined, and then fetch it.
   * @param {number} id
   */
  item(id) {
    const known = this.#items.get(id);
    if (known === undefined && !this.#requested.has(id)) {
      this.#wanted.add(id);
      this.#requestSoon();
    }
    return known;
  }

  /**
   * Return a square of an image, side_px large, or undefined while there is none.
   * @param {number} id
   * @param {number} side_px
   */
  thumbnail(id, side_px) {
    const item = this.item(id);
    const name = `${id} ${side_px}`;
    const known = this.#bitmaps.get(name);
    if (known) { // the longest unused stand first
      this.#bitmaps.delete(name);
      this.#bitmaps.set(name, known);
    }
    if (known !== undefined || !item?.sha) return known ?? undefined;
    if (this.#bitmaps.size > MAX_BITMAPS) this.#dropOldest();
    this.#bitmaps.set(name, null);
    squareThumbnail(thumbnailAddress(item.sha), side_px).then((bitmap) => {
      this.#bitmaps.set(name, bitmap);
      this.onChange();
    }).catch(() => {}); // the file was lost: an empty place stays
    return undefined;
  }

  /** Do not fetch what was wanted and is no longer in sight. */
  clearWanted() {
    this.#wanted.clear();
  }

  #dropOldest() {
    for (const [name, bitmap] of [...this.#bitmaps].slice(0, MAX_BITMAPS / 2)) {
      bitmap?.close();
      this.#bitmaps.delete(name);
    }
  }

  /** @param {string} base */
  async #request(base) {
    const ids = [...this.#wanted].slice(0, REQUEST_ITEMS);
    this.#wanted.clear();
    if (!ids.length) return;
    for (const id of ids) this.#requested.add(id);
    try {
      const response = await fetch(`${base}/items?ids=${ids.join()}`);
      if (!response.ok) throw new Error(`${response.status}`);
      /** @type {{ items: ItemResponse[] }} */
      const { items } = await response.json();
      if (this.#items.size > MAX_ITEMS) this.#items.clear();
      for (const id of ids) this.#items.set(id, null); // those that are not in the project any more
      for (const item of items) this.#items.set(item.id, item);
      this.onChange();
    } catch {
      // They are fetched again when the map is drawn next.
    } finally {
      for (const id of ids) this.#requested.delete(id);
    }
  }
}

/**
 * @param {string} address
 * @param {number} side_px
 */
async function squareThumbnail(address, side_px) {
  const image = element("img", { decoding: "async", src: address });
  await image.decode();
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const [x, y] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
  return createImageBitmap(image, x, y, side, side, {
    resizeWidth: side_px, resizeHeight: side_px, resizeQuality: "medium",
  });
}

// Chooses which of the points in sight are shown as thumbnails: none that overlap. Those that were shown before come
// first, so that thumbnails do not flicker while the map moves.
export class ThumbnailLayout {
  /** @type {Set<number>} */
  #previous = new Set();

  /**
   * Return the chosen points' indices, and where the thumbnails' centres are, in CSS pixels.
   * @param {Pick<MapPoints, "ids" | "x" | "y">} points
   * @param {Int32Array} indices  of the points in sight
   * @param {Pick<MapViewport, "width" | "height" | "transform">} viewport
   * @param {number} side_px
   */
  choose(points, indices, { width, height, transform: { scaleX, scaleY, left, top } }, side_px) {
    if (indices.length * side_px ** 2 > width * height * MAX_COVERS) {
      this.#previous.clear();
      return [];
    }
    /** @type {Map<string, { x: number, y: number }>} */
    const taken = new Map();
    const chosen = [];
    /** @param {number} i */
    const wasShown = (i) => this.#previous.has(points.ids[i]);
    for (const i of [...indices.filter(wasShown), ...indices.filter((each) => !wasShown(each))]) {
      const x = points.x[i] * scaleX + left, y = points.y[i] * scaleY + top;
      if (chosen.length >= MAX_THUMBNAILS) break;
      const column = Math.floor(x / side_px), row = Math.floor(y / side_px);
      if (isFree(taken, column, row, x, y, side_px)) {
        taken.set(`${column} ${row}`, { x, y });
        chosen.push({ i, x, y });
      }
    }
    this.#previous = new Set(chosen.map(({ i }) => points.ids[i]));
    return chosen;
  }
}

/**
 * Return whether a thumbnail overlaps none. A cell of its size holds one centre at most: only those of the cells around
 * can overlap.
 * @param {Map<string, { x: number, y: number }>} taken
 * @param {number} column
 * @param {number} row
 * @param {number} x
 * @param {number} y
 * @param {number} side_px
 */
function isFree(taken, column, row, x, y, side_px) {
  for (let across = column - 1; across <= column + 1; across++) {
    for (let down = row - 1; down <= row + 1; down++) {
      const other = taken.get(`${across} ${down}`);
      if (other && Math.abs(other.x - x) < side_px && Math.abs(other.y - y) < side_px) return false;
    }
  }
  return true;
}
