// The images of the map: what is known of each is asked for where somebody looks, and small copies stand in the place
// of points where there is room for them.

const MAP_MOST_IMAGES = 150;
const MAP_CROWD = 2; // images side by side would cover the map so often: with more, they would hide what it says
const MAP_ASKED_AT_ONCE = 500;
const MAP_REMEMBERED = 5000, MAP_KEPT_IMAGES = 600;

// What GET items says of images, by id, and their thumbnails. news(): is called when something has come.
class MapItems {
  #items = new Map();
  #bitmaps = new Map();
  #wanted = new Set();
  #asking = new Set();
  #ask;

  constructor(base, news) {
    this.news = news;
    this.#ask = later(80, () => this.#fetch(base));
  }

  // Returns an item or undefined, and then asks for it.
  item(id) {
    const known = this.#items.get(id);
    if (known === undefined && !this.#asking.has(id)) {
      this.#wanted.add(id);
      this.#ask();
    }
    return known;
  }

  // Returns a square of an image, side_px large, or undefined while it is on its way (null: there is none).
  square(id, side_px) {
    const item = this.item(id);
    const name = `${id} ${side_px}`;
    const known = this.#bitmaps.get(name);
    if (known) { // the longest unused stand first
      this.#bitmaps.delete(name);
      this.#bitmaps.set(name, known);
    }
    if (known !== undefined || !item) return known ?? undefined;
    if (this.#bitmaps.size > MAP_KEPT_IMAGES) this.#forget();
    this.#bitmaps.set(name, null);
    mapSquare(mapThumbnail(item), side_px).then((bitmap) => {
      this.#bitmaps.set(name, bitmap);
      this.news();
    }).catch(() => {}); // the file was lost: an empty place stays
    return undefined;
  }

  // What was asked for and is no longer in sight is not fetched any more.
  forgetWishes() {
    this.#wanted.clear();
  }

  #forget() {
    for (const [name, bitmap] of [...this.#bitmaps].slice(0, MAP_KEPT_IMAGES / 2)) {
      bitmap?.close();
      this.#bitmaps.delete(name);
    }
  }

  async #fetch(base) {
    const ids = [...this.#wanted].slice(0, MAP_ASKED_AT_ONCE);
    this.#wanted.clear();
    if (!ids.length) return;
    ids.forEach((id) => this.#asking.add(id));
    try {
      const answer = await fetch(`${base}/items?ids=${ids.join()}`);
      if (!answer.ok) throw new Error(answer.status);
      const { items } = await answer.json();
      if (this.#items.size > MAP_REMEMBERED) this.#items.clear();
      for (const id of ids) this.#items.set(id, null); // those that are not in the project any more
      for (const item of items) this.#items.set(item.id, item);
      this.news();
    } catch {
      // They are asked for again when the map is drawn next.
    } finally {
      ids.forEach((id) => this.#asking.delete(id));
    }
  }
}

function mapThumbnail(item) {
  return `/studio/thumbnails/${item.sha}.jpg`;
}

async function mapSquare(address, side_px) {
  const image = element("img", { decoding: "async", src: address });
  await image.decode();
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const [x, y] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
  return createImageBitmap(image, x, y, side, side, {
    resizeWidth: side_px, resizeHeight: side_px, resizeQuality: "medium",
  });
}

// Chooses which of the points in sight are shown as images: none that overlap. Those that were shown before come
// first, so that images do not flicker while the map moves.
class ImagePlaces {
  #before = new Set();

  // Returns [{ i, x, y }]: a point's index and where the image's middle is, in CSS pixels.
  choose(points, indices, { width, height, place: { scaleX, scaleY, left, top } }, side_px) {
    if (indices.length * side_px ** 2 > width * height * MAP_CROWD) {
      this.#before.clear();
      return [];
    }
    const taken = new Map();
    const chosen = [];
    const stays = (i) => this.#before.has(points.ids[i]);
    for (const i of [...indices.filter(stays), ...indices.filter((each) => !stays(each))]) {
      const x = points.x[i] * scaleX + left, y = points.y[i] * scaleY + top;
      if (chosen.length >= MAP_MOST_IMAGES) break;
      const column = Math.floor(x / side_px), row = Math.floor(y / side_px);
      if (isFree(taken, column, row, x, y, side_px)) {
        taken.set(`${column} ${row}`, { x, y });
        chosen.push({ i, x, y });
      }
    }
    this.#before = new Set(chosen.map(({ i }) => points.ids[i]));
    return chosen;
  }
}

// A cell of an image's size holds one middle at most: only those of the cells around can overlap.
function isFree(taken, column, row, x, y, side_px) {
  for (let across = column - 1; across <= column + 1; across++) {
    for (let down = row - 1; down <= row + 1; down++) {
      const other = taken.get(`${across} ${down}`);
      if (other && Math.abs(other.x - x) < side_px && Math.abs(other.y - y) < side_px) return false;
    }
  }
  return true;
}
