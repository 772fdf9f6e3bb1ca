// Draws points straight into a canvas's pixels. A hundred thousand calls of a canvas's own methods take several times
// as long, and much longer where no graphics card helps.

const MAP_EDGE_PX = 48; // round the canvas, so that a mark on its rim needs no checks; larger than any mark's half
const OPAQUE = 256; // strengths count to here

class PointPainter {
  #image = new ImageData(1, 1);
  #stamps = new Map();

  // Paints layers, one over the other, on bare paper. All measures are the canvas's own pixels.
  // layers: [{ indices, strength }]; look(classId): { path, colour: 0xBBGGRR, hollow, strength }, strengths 0 to 256;
  // place: { scaleX, scaleY, left, top }: a point lands on x * scaleX + left; rim: how far paper shows around a mark.
  paint(canvas, points, layers, look, place, { radius, rim, paper }) {
    const stride = canvas.width + 2 * MAP_EDGE_PX, rows = canvas.height + 2 * MAP_EDGE_PX;
    if (this.#image.width !== stride || this.#image.height !== rows) {
      this.#image = new ImageData(stride, rows);
      this.#stamps.clear(); // they count in rows of the image before
    }
    const pixels = new Uint32Array(this.#image.data.buffer);
    pixels.fill(0xff000000 | paper);
    const { x, y, classes } = points;
    const { scaleX, scaleY } = place;
    const left = place.left + MAP_EDGE_PX + 0.5, top = place.top + MAP_EDGE_PX + 0.5;
    const least = MAP_EDGE_PX / 2, right = stride - least, bottom = rows - least;
    for (const { indices, strength } of layers) {
      const tools = new Map();
      for (let at = 0; at < indices.length; at++) {
        const i = indices[at];
        const column = (x[i] * scaleX + left) | 0, row = (y[i] * scaleY + top) | 0;
        if (column < least || row < least || column >= right || row >= bottom) continue;
        let tool = tools.get(classes[i]);
        if (tool === undefined) {
          const { path, colour, hollow, strength: own } = look(classes[i]);
          tool = { stamp: this.#stamp(path, hollow, radius, rim, stride), colour, strength: (strength * own) >> 8 };
          tools.set(classes[i], tool);
        }
        stampOn(pixels, row * stride + column, tool, paper);
      }
    }
    canvas.getContext("2d").putImageData(this.#image, -MAP_EDGE_PX, -MAP_EDGE_PX);
  }

  // Which pixels a mark covers, as distances in the image, and how strongly: with ink, and with paper around it.
  #stamp(path, hollow, radius, rim, stride) {
    const name = `${path} ${hollow} ${radius} ${rim}`;
    const known = this.#stamps.get(name);
    if (known) return known;
    if (this.#stamps.size > 400) this.#stamps.clear();
    const half = Math.min(MAP_EDGE_PX / 2 - 1, Math.ceil(radius * 1.3 + rim + 1));
    const ink = coverage(half, (pen) => {
      if (hollow) inked(pen, path, radius - Math.max(0.5, radius * 0.16), Math.max(1, radius * 0.32));
      else inked(pen, path, radius);
    });
    const paper = coverage(half, (pen) => {
      if (rim > 0) inked(pen, path, radius, 2 * rim);
      if (rim > 0 || hollow) inked(pen, path, radius);
    });
    const solid = [], edge = [], inks = [], provenance = [];
    ink.forEach((strength, at) => {
      const offset = (Math.floor(at / (2 * half + 1)) - half) * stride + (at % (2 * half + 1)) - half;
      // Among very many points nobody sees smooth edges, and they take most of the time.
      if (strength >= (rim > 0 ? 250 : 110)) solid.push(offset);
      else if (rim > 0 && (strength > 5 || paper[at] > 5)) {
        edge.push(offset);
        inks.push(strength);
        provenance.push(paper[at]);
      }
    });
    const stamp = {
      solid: Int32Array.from(solid), edge: Int32Array.from(edge), ink: Uint8Array.from(inks), paper: Uint8Array.from(provenance),
    };
    this.#stamps.set(name, stamp);
    return stamp;
  }
}

function stampOn(pixels, centre, { stamp, colour, strength }, paper) {
  const { solid, edge, ink, paper: around } = stamp;
  if (strength >= OPAQUE) {
    const opaque = 0xff000000 | colour;
    for (let at = 0; at < solid.length; at++) pixels[centre + solid[at]] = opaque;
    for (let at = 0; at < edge.length; at++) {
      const place = centre + edge[at];
      const below = around[at] > 0 ? blended(pixels[place], paper, around[at]) : pixels[place];
      pixels[place] = ink[at] > 0 ? blended(below, colour, ink[at]) : below;
    }
    return;
  }
  for (let at = 0; at < solid.length; at++) {
    const place = centre + solid[at];
    pixels[place] = blended(pixels[place], colour, strength);
  }
  for (let at = 0; at < edge.length; at++) {
    const place = centre + edge[at];
    pixels[place] = blended(pixels[place], colour, (ink[at] * strength) >> 8);
  }
}

// So much (0 to 256) of one colour over another, two of its bytes at a time.
function blended(below, above, much) {
  const red_blue = ((below & 0xff00ff) * (256 - much) + (above & 0xff00ff) * much) >>> 8;
  const green = ((below & 0x00ff00) * (256 - much) + (above & 0x00ff00) * much) >>> 8;
  return 0xff000000 | (red_blue & 0xff00ff) | (green & 0x00ff00);
}

// How strongly (0 to 255) each pixel of a square of 2 * half + 1 is covered by what is drawn around its centre.
function coverage(half, draw) {
  const canvas = element("canvas", { width: 2 * half + 1, height: 2 * half + 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.translate(half + 0.5, half + 0.5);
  draw(pen);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((_value, at) => at % 4 === 3);
}

// Draws a mark of colours.js around the origin: filled, or its outline where a line's width is given.
function inked(pen, path, radius, line = 0) {
  pen.save();
  pen.scale(radius, radius);
  pen.lineWidth = line / radius;
  pen.lineJoin = "round";
  if (line > 0) pen.stroke(new Path2D(path));
  else pen.fill(new Path2D(path));
  pen.restore();
}

// #rrggbb as it lies in a canvas's pixels on all machines there are: 0xBBGGRR.
function pixelColour(colour) {
  const value = parseInt(colour.slice(1), 16);
  return ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
}
