// How a class is shown: a colour, and a mark that says the same without colour.
import { svgElement } from "../../share/web_demo/page/dom.js";

/**
 * What of a class decides how it is shown. colour: "" for that of its position.
 * @typedef {{ name: string, colour?: string, position?: number }} ShownClass
 */
/**
 * How a class is drawn. path: in a square from -1 to 1; isHollow: its outline only; isFaint: at half strength.
 * @typedef {{ name: string, colour: string, path: string, isHollow?: boolean, isFaint?: boolean }} Appearance
 */

/**
 * Chosen by search: each has a contrast of 3 or more on the light page and on the dark one, and they lie as far apart
 * as twelve can for people with any kind of colour blindness (Machado 2009, distances in Oklab; the first four the
 * farthest, then the first eight). No grey is among them: grey is what has no class.
 */
export const PALETTE = [
  "#ad403a", "#1ba80d", "#6555be", "#ce60f0", "#4d80c0", "#fc4190",
  "#0a7661", "#9c3e92", "#a06a03", "#0a94ff", "#9c4be7", "#c64fad",
];

export const DISC = "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z";
export const CROSS =
  "M-.55-1.05L0-.5.55-1.05 1.05-.55.5 0 1.05.55.55 1.05 0 .5-.55 1.05-1.05.55-.5 0-1.05-.55Z";
/** Paths in a square from -1 to 1. Eleven, so that classes which share a colour differ in their marks. */
export const MARKS = [
  DISC,
  "M0-1.1L1.05.75H-1.05Z", // triangle
  "M-.88-.88H.88V.88H-.88Z", // square
  "M0-1.2L1.2 0L0 1.2L-1.2 0Z", // diamond
  "M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z", // plus
  "M0 1.1L1.05-.75H-1.05Z", // triangle on its tip
  "M0-1.25L.36-.42 1.2-.38.55.18.76 1 0 .52-.76 1-.55.18-1.2-.38-.36-.42Z", // star
  "M-1.15-.55H1.15V.55H-1.15Z", // bar
  "M-.9-1.1H.9L0 0ZM-.9 1.1H.9L0 0Z", // hourglass
  "M-.55-1.15H.55V1.15H-.55Z", // pillar
  "M0-1.1L1.05-.3.65.95H-.65L-1.05-.3Z", // pentagon
];

/** @param {Omit<ShownClass, "name">} shown */
export function classColour({ colour, position = 0 }) {
  return colour || PALETTE[position % PALETTE.length];
}

/**
 * @param {ShownClass} shown
 * @returns {Appearance}
 */
export function classAppearance(shown) {
  return { name: shown.name, colour: classColour(shown), path: MARKS[(shown.position ?? 0) % MARKS.length] };
}

/**
 * Create a class's mark as a small image, for legends and labels.
 * @param {Omit<Appearance, "name">} appearance
 */
export function classMark({ path, colour, isHollow = false, isFaint = false }) {
  /** @type {Record<string, string | number>} */
  const ink = isHollow ? { fill: "none", stroke: colour, "stroke-width": 0.4 } : { fill: colour };
  return svgElement("svg", { viewBox: "-1.5 -1.5 3 3", class: "map-mark", "aria-hidden": "true" },
    svgElement("path", { d: path, opacity: isFaint ? 0.5 : 1, ...ink }));
}

/**
 * Compute WCAG's relative luminance of #rrggbb, 0 to 1.
 * @param {string} colour
 */
export function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
