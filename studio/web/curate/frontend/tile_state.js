// What is shown of one image, in a tile and in the image viewer, as plain values.
import { classAppearance } from "../../components/class_appearance.js";
import { formatNumber } from "../../../share/web_demo/page/dom.js";

/** @import { Appearance } from "../../components/class_appearance.js" */
/** @import { CurateView } from "./curate_view.js" */
/** @import { ClassInfo, Item, ItemResponse, LabelState, Target } from "./types.js" */

/**
 * label: the class that it has; issue: the name of the class that its label might be instead; conflict: what another
 * person decided at the same time; duplicate: among its near-duplicates; issues: names of image issues; hasMoved: it
 * does not match the filter any more.
 * @typedef {{
 *   id: number, name?: string, sha?: string, isGone?: boolean, state?: LabelState, hasMoved: boolean,
 *   label?: Appearance | null, suggestion?: { name: string, share: string }, issue?: string, conflict?: string,
 *   duplicate?: "keeper" | "copy", issues?: string[],
 * }} TileState
 */

// The studio scales the scores of label issues so that as many reach this as labels are likely wrong.
const MIN_ISSUE_SCORE = 0.5;

/**
 * @param {CurateView} view
 * @param {number} id
 * @returns {TileState}
 */
export function tileState(view, id) {
  const { items, texts } = view;
  const item = items.get(id);
  const target = items.targetOf(id);
  const isPending = view.queue.targetOf(id) !== undefined;
  /** @type {TileState} */
  const state = {
    id, name: item?.name, sha: item?.sha, isGone: item?.gone, state: target?.state, hasMoved: view.list.moved.has(id),
  };
  if (target?.state === "labelled") state.label = labelAppearance(view, target);
  if (!item || !target) return state;
  if (target.state === "unlabelled" && item.suggestion) {
    const suggested = view.classOf(item.suggestion[0]);
    if (suggested) state.suggestion = { name: suggested.name, share: floorPercent(item.suggestion[1]) };
  }
  const alternative = labelIssueOf(view, item);
  if (alternative) state.issue = alternative.name;
  if (!isPending && item.clash) {
    const [clashState, classId] = item.clash;
    state.conflict = clashState === "labelled" ? view.classOf(classId)?.name ?? "?" : texts.tile[clashState];
  }
  if (item.group !== null && item.group !== undefined) state.duplicate = item.keeper ? "keeper" : "copy";
  if (item.odd?.length) {
    /** @type {Record<string, string>} */
    const names = texts.found;
    state.issues = item.odd.map((kind) => names[kind] ?? kind);
  }
  return state;
}

/**
 * Return the class that an image's label might be instead, where nobody has decided since.
 * @param {CurateView} view
 * @param {Item | ItemResponse} item
 * @returns {ClassInfo | undefined}
 */
export function labelIssueOf(view, item) {
  const { doubt } = item;
  if (!doubt || doubt[1] < MIN_ISSUE_SCORE || view.queue.targetOf(item.id) !== undefined) return undefined;
  return item.state === "labelled" ? view.classOf(doubt[0]) : undefined;
}

/**
 * @param {CurateView} view
 * @param {Target} target
 */
function labelAppearance(view, target) {
  const known = target.name ? view.classNamed(target.name) : view.classOf(target.class);
  if (known) return classAppearance(known);
  return target.name ? classAppearance({ name: target.name, position: view.classes.length }) : null;
}

/**
 * Format a share, rounded down, so that only what is certain is said to be.
 * @param {number} share
 */
function floorPercent(share) {
  return formatNumber(Math.floor(share * 100) / 100, { style: "percent", maximumFractionDigits: 0 });
}
