// Filters and sort orders. They stand in the page's address, so that a link or a reload comes back.

/** @import { Filter, Query, Target } from "./types.js" */

const FILTER_NAMES = [
  "state", "class", "suggested", "source", "licence", "split", "found", "copies", "from", "to", "text", "clash",
  // A run's test images: of a true class, predicted as another, or wrong; or what changed since another run.
  "run", "true", "predicted", "wrong", "since", "changed",
];
const RUN_FILTERS = ["run", "true", "predicted", "wrong", "since", "changed"];
/** Filters of the toolbar: they stay when another entry of the sidebar is chosen. */
export const TOOLBAR_FILTERS = ["text", "source", "licence", "split", "from", "to", "suggested"];
export const SORT_ORDERS = [
  "newest", "oldest", "next", "uncertain", "doubtful", "suggestion", "spread", "strongest", "group",
];
const IMAGE_ISSUES = ["blurred", "dark", "blank", "small", "shape", "far"];

/**
 * What the studio finds: each is a filter and a sort order at once. The sign stands for the name, in one letter.
 * @type {{ name: string, sign: string, filter: Filter, order: string }[]}
 */
export const FINDINGS = [
  { name: "suggestion", sign: "?", filter: { found: "suggestion" }, order: "suggestion" },
  { name: "next", sign: "→", filter: { found: "next" }, order: "next" },
  { name: "doubtful", sign: "!", filter: { found: "doubtful" }, order: "doubtful" },
  { name: "clash", sign: "⚠", filter: { clash: "1" }, order: "newest" },
  { name: "copies", sign: "≈", filter: { copies: "1" }, order: "group" },
  ...IMAGE_ISSUES.map((name) => ({ name, sign: "·", filter: { found: name }, order: "strongest" })),
];

/**
 * Read a query from a page's address; what it does not have is the default.
 * @param {string} [search]  from "?" on
 * @returns {Query}
 */
export function readQuery(search = location.search) {
  const params = new URLSearchParams(search);
  const filter = Object.fromEntries(FILTER_NAMES.map((name) => [name, params.get(name) ?? ""])
    .filter(([, value]) => value));
  const like = Number(params.get("like")) || 0;
  const order = params.get("order") ?? "";
  return {
    filter,
    like: order === "alike" ? like : 0,
    order: order === "alike" && like ? order : SORT_ORDERS.includes(order) ? order : "newest",
    at: Number(params.get("at")) || 0,
  };
}

/**
 * Return an address with a query in it, beside what else stands there.
 * @param {Query} query
 * @param {string} href
 */
export function addressWithQuery({ filter, order, like, at }, href) {
  const address = new URL(href);
  /** @type {Record<string, string>} */
  const params = { ...filter, order: order === "newest" ? "" : order, like: like ? `${like}` : "", at: at ? `${at}` : "" };
  for (const name of [...FILTER_NAMES, "order", "like", "at"]) {
    if (params[name]) address.searchParams.set(name, params[name]);
    else address.searchParams.delete(name);
  }
  return address;
}

/**
 * Write a query into the page's address. push: as a step that the back button undoes.
 * @param {Query} query
 * @param {boolean} [push]
 */
export function writeQuery(query, push = false) {
  const address = addressWithQuery(query, location.href);
  if (address.href === location.href) return;
  if (push) history.pushState(history.state, "", address);
  else history.replaceState(history.state, "", address);
}

/**
 * Return the address of one page of a query's index.
 * @param {string} base
 * @param {Query} query
 * @param {string} cursor  "" for the first page
 * @param {number} limit
 */
export function pageAddress(base, { filter, order, like }, cursor, limit) {
  const params = new URLSearchParams({ ...filter, order, limit: `${limit}` });
  if (order === "alike") params.set("like", `${like}`);
  if (cursor) params.set("after", cursor);
  return `${base}/walk?${params}`;
}

/**
 * @param {Filter} one
 * @param {Filter} other
 */
export function isSameFilter(one, other) {
  return FILTER_NAMES.every((name) => (one[name] ?? "") === (other[name] ?? ""));
}

/**
 * Return a filter without what belongs to a run.
 * @param {Filter} filter
 */
export function withoutRun(filter) {
  return Object.fromEntries(Object.entries(filter).filter(([name]) => !RUN_FILTERS.includes(name)));
}

/**
 * Return whether an image with this target matches a query.
 * @param {Pick<Query, "filter" | "order">} query
 * @param {Target} target
 * @param {boolean} isDecided  whether a person has labelled it since
 */
export function isMatch({ filter, order }, target, isDecided) {
  if (filter.state && target.state !== filter.state) return false;
  if (filter.class && !(target.state === "labelled" && `${target.class}` === filter.class)) return false;
  const isOfQuality = filter.copies || IMAGE_ISSUES.includes(filter.found);
  if (isOfQuality && !filter.state && target.state === "rejected") return false;
  if ((filter.found === "doubtful" || filter.clash || order === "doubtful") && isDecided) return false;
  const unlabelledNames = ["suggestion", "next", "uncertain"];
  const isUnlabelledOnly = filter.suggested || unlabelledNames.includes(filter.found) || unlabelledNames.includes(order);
  return !(isUnlabelledOnly && isDecided && target.state !== "unlabelled");
}
