// What fingers, mouse, wheel and keys do on the embedding map.

/** @typedef {{ x: number, y: number }} Point */
/** @typedef {"mouse" | "pen" | "touch"} PointerKind */
/**
 * All measures are CSS pixels of the surface. onLine: the lasso while it is drawn, null when it ends; onPoint: the
 * pointer, with the kind null when it has left; aim: what the keyboard points at has changed.
 * @typedef {{
 *   pan: (x: number, y: number) => void, zoom: (factor: number, x: number, y: number) => void,
 *   zoomStep: (factor: number) => void, reset: () => void, isLassoOn: () => boolean,
 *   onLine: (line: number[][] | null) => void, onLasso: (line: number[][]) => void,
 *   onPoint: (x: number, y: number, kind: PointerKind | null) => void,
 *   onClick: (x: number, y: number, kind: PointerKind) => void,
 *   aim: () => void, open: () => void, toggleLasso: () => void, clear: () => void,
 * }} GestureActions
 */

const PAN_PX = 60;
const CLICK_PX = { mouse: 4, pen: 8, touch: 10 }; // a press that moves less is a click
const MIN_CORNER_PX = 2; // a hand draws more corners than anybody can mean

/**
 * @param {HTMLElement} surface
 * @param {GestureActions} actions
 */
export function listenToGestures(surface, actions) {
  /** @type {Map<number, Point>} */
  const pressed = new Map();
  /** @type {number[][] | null} */
  let line = null;
  let hasMoved = false;
  let pinch = { x: 0, y: 0, distance: 1 };

  /**
   * @param {PointerEvent | WheelEvent} event
   * @returns {Point}
   */
  const pointOf = (event) => {
    const box = surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const currentPinch = () => {
    const [one, other] = [...pressed.values()];
    return {
      x: (one.x + other.x) / 2, y: (one.y + other.y) / 2,
      distance: Math.max(10, Math.hypot(one.x - other.x, one.y - other.y)),
    };
  };
  function dropLine() {
    line = null;
    actions.onLine(null);
  }

  surface.onpointerdown = (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    const start = pointOf(event);
    pressed.set(event.pointerId, start);
    actions.onPoint(0, 0, null);
    if (pressed.size === 1) {
      hasMoved = false;
      line = event.shiftKey || actions.isLassoOn() ? [[start.x, start.y]] : null;
    } else { // a second finger: what the first began to draw was meant as a pinch
      hasMoved = true;
      dropLine();
      pinch = currentPinch();
    }
  };
  surface.onpointermove = (event) => {
    const now = pointOf(event);
    const before = pressed.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType !== "touch") actions.onPoint(now.x, now.y, kindOf(event));
      return;
    }
    if (!hasMoved && Math.hypot(now.x - before.x, now.y - before.y) < CLICK_PX[kindOf(event)]) return;
    hasMoved = true;
    pressed.set(event.pointerId, now);
    if (pressed.size >= 2) {
      const next = currentPinch();
      actions.pan(next.x - pinch.x, next.y - pinch.y);
      actions.zoom(next.distance / pinch.distance, next.x, next.y);
      pinch = next;
    } else if (line) {
      // All that the pen went through, not only where it was when the browser had time.
      for (const each of event.getCoalescedEvents?.() ?? [event]) addCorner(line, pointOf(each));
      actions.onLine(line);
    } else actions.pan(now.x - before.x, now.y - before.y);
  };
  surface.onpointerup = (event) => {
    if (!pressed.delete(event.pointerId)) return;
    if (pressed.size > 0) return;
    const drawn = line;
    const end = pointOf(event);
    dropLine();
    if (!hasMoved) actions.onClick(end.x, end.y, kindOf(event));
    else if (drawn) actions.onLasso(drawn);
  };
  surface.onpointercancel = (event) => {
    pressed.delete(event.pointerId);
    dropLine();
  };
  surface.onpointerleave = () => actions.onPoint(0, 0, null);

  surface.addEventListener("wheel", (event) => {
    event.preventDefault();
    const line_px = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const by = Math.max(-240, Math.min(240, event.deltaY * line_px));
    const { x, y } = pointOf(event);
    actions.zoom(Math.exp(-by * (event.ctrlKey ? 0.01 : 0.0022)), x, y); // with ctrlKey: a pinch on a trackpad
  }, { passive: false });

  surface.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan_px = PAN_PX * (event.shiftKey ? 4 : 1);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => actions.pan(pan_px, 0), ArrowRight: () => actions.pan(-pan_px, 0),
      ArrowUp: () => actions.pan(0, pan_px), ArrowDown: () => actions.pan(0, -pan_px),
      "+": () => actions.zoomStep(2), "=": () => actions.zoomStep(2),
      "-": () => actions.zoomStep(0.5), _: () => actions.zoomStep(0.5),
      0: actions.reset, Enter: actions.open, " ": actions.open, l: actions.toggleLasso, L: actions.toggleLasso,
      Escape: () => (line ? dropLine() : actions.clear()),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    event.stopPropagation(); // the grid has keys of its own
    keys[event.key]();
    actions.aim();
  };
}

/**
 * @param {PointerEvent} event
 * @returns {PointerKind}
 */
function kindOf({ pointerType }) {
  return pointerType === "touch" || pointerType === "pen" ? pointerType : "mouse";
}

/**
 * @param {number[][]} line
 * @param {Point} point
 */
function addCorner(line, { x, y }) {
  const [lastX, lastY] = line[line.length - 1];
  if (Math.hypot(x - lastX, y - lastY) >= MIN_CORNER_PX) line.push([x, y]);
}
