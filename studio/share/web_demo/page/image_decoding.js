// Decoding images upright and on white, and reading the pixels that the network takes.
import { Resize } from "demo/resize.js";

/** @import { DecodedImage, Preprocessing } from "./types.js" */

const STRIP_PX = 256; // phones allow a canvas less than their cameras' images hold
const canvas = document.createElement("canvas");

/**
 * Decode a file. Throws where the browser cannot.
 * @param {File} file
 * @returns {Promise<DecodedImage>}
 */
export async function decodeFile(file) {
  try {
    // Training takes the numbers in the file as they are, whatever colours a profile says they mean.
    const source = await createImageBitmap(file, {
      imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none",
    });
    return { source, width: source.width, height: source.height, file };
  } catch {
    // Some browsers know the options but not for every kind of file (SVG), some do not know them.
    const source = new Image();
    source.src = URL.createObjectURL(file);
    try {
      await source.decode();
    } finally {
      URL.revokeObjectURL(source.src);
    }
    return { source, width: source.naturalWidth, height: source.naturalHeight, file };
  }
}

/**
 * Return the frame that a camera shows.
 * @param {HTMLVideoElement} video
 * @returns {Promise<DecodedImage>}
 */
export async function captureFrame(video) {
  const source = await createImageBitmap(video);
  return { source, width: source.width, height: source.height, file: null };
}

/**
 * Return the image as a file: its own, or a JPEG of a camera's frame.
 * @param {DecodedImage} image
 * @returns {Promise<Blob>}
 */
export async function fileOf({ source, width, height, file }) {
  if (file) return file;
  const copy = Object.assign(document.createElement("canvas"), { width, height });
  context2d(copy).drawImage(source, 0, 0);
  return new Promise((resolve, reject) => {
    copy.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("JPEG"))), "image/jpeg", 0.92);
  });
}

/**
 * Free the memory of an image before the browser would.
 * @param {DecodedImage} image
 */
export function release({ source }) {
  if (source instanceof ImageBitmap) source.close();
}

/**
 * Read red, green and blue of each pixel: Uint8Array, height_px × width_px × 3.
 * @param {DecodedImage} image
 * @param {Preprocessing} preprocessing
 */
export function pixelsOf({ source, width, height }, { width_px: toWidth, height_px: toHeight, pillow }) {
  const resize = new Resize(width, height, toWidth, toHeight, pillow);
  canvas.width = width;
  canvas.height = Math.min(height, STRIP_PX);
  const context = context2d(canvas, { willReadFrequently: true, colorSpace: "srgb" });
  context.fillStyle = "white";
  for (let top = 0; top < height; top += STRIP_PX) {
    const rows = Math.min(STRIP_PX, height - top);
    context.fillRect(0, 0, width, rows);
    context.drawImage(source, 0, top, width, rows, 0, 0, width, rows);
    resize.addRows(context.getImageData(0, 0, width, rows).data);
  }
  return resize.pixels();
}

/**
 * @param {HTMLCanvasElement} of
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
function context2d(of, settings) {
  const context = of.getContext("2d", settings);
  if (!context) throw new Error("this browser gives no canvas");
  return context;
}
