// Mouse and touch on the grid: a click selects, a rectangle dragged over images selects them, selected images are dragged
// onto an entry of the sidebar, a long touch begins selecting, a double click opens the image viewer.
import { element, rootOf } from "../../../share/web_demo/page/dom.js";

/** @import { CurateView } from "./curate_view.js" */
/** @import { VirtualGrid } from "./virtual_grid.js" */

/**
 * A press: where, on which position (-1 for none), and the point of the grid's whole height. kind: "" until it moves;
 * before: the selection as it was; base: what the rectangle adds to; last: the newest event of the drag.
 * @typedef {{
 *   x: number, y: number, at: number, origin: number[], kind: "" | "rectangle" | "drag",
 *   timer?: ReturnType<typeof setTimeout>, frame?: number, before?: Uint8Array, base?: Uint8Array, last?: PointerEvent,
 * }} Press
 */

const DRAG_PX = 6, LONG_TOUCH_MS = 450, SCROLL_EDGE_PX = 28;

/**
 * @param {VirtualGrid} grid
 * @param {CurateView} view
 */
export function listenToPointer(grid, view) {
  const { element: area, content } = grid;
  const rectangle = element("div", { className: "band", hidden: true });
  const dragged = element("div", { className: "ghost", hidden: true });
  area.after(dragged);
  content.append(rectangle);
  /** @type {Press | null} */
  let press = null;
  let pointerType = "mouse";
  let ignoresClick = false; // the click that ends a drag or a long touch means nothing

  area.onpointerdown = (event) => {
    pointerType = event.pointerType;
    ignoresClick = false;
    if (event.button !== 0 || event.offsetX > area.clientWidth) return;
    const { clientX: x, clientY: y } = event;
    const at = grid.positionAt(x, y);
    press = { x, y, at, origin: grid.pointAt(x, y), kind: "" };
    if (pointerType === "touch") {
      press.timer = setTimeout(() => {
        ignoresClick = true;
        if (at >= 0) {
          navigator.vibrate?.(12);
          view.pick(at);
        }
      }, LONG_TOUCH_MS);
    }
  };
  area.onpointermove = (event) => {
    if (!press) return;
    const isFar = Math.hypot(event.clientX - press.x, event.clientY - press.y) > DRAG_PX;
    if (pointerType === "touch") {
      if (isFar) clearTimeout(press.timer);
      return;
    }
    if (!press.kind && isFar) begin(press, event);
    if (press.kind) {
      press.last = event;
      if (press.kind === "rectangle") stretch();
      else drag(event);
    }
  };
  area.onpointerup = (event) => end(event, true);
  area.onpointercancel = (event) => end(event, false);
  area.oncontextmenu = (event) => { if (pointerType === "touch") event.preventDefault(); };
  area.ondragstart = (event) => event.preventDefault();
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !press?.kind) return;
    event.preventDefault();
    if (press.before) view.list.selection.restore(press.before);
    end(null, false);
    view.draw();
  }, true);

  area.onclick = (event) => {
    if (ignoresClick) {
      ignoresClick = false;
      return;
    }
    const at = grid.positionAt(event.clientX, event.clientY);
    if (at < 0) return;
    if (pointerType === "touch" && !view.list.selection.count) {
      grid.focusOn(at);
      view.openViewer(false);
    } else view.pick(at, event);
  };
  area.ondblclick = (event) => {
    if (grid.positionAt(event.clientX, event.clientY) >= 0 && pointerType !== "touch") view.openViewer(false);
  };

  /**
   * @param {Press} begun
   * @param {PointerEvent} event
   */
  function begin(begun, event) {
    const { selection } = view.list;
    const isDrag = begun.at >= 0 && selection.has(begun.at);
    begun.kind = isDrag ? "drag" : "rectangle";
    area.setPointerCapture(event.pointerId);
    if (isDrag) {
      dragged.textContent = view.imageCount(selection.count);
      dragged.hidden = false;
      return;
    }
    begun.before = selection.copy();
    begun.base = event.shiftKey || event.ctrlKey || event.metaKey ? begun.before : new Uint8Array(0);
    rectangle.hidden = false;
  }

  function stretch() {
    if (!press?.last || !press.base) return;
    const { clientX, clientY } = press.last;
    const box = area.getBoundingClientRect();
    const beyond = clientY < box.top + SCROLL_EDGE_PX ? clientY - box.top - SCROLL_EDGE_PX
      : clientY > box.bottom - SCROLL_EDGE_PX ? clientY - box.bottom + SCROLL_EDGE_PX : 0;
    if (beyond) {
      grid.top += beyond / 2;
      press.frame ??= requestAnimationFrame(() => {
        if (press) press.frame = undefined;
        stretch();
      });
    }
    const { origin } = press;
    const to = grid.pointAt(clientX, clientY);
    const { selection } = view.list;
    selection.restore(press.base);
    for (const [first, last] of grid.rangesBetween(origin, to)) selection.setRange(first, last, true);
    const shift = area.scrollTop - grid.top;
    const [left, top] = [Math.max(0, Math.min(to[0], origin[0])), Math.min(to[1], origin[1]) + shift];
    const width = Math.min(area.clientWidth, Math.max(to[0], origin[0])) - left;
    rectangle.style.cssText = `transform: translate(${left}px, ${top}px); width: ${width}px;`
      + `height: ${Math.abs(to[1] - origin[1])}px`;
    view.draw();
  }

  /** @param {PointerEvent} event */
  function drag(event) {
    dragged.style.transform = `translate(${event.clientX + 14}px, ${event.clientY + 14}px)`;
    view.sidebar.highlight(dropTargetAt(event));
  }

  /**
   * @param {PointerEvent} event
   * @returns {HTMLElement | null}
   */
  function dropTargetAt(event) {
    return rootOf(area).elementFromPoint(event.clientX, event.clientY)?.closest("[data-drop]") ?? null;
  }

  /**
   * @param {PointerEvent | null} event
   * @param {boolean} isDropped
   */
  function end(event, isDropped) {
    if (!press) return;
    const { kind, timer, frame } = press;
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
    const target = kind === "drag" && isDropped && event ? dropTargetAt(event) : null;
    press = null;
    if (!kind) return;
    ignoresClick = pointerType !== "touch"; // no click follows a drag that left the grid: the next press resets this
    rectangle.hidden = dragged.hidden = true;
    view.sidebar.highlight(null);
    if (kind === "rectangle") view.drawSelection();
    if (target?.dataset.drop) view.drop(target.dataset.drop);
  }
}
