// What lies over the map's points: thumbnails where there is room, the ring around the point under the pointer, the
// lasso, and the tooltip about an image.
import { classMark } from "../../components/class_appearance.js";
import { element } from "../../../share/web_demo/page/dom.js";
import { drawMark } from "./map_point_painter.js";
import { thumbnailAddress } from "./tile.js";

/** @import { Appearance } from "../../components/class_appearance.js" */
/** @import { CurateTexts } from "./texts.js" */
/** @import { ItemResponse } from "./types.js" */

/**
 * The page's colours, as #rrggbb.
 * @typedef {{ paper: string, field: string, text: string, primary: string }} Theme
 */
/**
 * A thumbnail at its centre. isDim: not among what is selected or pointed at in the legend.
 * @typedef {{ x: number, y: number, bitmap: ImageBitmap | undefined, appearance: Appearance, isDim: boolean }} Thumbnail
 */
/**
 * lines: polygons; hasCrosshair: mark the middle, for the keyboard. Measures are CSS pixels.
 * @typedef {{
 *   thumbnails: Thumbnail[], side: number, lines: number[][][], hasCrosshair: boolean,
 *   ring: { x: number, y: number, radius: number, isSquare: boolean } | null,
 * }} Overlay
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} ratio  of the canvas's pixels to CSS pixels
 * @param {Theme} theme
 * @param {Overlay} overlay
 */
export function drawOverlay(canvas, ratio, theme, { thumbnails, side, ring, lines, hasCrosshair }) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const [width, height] = [canvas.width / ratio, canvas.height / ratio];
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  for (const thumbnail of thumbnails) drawThumbnail(context, theme, side, thumbnail);
  if (ring) {
    const { x, y, radius } = ring;
    context.beginPath();
    if (ring.isSquare) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    else context.arc(x, y, radius, 0, 7);
    strokeOutlined(context, theme.paper, theme.text);
  }
  for (const line of lines) {
    context.beginPath();
    for (const [x, y] of line) context.lineTo(x, y);
    context.closePath();
    context.globalAlpha = 0.1;
    context.fillStyle = theme.primary;
    context.fill("evenodd"); // as what is inside is decided
    context.globalAlpha = 1;
    strokeOutlined(context, theme.paper, theme.primary);
  }
  if (hasCrosshair) {
    context.beginPath();
    for (const [across, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(width / 2 + across * 6, height / 2 + down * 6);
      context.lineTo(width / 2 + across * 14, height / 2 + down * 14);
    }
    strokeOutlined(context, theme.paper, theme.text);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Theme} theme
 * @param {number} side
 * @param {Thumbnail} thumbnail
 */
function drawThumbnail(context, theme, side, { x, y, bitmap, appearance, isDim }) {
  const [left, top] = [x - side / 2, y - side / 2];
  const { colour, path, isHollow, isFaint } = appearance;
  context.save();
  context.globalAlpha = isDim ? 0.2 : 1;
  context.fillStyle = theme.field;
  context.fillRect(left, top, side, side);
  if (bitmap) context.drawImage(bitmap, left, top, side, side);
  context.lineWidth = 3;
  context.strokeStyle = colour;
  if (isHollow || isFaint) context.setLineDash([4, 3]);
  context.strokeRect(left, top, side, side);
  context.setLineDash([]);
  context.translate(left + 7, top + 7);
  context.fillStyle = theme.paper;
  context.fillRect(-8.5, -8.5, 17, 17);
  context.fillStyle = colour;
  drawMark(context, path, isHollow ? 4 : 5.5, isHollow ? 1.6 : 0);
  context.restore();
}

/**
 * Stroke the path so that it can be seen on anything.
 * @param {CanvasRenderingContext2D} context
 * @param {string} around
 * @param {string} colour
 */
function strokeOutlined(context, around, colour) {
  for (const [style, width] of /** @type {const} */ ([[around, 5], [colour, 2]])) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
}

/**
 * The tooltip beside the image under the pointer.
 * @param {CurateTexts["map"]} texts
 */
export function makeMapTooltip(texts) {
  const image = element("img", { alt: "" });
  const mark = element("span", { className: "map-tip-mark" });
  const className = element("strong"), fileName = element("span", { className: "map-tip-file" });
  const card = element("div", { className: "map-tip", hidden: true, role: "status" },
    image, element("span", { className: "map-tip-class" }, mark, className), fileName);

  /**
   * Show it at a point of the map, width × height CSS pixels large, or hide it.
   * @param {{
   *   x: number, y: number, width: number, height: number, appearance: Appearance,
   *   item: ItemResponse | null | undefined,
   * } | null} shown  item: undefined while it is not known, null where the image is not in the project any more
   */
  function show(shown) {
    card.hidden = !shown;
    if (!shown) return;
    const { x, y, appearance, item, width, height } = shown;
    if (className.textContent !== appearance.name) {
      className.textContent = appearance.name;
      mark.replaceChildren(classMark(appearance));
    }
    const name = item?.name ?? (item === null ? texts.gone : "…");
    if (fileName.textContent !== name) fileName.textContent = name;
    const address = item?.sha ? thumbnailAddress(item.sha) : "";
    image.hidden = !address;
    if (address && image.getAttribute("src") !== address) image.src = address;
    const isRight = x < width / 2, isBelow = y < height / 2;
    Object.assign(card.style, {
      left: isRight ? `${x + 16}px` : "", right: isRight ? "" : `${width - x + 16}px`,
      top: isBelow ? `${y + 12}px` : "", bottom: isBelow ? "" : `${height - y + 12}px`,
    });
  }

  return { element: card, show };
}
