// Ids of images: as the studio's routes write them, "1-5,9", and as they are searched: ascending, 4 bytes each.

/** @import { Target, TargetSet } from "./types.js" */

/** @param {Iterable<number>} ids */
export function formatIdRanges(ids) {
  const sorted = Int32Array.from(ids).sort();
  const parts = [];
  for (let at = 0; at < sorted.length;) {
    let to = at;
    while (to + 1 < sorted.length && sorted[to + 1] <= sorted[to] + 1) to++;
    parts.push(sorted[at] === sorted[to] ? `${sorted[at]}` : `${sorted[at]}-${sorted[to]}`);
    at = to + 1;
  }
  return parts.join(",");
}

/** @param {string} text */
export function parseIdRanges(text) {
  const ranges = text.split(",").filter(Boolean).map((part) => {
    const [from, to = from] = part.split("-").map(Number);
    return [from, to];
  });
  const ids = new Int32Array(ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0));
  let at = 0;
  for (const [from, to] of ranges) for (let id = from; id <= to; id++) ids[at++] = id;
  return ids;
}

/**
 * Return whether ascending ids include one.
 * @param {Int32Array} sorted
 * @param {number} id
 */
export function includesId(sorted, id) {
  let [low, high] = [0, sorted.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] === id) return true;
    if (sorted[middle] < id) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

/** Create an id for an operation. Pages that a network serves over plain http have no crypto.randomUUID. */
export function newOperationId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Group pairs of an id and a target, one set for each target.
 * @param {Iterable<[number, Target]>} pairs
 * @returns {TargetSet[]}
 */
export function groupByTarget(pairs) {
  /** @type {Map<string, { target: Target, ids: number[] }>} */
  const groups = new Map();
  for (const [id, target] of pairs) {
    const key = `${target.state} ${target.class ?? ""} ${target.name ?? ""}`;
    const group = groups.get(key) ?? { target, ids: [] };
    group.ids.push(id);
    groups.set(key, group);
  }
  return Array.from(groups.values(), ({ target, ids }) => ({ target, ids: Int32Array.from(ids).sort() }));
}
