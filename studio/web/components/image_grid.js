// A grid of images to select from, and a dialog that shows one with its provenance.
import { button, element, fillText } from "../../share/web_demo/page/dom.js";
import { fetchMetadata } from "./metadata_list.js";

/** @import { ComponentArgs, GridImage, ImageGridData } from "./types.js" */

/**
 * What is selected lives here and goes to the page as one list: a later list replaces an earlier one, so that quick
 * clicks cannot be lost on the way.
 * @type {WeakMap<Element, { drawn: string, selected: Set<number>, setStateValue: (name: string, value: unknown) => void }>}
 */
const views = new WeakMap();

/** @param {ComponentArgs<ImageGridData>} args */
export default function ({ data, parentElement, setStateValue }) {
  const { images, texts } = data;
  const grid = /** @type {HTMLElement} */ (parentElement.querySelector(".grid"));
  const bar = /** @type {HTMLElement} */ (parentElement.querySelector(".bar"));
  const dialog = /** @type {HTMLDialogElement} */ (parentElement.querySelector("dialog"));
  const drawn = images.map((image) => image.id).join();
  const before = views.get(grid);
  if (before?.drawn === drawn) {
    // The page ran again with the same images: tiles, and with them the focus, stay.
    before.setStateValue = setStateValue;
    return;
  }
  const shown = new Set(images.map((image) => image.id));
  // Images that were moved away are no longer selected; all others still are.
  const selected = new Set([...(before?.selected ?? [])].filter((id) => shown.has(id)));
  const view = { drawn, selected, setStateValue };
  views.set(grid, view);
  let last = 0;

  const tiles = images.map(({ name, thumbnail }, index) => element("button", {
    type: "button", className: "tile", tabIndex: index === 0 ? 0 : -1, title: name,
  }, element("img", { loading: "lazy", decoding: "async", src: thumbnail, alt: name })));
  grid.setAttribute("aria-label", texts.grid);
  grid.replaceChildren(...tiles);

  const count = element("span", { className: "count", role: "status" });
  bar.replaceChildren(count, button(texts.all, selectAll), button(texts.none, () => {
    selected.clear();
    publish();
  }), element("span", { className: "help" }, texts.help));

  function draw() {
    tiles.forEach((tile, index) => { tile.setAttribute("aria-pressed", `${selected.has(images[index].id)}`); });
    count.textContent = fillText(texts.selected, { count: selected.size });
  }

  function publish() {
    draw();
    view.setStateValue("selected", [...selected]);
  }

  function selectAll() {
    for (const id of shown) selected.add(id);
    publish();
  }

  /**
   * @param {number} index
   * @param {boolean} isRange
   */
  function toggle(index, isRange) {
    const on = !selected.has(images[index].id);
    const [from, to] = isRange ? [Math.min(last, index), Math.max(last, index)] : [index, index];
    for (let at = from; at <= to; at++) {
      if (isRange || on) selected.add(images[at].id);
      else selected.delete(images[at].id);
    }
    last = index;
    publish();
  }

  /** @param {number} index */
  function focus(index) {
    const at = Math.max(0, Math.min(tiles.length - 1, index));
    tiles.forEach((tile, each) => { tile.tabIndex = each === at ? 0 : -1; });
    tiles[at]?.focus();
  }

  /** @param {GridImage} image */
  function enlarge({ address, name, details: detailsAddress }) {
    const details = element("div", { className: "details", "aria-live": "polite" }, texts.loading);
    dialog.setAttribute("aria-label", name);
    dialog.replaceChildren(element("img", { src: address, alt: name }), details,
      element("footer", {}, button(texts.close, () => dialog.close())));
    dialog.showModal();
    fetchMetadata(detailsAddress, texts.places)
      .then((elements) => { details.replaceChildren(...elements); })
      .catch(() => { details.textContent = texts.lost; });
  }

  /** @param {Event} event */
  function indexOf({ target }) {
    const tile = target instanceof Element ? target.closest("button") : null;
    return tile ? tiles.indexOf(tile) : -1;
  }

  grid.onclick = (event) => {
    const index = indexOf(event);
    if (index >= 0) {
      focus(index);
      toggle(index, event.shiftKey);
    }
  };
  grid.ondblclick = (event) => {
    const index = indexOf(event);
    if (index >= 0) enlarge(images[index]);
  };
  grid.onkeydown = (event) => {
    const index = indexOf(event);
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    /** @type {Record<string, number>} */
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const hasCommand = event.ctrlKey || event.metaKey;
    if (event.key in steps) focus(index + steps[event.key]);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(tiles.length - 1);
    else if (["i", "z"].includes(event.key.toLowerCase()) && !hasCommand) enlarge(images[index]);
    else if (hasCommand && event.key.toLowerCase() === "a") selectAll();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  draw();
}
