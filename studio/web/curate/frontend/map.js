// The map of a project: likeness as nearness, each image a point in its class's colour. It is panned, zoomed, filtered
// by its legend, and circled with a lasso to select.

const MAP_GREY = "#80868a"; // of what has no class: it can be seen on light and on dark
const MAP_DIM = 40; // of 256: how strongly points are drawn that are not meant while others are
const MAP_MOST_RATIO = 2; // of a screen's pixels to CSS pixels: more cannot be seen, and takes longer
const MAP_RIMS_BELOW = 20_000; // points in sight: among more, paper around each would hide the others
const MAP_REACH_PX = { mouse: 10, pen: 12, touch: 22, keys: Infinity };

function makeMap({ base, texts: { map: texts }, classes, onLasso, onLook }) {
  let points = null, looks = new Map(), hidden = new Set(), pointed = null; // pointed: a class, in the legend
  let seen = new Int32Array(0), placed = [], hovered = null; // indices of points
  let chosen = null, line = null, notice = "", shown = false, loading = false, frame = 0;

  const back = element("canvas", { className: "map-points", "aria-hidden": "true" });
  const front = element("canvas", {
    className: "map-surface", tabIndex: 0, role: "application", "aria-label": texts.map, "aria-describedby": "map-help",
  });
  const message = element("p", { role: "status" });
  const again = button(texts.again, () => load());
  const empty = element("div", { className: "map-empty", hidden: true }, message, again);
  const tip = makeMapTip(texts);
  const named = (text) => ({ "aria-label": text, title: text });
  const zooms = element("div", { className: "map-zooms" },
    button("+", () => view.glideTo(2), named(texts.closer)),
    button("−", () => view.glideTo(0.5), named(texts.farther)),
    button("⤢", () => view.reset(), named(texts.reset)));
  const stage = element("div", { className: "map-stage" }, back, front, tip.element, zooms, empty);
  const lasso = button(texts.lasso, toggleLasso, { "aria-pressed": "false", title: texts.lasso_help });
  const screen = button(texts.select_seen, selectSeen);
  const clear = button(texts.clear, clearChoice, { hidden: true });
  const status = element("p", { className: "map-status", role: "status" });
  const legend = makeLegend({
    texts,
    onHide: (which) => { hidden = which; request(); },
    onPoint: (id) => { if (pointed !== id) { pointed = id; request(); } },
  });
  const root = element("section", { className: "map", "aria-label": texts.map, hidden: true },
    element("div", { className: "map-bar" }, lasso, screen, clear, status),
    element("div", { className: "map-body" }, stage, legend.element),
    element("p", { className: "map-help", id: "map-help" }, texts.help));

  const view = new MapView(() => { notice = ""; request(); });
  const items = new MapItems(base, request);
  const places = new ImagePlaces();
  const painter = new PointPainter();

  listenToGestures(front, {
    pan: (x, y) => view.pan(x, y),
    zoom: (factor, x, y) => view.zoomAt(factor, x, y),
    step: (factor) => view.glideTo(factor),
    reset: () => view.reset(),
    lassoing: () => lasso.getAttribute("aria-pressed") === "true",
    line: (corners) => { line = corners; request(); },
    circled: (corners) => select(corners.map(([x, y]) => view.mapped(x, y))),
    point: (x, y, kind) => hover(kind && near(x, y, MAP_REACH_PX[kind])),
    click: (x, y, kind) => look(near(x, y, MAP_REACH_PX[kind])) || clearChoice(),
    aim: () => requestAnimationFrame(() => hover(aimedAt())),
    look: () => look(aimedAt()),
    toggleLasso,
    clear: clearChoice,
  });
  front.onfocus = request;
  front.onblur = () => { hovered = null; request(); };
  // Colours are read whenever the map is drawn; the short transition of the stage's tells of another theme.
  stage.ontransitionend = request;
  new ResizeObserver(([{ contentRect }]) => view.resize(contentRect.width, contentRect.height)).observe(stage);

  function request() {
    if (shown) frame ||= requestAnimationFrame(draw);
  }

  async function load() {
    loading = true;
    if (!points && !message.textContent) say(texts.loading);
    try {
      const answer = await fetch(`${base}/map`);
      if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
      points = answer.ok ? new MapPoints(await answer.arrayBuffer()) : null;
      hovered = null;
      clearChoice();
      say(points ? "" : texts.none_yet, !points);
    } catch {
      if (!points) say(texts.unread, true);
    }
    loading = false;
    request();
  }

  function say(text, canAsk = false) {
    message.textContent = text;
    again.hidden = !canAsk;
    empty.hidden = !text;
    legend.element.hidden = !points;
    for (const each of [lasso, screen, ...zooms.children]) each.disabled = !points;
  }

  // What each class looks like now. One that is not there any more looks unlabelled.
  function learnClasses() {
    const rows = classes().map((each, position) => {
      const it = { position, ...each };
      return { id: it.id, name: it.name, path: classMark(it), colour: classColour(it), hollow: false, faint: false };
    });
    rows.push(
      { id: UNLABELLED, name: texts.unlabelled, path: DISC, colour: MAP_GREY, hollow: true, faint: false },
      { id: REJECTED, name: texts.rejected, path: CROSS, colour: MAP_GREY, hollow: false, faint: true },
    );
    looks = new Map(rows.map((row) => [row.id, row]));
    legend.draw(rows.map((row) => ({ ...row, count: points.counts.get(row.id) ?? 0 })));
  }

  const lookOf = (id) => looks.get(id) ?? looks.get(UNLABELLED);
  const isMeant = (i) => (chosen === null || chosen.has[i] === 1) && (pointed === null || points.classes[i] === pointed);

  function draw() {
    frame = 0;
    if (!points) return;
    learnClasses();
    const ratio = Math.min(MAP_MOST_RATIO, devicePixelRatio || 1);
    for (const canvas of [back, front]) {
      const [width, height] = [view.width, view.height].map((side) => Math.round(side * ratio));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    const theme = themeOf(stage);
    const { place } = view;
    const radius = pointRadius(points.count, view.zoom);
    seen = points.inside(view.seen(radius), hidden);
    const scaled = Object.fromEntries(Object.entries(place).map(([name, value]) => [name, value * ratio]));
    painter.paint(back, points, layers(), (id) => {
      const { path, colour, hollow, faint } = lookOf(id);
      return { path, colour: pixelColour(colour), hollow, strength: faint ? 110 : 256 };
    }, scaled, {
      radius: Math.round(radius * ratio * 4) / 4,
      rim: seen.length < MAP_RIMS_BELOW ? 0.75 * ratio : 0,
      paper: pixelColour(theme.paper),
    });
    drawOver(place, ratio, theme, radius);
    const text = notice || (chosen ? counted(texts.selected, chosen.count)
      : filled(texts.in_sight, { seen: formatted(seen.length), count: formatted(points.count) }));
    if (status.textContent !== text) status.textContent = text; // a screen reader reads each change
  }

  // What has a class lies over what has none, and what is meant over all else.
  function layers() {
    const all = chosen === null && pointed === null;
    const parts = [0, 1, 2].map(() => ({ indices: new Int32Array(seen.length), count: 0 }));
    for (const i of seen) {
      const part = parts[!all && !isMeant(i) ? 0 : points.classes[i] <= 0 ? 1 : 2];
      part.indices[part.count++] = i;
    }
    return parts.map(({ indices, count }, at) => ({ indices: indices.subarray(0, count), strength: at ? 256 : MAP_DIM }));
  }

  function drawOver(place, ratio, theme, radius) {
    const side = imageSide();
    const drawn = (corners) => corners.map(([x, y]) => [x * place.scaleX + place.left, y * place.scaleY + place.top]);
    items.forgetWishes();
    placed = places.choose(points, seen, view, side + 4);
    const at = hovered === null ? null : drawn([[points.x[hovered], points.y[hovered]]])[0];
    const isImage = placed.some(({ i }) => i === hovered);
    drawMapFront(front, ratio, theme, {
      side,
      images: placed.map(({ i, x, y }) => ({
        x, y, look: lookOf(points.classes[i]), dim: !isMeant(i),
        bitmap: items.square(points.ids[i], Math.round(side * ratio)),
      })),
      ring: at && { x: at[0], y: at[1], square: isImage, radius: isImage ? side / 2 + 3 : radius + 4 },
      lines: [chosen && drawn(chosen.polygon), line].filter(Boolean),
      aimed: front.matches(":focus-visible"),
    });
    tip.show(at && {
      x: at[0], y: at[1], width: view.width, height: view.height,
      look: lookOf(points.classes[hovered]), item: items.item(points.ids[hovered]),
    });
  }

  const imageSide = () => (view.width < 560 ? 44 : 56);
  const aimedAt = () => near(view.width / 2, view.height / 2, MAP_REACH_PX.keys);

  // The point in sight that is nearest to a place, at most so far from it, or null; an image counts as its point.
  function near(x, y, reach_px) {
    const half = imageSide() / 2;
    const under = placed.find((each) => Math.abs(each.x - x) <= half && Math.abs(each.y - y) <= half);
    if (under || !points) return under?.i ?? null;
    const { scaleX, scaleY, left, top } = view.place;
    let best = null, least = reach_px ** 2;
    for (const i of seen) {
      const far = (points.x[i] * scaleX + left - x) ** 2 + (points.y[i] * scaleY + top - y) ** 2;
      if (far <= least) [best, least] = [i, far];
    }
    return best;
  }

  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    front.style.cursor = i === null ? "" : "pointer";
    request();
  }

  function look(i) {
    if (i === null) return false;
    onLook(points.ids[i]);
    return true;
  }

  function toggleLasso() {
    const on = lasso.getAttribute("aria-pressed") !== "true";
    lasso.setAttribute("aria-pressed", on);
    stage.classList.toggle("map-lassoing", on);
  }

  function selectSeen() {
    const { left, top, right, bottom } = view.seen();
    select([[left, top], [right, top], [right, bottom], [left, bottom]]);
  }

  // polygon: [[x, y], …] in the map's measures.
  function select(polygon) {
    const inside = points.within(polygon, hidden);
    clearChoice();
    if (!inside.length) {
      notice = texts.none_inside;
      return;
    }
    chosen = { polygon, count: inside.length, has: new Uint8Array(points.count) };
    for (const i of inside) chosen.has[i] = 1;
    clear.hidden = false;
    onLasso(inside.map((i) => points.ids[i]).sort());
  }

  function clearChoice() {
    chosen = null;
    notice = "";
    clear.hidden = true;
    request();
  }

  return {
    element: root,
    show() {
      shown = true;
      root.hidden = false;
      load();
    },
    hide() {
      shown = false;
      root.hidden = true;
    },
    // class_id: null or 0 for unlabelled, -1 for rejected.
    recolour(id, class_id) {
      if (points?.recolour(id, class_id ?? UNLABELLED)) request();
    },
    // To be called when the classes are not what they were, or the studio has looked at the images.
    refresh() {
      if (shown && !points && !loading) load();
      request();
    },
  };
}

// Fewer points, and those that are looked at more closely, are drawn larger.
function pointRadius(count, zoom) {
  const whole = Math.min(5, Math.max(1.25, 6.2 - Math.log10(count + 1)));
  return Math.min(7, whole * Math.max(1, zoom) ** 0.45);
}

// The page's colours where an element stands, as #rrggbb.
function themeOf(stage) {
  const style = getComputedStyle(stage);
  const pen = element("canvas").getContext("2d");
  const names = { paper: "background", field: "secondary-background", text: "text", primary: "primary" };
  return Object.fromEntries(Object.entries(names).map(([name, variable]) => {
    pen.fillStyle = style.getPropertyValue(`--st-${variable}-color`).trim();
    return [name, pen.fillStyle];
  }));
}
