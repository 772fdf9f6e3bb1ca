// Mouse and touch on the grid: a click selects, a band dragged over images selects them, selected images are dragged
// onto a class, a long touch begins selecting, a double click looks closer.
const DRAG_PX = 6, LONG_TOUCH_MS = 450, SCROLL_EDGE_PX = 28;

function listenToPointer(grid, view) {
  const { element: area, floor } = grid;
  const band = element("div", { className: "band", hidden: true });
  const ghost = element("div", { className: "ghost", hidden: true });
  area.after(ghost);
  floor.append(band);
  let down = null; // { x, y, at, origin, kind }
  let type = "mouse";
  let quiet = false; // the click that ends a drag or a long touch means nothing

  area.onpointerdown = (event) => {
    type = event.pointerType;
    quiet = false;
    if (event.button !== 0 || event.offsetX > area.clientWidth) return;
    const at = grid.placeAt(event.clientX, event.clientY);
    down = { x: event.clientX, y: event.clientY, at, origin: grid.pointAt(event.clientX, event.clientY), kind: "" };
    if (type === "touch") {
      down.timer = setTimeout(() => {
        quiet = true;
        if (at >= 0) {
          navigator.vibrate?.(12);
          view.pick(at, {});
        }
      }, LONG_TOUCH_MS);
    }
  };
  area.onpointermove = (event) => {
    if (!down) return;
    const far = Math.hypot(event.clientX - down.x, event.clientY - down.y) > DRAG_PX;
    if (type === "touch") {
      if (far) clearTimeout(down.timer);
      return;
    }
    if (!down.kind && far) begin(event);
    if (down.kind) {
      down.last = event;
      if (down.kind === "band") stretch();
      else carry(event);
    }
  };
  area.onpointerup = (event) => end(event, true);
  area.onpointercancel = (event) => end(event, false);
  area.oncontextmenu = (event) => { if (type === "touch") event.preventDefault(); };
  area.ondragstart = (event) => event.preventDefault();
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !down?.kind) return;
    event.preventDefault();
    if (down.kind === "band") view.selection.restore(down.before);
    end(event, false);
    view.draw();
  }, true);

  area.onclick = (event) => {
    if (quiet) {
      quiet = false;
      return;
    }
    const at = grid.placeAt(event.clientX, event.clientY);
    if (at < 0) return;
    if (type === "touch" && !view.selection.count) {
      grid.focusOn(at);
      view.zoom(false);
    } else view.pick(at, event);
  };
  area.ondblclick = (event) => {
    if (grid.placeAt(event.clientX, event.clientY) >= 0 && type !== "touch") view.zoom(false);
  };

  function begin(event) {
    const carries = down.at >= 0 && view.selection.has(down.at);
    down.kind = carries ? "carry" : "band";
    area.setPointerCapture(event.pointerId);
    if (carries) {
      ghost.textContent = view.images(view.selection.count);
      ghost.hidden = false;
      return;
    }
    const adds = event.shiftKey || event.ctrlKey || event.metaKey;
    down.before = view.selection.copy();
    down.base = adds ? down.before : new Uint8Array(0);
    band.hidden = false;
  }

  function stretch() {
    if (!down?.last) return;
    const { clientX, clientY } = down.last;
    const box = area.getBoundingClientRect();
    const beyond = clientY < box.top + SCROLL_EDGE_PX ? clientY - box.top - SCROLL_EDGE_PX
      : clientY > box.bottom - SCROLL_EDGE_PX ? clientY - box.bottom + SCROLL_EDGE_PX : 0;
    if (beyond) {
      grid.top += beyond / 2;
      down.frame ??= requestAnimationFrame(() => {
        if (down) down.frame = undefined;
        stretch();
      });
    }
    const to = grid.pointAt(clientX, clientY);
    view.selection.restore(down.base);
    for (const [first, last] of grid.placesBetween(down.origin, to)) view.selection.setRange(first, last, true);
    const shift = area.scrollTop - grid.top;
    const [left, top] = [Math.max(0, Math.min(to[0], down.origin[0])), Math.min(to[1], down.origin[1]) + shift];
    const width = Math.min(area.clientWidth, Math.max(to[0], down.origin[0])) - left;
    band.style.cssText = `transform: translate(${left}px, ${top}px); width: ${width}px;`
      + `height: ${Math.abs(to[1] - down.origin[1])}px`;
    view.draw();
  }

  function carry(event) {
    ghost.style.transform = `translate(${event.clientX + 14}px, ${event.clientY + 14}px)`;
    view.side.hover(placeUnder(event));
  }

  function placeUnder(event) {
    return area.getRootNode().elementFromPoint(event.clientX, event.clientY)?.closest("[data-drop]") ?? null;
  }

  function end(event, dropped) {
    if (!down) return;
    const { kind, timer } = down;
    clearTimeout(timer);
    cancelAnimationFrame(down.frame);
    const place = kind === "carry" && dropped ? placeUnder(event) : null;
    down = null;
    if (!kind) return;
    quiet = type !== "touch"; // no click follows a drag that left the grid: the next press resets this
    band.hidden = ghost.hidden = true;
    view.side.hover(null);
    if (kind === "band") view.drawSelection();
    if (place) view.drop(place.dataset.drop);
  }
}
