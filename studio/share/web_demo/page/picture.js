// An image, upright and on white, and the pixels of it that the network takes.
import { Resize } from "demo/resize.js";

const STRIP_PX = 256; // phones allow a canvas less than their cameras' images hold
const canvas = document.createElement("canvas");

// Returns {image, width, height, file}. Throws where the browser cannot read the file.
export async function imageOf(file) {
  try {
    // Training takes the numbers in the file as they are, whatever colours a profile says they mean.
    const asTheyAre = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const image = await createImageBitmap(file, asTheyAre);
    return { image, width: image.width, height: image.height, file };
  } catch {
    // Some browsers know the options but not for every kind of file (SVG), some do not know them.
    const image = new Image();
    image.src = URL.createObjectURL(file);
    try {
      await image.decode();
    } finally {
      URL.revokeObjectURL(image.src);
    }
    return { image, width: image.naturalWidth, height: image.naturalHeight, file };
  }
}

// One image out of what a camera shows.
export async function frameOf(video) {
  const image = await createImageBitmap(video);
  return { image, width: image.width, height: image.height, file: null };
}

// The image as a file: its own, or a JPEG of what the camera saw.
export async function fileOf({ image, width, height, file }) {
  if (file) return file;
  const drawn = Object.assign(document.createElement("canvas"), { width, height });
  drawn.getContext("2d").drawImage(image, 0, 0);
  return new Promise((done) => drawn.toBlob(done, "image/jpeg", 0.92));
}

// Gives the memory of an image back before the browser would.
export const close = ({ image }) => image.close?.();

// Red, green, blue of each pixel: Uint8Array, height_px × width_px × 3.
export function pixelsOf({ image, width, height }, { width_px: toWidth, height_px: toHeight, pillow }) {
  const resize = new Resize(width, height, toWidth, toHeight, pillow);
  canvas.width = width;
  canvas.height = Math.min(height, STRIP_PX);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.fillStyle = "white";
  for (let top = 0; top < height; top += STRIP_PX) {
    const rows = Math.min(STRIP_PX, height - top);
    context.fillRect(0, 0, width, rows);
    context.drawImage(image, 0, top, width, rows, 0, 0, width, rows);
    resize.take(context.getImageData(0, 0, width, rows).data);
  }
  return resize.pixels();
}
