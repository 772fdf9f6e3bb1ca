// One image of the grid. Tiles are used again for other images as people scroll; what a tile shows is drawn only
// where it has changed. Nothing is shown by colour alone.
import { classMark } from "../../components/class_appearance.js";
import { element, fillText } from "../../../share/web_demo/page/dom.js";

/** @import { CurateTexts } from "./texts.js" */
/** @import { TileState } from "./tile_state.js" */

/** @typedef {TileState & { isSelected: boolean, isFocused: boolean }} GridTileState */

export class Tile {
  /** @param {CurateTexts["tile"]} texts */
  constructor(texts) {
    this.texts = texts;
    this.chip = element("span", { className: "chip" });
    this.badges = element("span", { className: "badges" });
    this.element = element("div", { className: "tile", role: "option" },
      element("span", { className: "cross" }, "✕"), this.badges, element("span", { className: "tick" }, "✓"), this.chip);
    /** @type {HTMLImageElement | null} */
    this.image = null;
    this.sha = "";
    this.drawn = "";
    this.placed = "";
  }

  /**
   * Place it: its position in the grid, of `count`, and in pixels.
   * @param {number} at
   * @param {number} count
   * @param {number} x
   * @param {number} y
   * @param {number} side
   */
  place(at, count, x, y, side) {
    const placed = `${at} ${count} ${x} ${y} ${side}`;
    if (placed === this.placed) return;
    this.placed = placed;
    this.element.id = tileId(at);
    this.element.style.cssText = `transform: translate(${x}px, ${y}px); width: ${side}px; height: ${side}px`;
    this.element.setAttribute("aria-posinset", `${at + 1}`);
    this.element.setAttribute("aria-setsize", `${count}`);
  }

  /**
   * @param {GridTileState} state
   * @param {boolean} isSeen  not only in the margin around what is
   */
  draw(state, isSeen) {
    const drawn = JSON.stringify(state);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.showImage(state.sha ?? "", isSeen);
    const { classList } = this.element;
    classList.toggle("focus", state.isFocused);
    classList.toggle("selected", state.isSelected);
    classList.toggle("rejected", state.state === "rejected");
    classList.toggle("suggested", Boolean(state.suggestion));
    classList.toggle("moved", state.hasMoved);
    classList.toggle("conflicting", state.conflict !== undefined);
    classList.toggle("gone", Boolean(state.isGone));
    this.element.setAttribute("aria-selected", `${state.isSelected}`);
    this.element.setAttribute("aria-label", this.description(state));
    this.element.title = state.name ?? "";
    this.element.dataset.id = `${state.id}`;
    this.element.dataset.state = state.state ?? "";
    this.drawChip(state);
    this.badges.replaceChildren(...this.badgesOf(state).map(({ sign, kind, title }) => (
      element("span", { className: `badge ${kind}`, title }, sign))));
  }

  /** Show nothing, before it is used again. */
  clear() {
    this.showImage("");
    this.drawn = "";
    this.element.remove();
  }

  /**
   * Show an image in an element of its own: one that is given another address shows the old image meanwhile.
   * @param {string} sha
   * @param {boolean} [isSeen]
   */
  showImage(sha, isSeen = false) {
    if (sha === this.sha) return;
    this.sha = sha;
    this.image?.removeAttribute("src"); // gives up what is still loading
    this.image?.remove();
    this.image = null;
    if (!sha) return;
    this.image = element("img", { decoding: "async", draggable: false, alt: "" });
    this.image.fetchPriority = isSeen ? "high" : "low";
    this.image.src = thumbnailAddress(sha);
    this.image.onerror = () => this.element.classList.add("lost");
    this.element.classList.remove("lost");
    this.element.prepend(this.image);
  }

  /** @param {TileState} state */
  drawChip({ label, state, suggestion, issue }) {
    const parts = [];
    if (state === "labelled" && label) {
      parts.push(classMark(label), element("span", {}, issue ? `${label.name} → ${issue}?` : label.name));
    }
    if (state === "rejected") parts.push(element("span", {}, this.texts.rejected));
    else if (suggestion) {
      parts.push(element("span", {}, `? ${suggestion.name}`));
      parts.push(element("span", { className: "percent" }, suggestion.share));
    }
    this.chip.replaceChildren(...parts);
  }

  /** @param {TileState} state */
  badgesOf({ issue, conflict, duplicate, issues, hasMoved }) {
    const { texts } = this;
    const badges = [];
    if (conflict) badges.push({ sign: "⚠", kind: "conflict", title: fillText(texts.clash, { name: conflict }) });
    if (issue) badges.push({ sign: "!", kind: "label-issue", title: fillText(texts.doubt, { name: issue }) });
    if (duplicate) badges.push({ sign: duplicate === "keeper" ? "★" : "≈", kind: "duplicate", title: texts[duplicate] });
    if (issues?.length) badges.push({ sign: "·", kind: "image-issue", title: issues.join(", ") });
    if (hasMoved) badges.push({ sign: "↷", kind: "moved", title: texts.moved });
    return badges;
  }

  /**
   * Describe the image for screen readers.
   * @param {TileState} state
   */
  description(state) {
    const { texts } = this;
    if (state.isGone) return texts.gone;
    if (state.name === undefined) return texts.loading;
    return [
      state.name,
      state.state === "labelled" ? state.label?.name : state.state && texts[state.state],
      state.suggestion && fillText(texts.suggestion, state.suggestion),
      ...this.badgesOf(state).map(({ title }) => title),
    ].filter(Boolean).join(", ");
  }
}

/** @param {number} at */
export function tileId(at) {
  return `image-${at}`;
}

/** @param {string} sha */
export function thumbnailAddress(sha) {
  return `/studio/thumbnails/${sha}.jpg`;
}
