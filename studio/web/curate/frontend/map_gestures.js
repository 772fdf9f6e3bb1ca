// What fingers, mouse, wheel and keys do on the map.

const MAP_PAN_PX = 60;
const MAP_STILL_PX = { mouse: 4, pen: 8, touch: 10 }; // a press that moves less is a click

// acts: { pan(dx, dy), zoom(factor, x, y), step(factor), reset(), lassoing() → bool, line(corners or null), circled(corners),
// point(x, y, kind or null), click(x, y, kind), aim(), look(), toggleLasso(), clear() }, in CSS pixels of the surface.
function listenToGestures(surface, acts) {
  const pressed = new Map();
  let line = null, moved = false, pinch = null;

  const at = (event) => {
    const box = surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const spread = () => {
    const [one, other] = [...pressed.values()];
    return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, far: Math.max(10, Math.hypot(one.x - other.x, one.y - other.y)) };
  };
  function dropLine() {
    line = null;
    acts.line(null);
  }

  surface.onpointerdown = (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    const start = at(event);
    pressed.set(event.pointerId, start);
    acts.point(0, 0, null);
    if (pressed.size === 1) {
      moved = false;
      line = event.shiftKey || acts.lassoing() ? [[start.x, start.y]] : null;
    } else { // a second finger: what the first began to draw was meant as a pinch
      moved = true;
      dropLine();
      pinch = spread();
    }
  };
  surface.onpointermove = (event) => {
    const now = at(event);
    const before = pressed.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType !== "touch") acts.point(now.x, now.y, event.pointerType);
      return;
    }
    if (!moved && Math.hypot(now.x - before.x, now.y - before.y) < MAP_STILL_PX[event.pointerType]) return;
    moved = true;
    pressed.set(event.pointerId, now);
    if (pressed.size >= 2) {
      const next = spread();
      acts.pan(next.x - pinch.x, next.y - pinch.y);
      acts.zoom(next.far / pinch.far, next.x, next.y);
      pinch = next;
    } else if (line) {
      // All that the pen went through, not only where it was when the browser had time.
      for (const each of event.getCoalescedEvents?.() ?? [event]) addCorner(line, at(each));
      acts.line(line);
    } else acts.pan(now.x - before.x, now.y - before.y);
  };
  surface.onpointerup = (event) => {
    if (!pressed.delete(event.pointerId)) return;
    if (pressed.size > 0) return;
    const drawn = line;
    const end = at(event);
    dropLine();
    if (!moved) acts.click(end.x, end.y, event.pointerType);
    else if (drawn) acts.circled(drawn);
  };
  surface.onpointercancel = (event) => {
    pressed.delete(event.pointerId);
    dropLine();
  };
  surface.onpointerleave = () => acts.point(0, 0, null);

  surface.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const by = Math.max(-240, Math.min(240, event.deltaY * lines));
    const { x, y } = at(event);
    acts.zoom(Math.exp(-by * (event.ctrlKey ? 0.01 : 0.0022)), x, y); // with ctrlKey: a pinch on a trackpad
  }, { passive: false });

  surface.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = MAP_PAN_PX * (event.shiftKey ? 4 : 1);
    const keys = {
      ArrowLeft: () => acts.pan(far, 0), ArrowRight: () => acts.pan(-far, 0),
      ArrowUp: () => acts.pan(0, far), ArrowDown: () => acts.pan(0, -far),
      "+": () => acts.step(2), "=": () => acts.step(2), "-": () => acts.step(0.5), _: () => acts.step(0.5),
      0: acts.reset, Enter: acts.look, " ": acts.look, l: acts.toggleLasso, L: acts.toggleLasso,
      Escape: () => (line ? dropLine() : acts.clear()),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    event.stopPropagation(); // the grid has keys of its own
    keys[event.key]();
    acts.aim();
  };
}

// A hand draws more corners than anybody can mean.
function addCorner(line, { x, y }) {
  const [lastX, lastY] = line[line.length - 1];
  if (Math.hypot(x - lastX, y - lastY) >= 2) line.push([x, y]);
}
