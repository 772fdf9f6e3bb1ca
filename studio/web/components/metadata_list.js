// An image's metadata and provenance as a description list. All of it comes from strangers.
import { element } from "../../share/web_demo/page/dom.js";

/** @import { MetadataRow } from "./types.js" */

/** @param {MetadataRow[]} rows */
export function metadataList(rows) {
  return element("dl", {}, ...rows.flatMap(({ label, text, address }) => [
    element("dt", {}, label),
    element("dd", {}, address && isWebAddress(address)
      ? element("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, text) : text),
  ]));
}

/**
 * Fetch an image's metadata and return the elements that show it: facts first, then each place where the image was found.
 * @param {string} address  of a detail route
 * @param {string} heading  over the places
 * @returns {Promise<Node[]>}
 */
export async function fetchMetadata(address, heading) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${response.status}`);
  /** @type {{ facts: MetadataRow[], places: MetadataRow[][] }} */
  const { facts, places } = await response.json();
  return [metadataList(facts), element("h2", {}, heading), ...places.map(metadataList)];
}

/** @param {string} address */
function isWebAddress(address) {
  return /^https?:\/\//i.test(address);
}
