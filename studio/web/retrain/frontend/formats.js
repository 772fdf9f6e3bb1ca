// Values as the panel of runs shows them.
import { element, fillText, formatNumber } from "../../../share/web_demo/page/dom.js";

export const NO_VALUE = "—";

/**
 * @param {number} value
 * @param {number} digits
 * @param {Intl.NumberFormatOptions} [options]
 */
export function withDecimals(value, digits, options = {}) {
  return formatNumber(value, { minimumFractionDigits: digits, maximumFractionDigits: digits, ...options });
}

/** @param {number} share */
export function percent(share) {
  return withDecimals(share, 1, { style: "percent" });
}

/** @param {number | null | undefined} share */
export function percentOrNone(share) {
  return share === null || share === undefined ? NO_VALUE : percent(share);
}

/**
 * @param {number} seconds
 * @param {{ seconds: string, minutes: string, hours: string }} texts
 */
export function duration(seconds, texts) {
  const [text, unit_s] = seconds < 100 ? [texts.seconds, 1] : seconds < 6_000 ? [texts.minutes, 60] : [texts.hours, 3_600];
  const digits = unit_s > 1 || seconds < 10 ? 1 : 0;
  return fillText(text, { count: formatNumber(seconds / unit_s, { maximumFractionDigits: digits }) });
}

/**
 * A square in a run's or a class's colour.
 * @param {string} colour
 */
export function swatch(colour) {
  const created = element("span", { className: "swatch", "aria-hidden": "true" });
  created.style.background = colour;
  return created;
}
