// The embedding map of a project: similar images lie close together, each a point in its class's colour. It is panned,
// zoomed, filtered by its legend, and circled with a lasso to select.
import { classAppearance, CROSS, DISC } from "../../components/class_appearance.js";
import { button, element, fillText, formatNumber, pluralText } from "../../../share/web_demo/page/dom.js";
import { listenToGestures } from "./map_gestures.js";
import { makeLegend } from "./map_legend.js";
import { drawOverlay, makeMapTooltip } from "./map_overlay.js";
import { pixelColour, PointPainter } from "./map_point_painter.js";
import { MapPoints, REJECTED, UNLABELLED } from "./map_points.js";
import { MapItems, ThumbnailLayout } from "./map_thumbnails.js";
import { MapViewport } from "./map_viewport.js";

/** @import { Appearance } from "../../components/class_appearance.js" */
/** @import { Theme } from "./map_overlay.js" */
/** @import { Transform } from "./map_viewport.js" */
/** @import { CurateTexts } from "./texts.js" */
/** @import { ClassInfo } from "./types.js" */

const GREY = "#80868a"; // of what has no class: it can be seen on light and on dark
const DIM = 40; // of 256: how strongly points are drawn that are not meant while others are
const FAINT = 110, OPAQUE = 256;
const MAX_RATIO = 2; // of a screen's pixels to CSS pixels: more cannot be seen, and takes longer
const MAX_RIMMED_POINTS = 20_000; // in sight: among more, paper around each would hide the others
const REACH_PX = { mouse: 10, pen: 12, touch: 22 };
const WIDE_PX = 560, THUMBNAIL_PX = 56, SMALL_THUMBNAIL_PX = 44;

/**
 * @param {{
 *   base: string, texts: CurateTexts["map"], classes: () => ClassInfo[],
 *   onSelect: (ids: Int32Array) => void, onOpen: (id: number) => void,
 * }} options
 */
export function makeEmbeddingMap({ base, texts, classes, onSelect, onOpen }) {
  /** @type {MapPoints | null} */
  let points = null;
  /** @type {Map<number, Appearance>} */
  let appearances = new Map();
  /** @type {Set<number>} */
  let hidden = new Set();
  /**
   * The class that is pointed at in the legend.
   * @type {number | null}
   */
  let pointedClass = null;
  let seen = new Int32Array(0); // indices of the points in sight
  /** @type {{ i: number, x: number, y: number }[]} */
  let placed = []; // thumbnails
  /**
   * The index of the point under the pointer.
   * @type {number | null}
   */
  let hovered = null;
  /** @type {{ polygon: number[][], count: number, has: Uint8Array } | null} */
  let selected = null;
  /** @type {number[][] | null} */
  let line = null;
  let notice = "", isShown = false, isLoading = false, frame = 0;

  const back = element("canvas", { className: "map-points", "aria-hidden": "true" });
  const front = element("canvas", {
    className: "map-surface", tabIndex: 0, role: "application", "aria-label": texts.map, "aria-describedby": "map-help",
  });
  const message = element("p", { role: "status" });
  const again = button(texts.again, () => load());
  const empty = element("div", { className: "map-empty", hidden: true }, message, again);
  const tooltip = makeMapTooltip(texts);
  /** @param {string} text */
  const labelled = (text) => ({ "aria-label": text, title: text });
  const zoomButtons = [
    button("+", () => viewport.animateZoom(2), labelled(texts.closer)),
    button("−", () => viewport.animateZoom(0.5), labelled(texts.farther)),
    button("⤢", () => viewport.reset(), labelled(texts.reset)),
  ];
  const stage = element("div", { className: "map-stage" }, back, front, tooltip.element,
    element("div", { className: "map-zooms" }, ...zoomButtons), empty);
  const lasso = button(texts.lasso, toggleLasso, { "aria-pressed": "false", title: texts.lasso_help });
  const selectVisibleButton = button(texts.select_seen, selectVisible);
  const clear = button(texts.clear, clearSelection, { hidden: true });
  const status = element("p", { className: "map-status", role: "status" });
  const legend = makeLegend({
    texts,
    onHide: (classIds) => {
      hidden = classIds;
      requestDraw();
    },
    onPoint: (classId) => {
      if (pointedClass === classId) return;
      pointedClass = classId;
      requestDraw();
    },
  });
  const root = element("section", { className: "map", "aria-label": texts.map, hidden: true },
    element("div", { className: "map-bar" }, lasso, selectVisibleButton, clear, status),
    element("div", { className: "map-body" }, stage, legend.element),
    element("p", { className: "map-help", id: "map-help" }, texts.help));

  const viewport = new MapViewport(() => {
    notice = "";
    requestDraw();
  });
  const items = new MapItems(base, requestDraw);
  const thumbnails = new ThumbnailLayout();
  const painter = new PointPainter();

  listenToGestures(front, {
    pan: (x, y) => viewport.pan(x, y),
    zoom: (factor, x, y) => viewport.zoomAt(factor, x, y),
    zoomStep: (factor) => viewport.animateZoom(factor),
    reset: () => viewport.reset(),
    isLassoOn: () => lasso.getAttribute("aria-pressed") === "true",
    onLine: (corners) => {
      line = corners;
      requestDraw();
    },
    onLasso: (corners) => select(corners.map(([x, y]) => viewport.toMap(x, y))),
    onPoint: (x, y, kind) => hover(kind && nearestPoint(x, y, REACH_PX[kind])),
    onClick: (x, y, kind) => { if (!open(nearestPoint(x, y, REACH_PX[kind]))) clearSelection(); },
    aim: () => { requestAnimationFrame(() => hover(centrePoint())); },
    open: () => { open(centrePoint()); },
    toggleLasso,
    clear: clearSelection,
  });
  front.onfocus = requestDraw;
  front.onblur = () => {
    hovered = null;
    requestDraw();
  };
  // Colours are read whenever the map is drawn; the short transition of the stage's tells of another theme.
  stage.ontransitionend = requestDraw;
  new ResizeObserver(([{ contentRect }]) => viewport.resize(contentRect.width, contentRect.height)).observe(stage);

  function requestDraw() {
    if (isShown && !frame) frame = requestAnimationFrame(draw);
  }

  async function load() {
    isLoading = true;
    if (!points && !message.textContent) showMessage(texts.loading);
    try {
      const response = await fetch(`${base}/map`);
      if (!response.ok && response.status !== 404) throw new Error(`${response.status}`);
      points = response.ok ? new MapPoints(await response.arrayBuffer()) : null;
      hovered = null;
      clearSelection();
      showMessage(points ? "" : texts.none_yet, !points);
    } catch {
      if (!points) showMessage(texts.unread, true);
    }
    isLoading = false;
    requestDraw();
  }

  /**
   * @param {string} text
   * @param {boolean} [canRetry]
   */
  function showMessage(text, canRetry = false) {
    message.textContent = text;
    again.hidden = !canRetry;
    empty.hidden = !text;
    legend.element.hidden = !points;
    for (const each of [lasso, selectVisibleButton, ...zoomButtons]) each.disabled = !points;
  }

  /**
   * Take over how each class is shown now. One that is not there any more is shown as unlabelled.
   * @param {MapPoints} shown
   */
  function updateAppearances(shown) {
    /** @type {(Appearance & { id: number })[]} */
    const entries = classes().map((each, position) => (
      { id: each.id, ...classAppearance({ ...each, position: each.position ?? position }), isHollow: false, isFaint: false }));
    entries.push(
      { id: UNLABELLED, name: texts.unlabelled, path: DISC, colour: GREY, isHollow: true, isFaint: false },
      { id: REJECTED, name: texts.rejected, path: CROSS, colour: GREY, isHollow: false, isFaint: true },
    );
    appearances = new Map(entries.map((entry) => [entry.id, entry]));
    legend.draw(entries.map((entry) => ({ ...entry, count: shown.counts.get(entry.id) ?? 0 })));
  }

  /**
   * @param {number} classId
   * @returns {Appearance}
   */
  function appearanceOf(classId) {
    return appearances.get(classId) ?? /** @type {Appearance} */ (appearances.get(UNLABELLED));
  }

  /**
   * Return whether a point is among what is selected, or pointed at in the legend.
   * @param {MapPoints} shown
   * @param {number} i
   */
  function isHighlighted(shown, i) {
    return (selected === null || selected.has[i] === 1) && (pointedClass === null || shown.classes[i] === pointedClass);
  }

  function draw() {
    frame = 0;
    if (!points) return;
    updateAppearances(points);
    const ratio = Math.min(MAX_RATIO, devicePixelRatio || 1);
    for (const canvas of [back, front]) {
      const [width, height] = [viewport.width, viewport.height].map((side) => Math.round(side * ratio));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    const theme = themeOf(stage);
    const { transform } = viewport;
    const radius = pointRadius(points.count, viewport.zoom);
    seen = points.inBox(viewport.visibleBox(radius), hidden);
    const scaled = {
      scaleX: transform.scaleX * ratio, scaleY: transform.scaleY * ratio,
      left: transform.left * ratio, top: transform.top * ratio,
    };
    painter.paint(back, points, layersOf(points), (classId) => {
      const { path, colour, isHollow = false, isFaint } = appearanceOf(classId);
      return { path, colour: pixelColour(colour), isHollow, strength: isFaint ? FAINT : OPAQUE };
    }, scaled, {
      radius: Math.round(radius * ratio * 4) / 4,
      rim: seen.length < MAX_RIMMED_POINTS ? 0.75 * ratio : 0,
      paper: pixelColour(theme.paper),
    });
    drawFront(points, transform, ratio, theme, radius);
    const text = notice || (selected ? pluralText(texts.selected, selected.count)
      : fillText(texts.in_sight, { seen: formatNumber(seen.length), count: formatNumber(points.count) }));
    if (status.textContent !== text) status.textContent = text; // a screen reader reads each change
  }

  /**
   * Sort the points in sight into layers: what has a class lies over what has none, and what is meant over all else.
   * @param {MapPoints} shown
   */
  function layersOf(shown) {
    const isAll = selected === null && pointedClass === null;
    const layers = [0, 1, 2].map(() => ({ indices: new Int32Array(seen.length), count: 0 }));
    for (const i of seen) {
      const layer = layers[!isAll && !isHighlighted(shown, i) ? 0 : shown.classes[i] <= 0 ? 1 : 2];
      layer.indices[layer.count++] = i;
    }
    return layers.map(({ indices, count }, at) => ({ indices: indices.subarray(0, count), strength: at ? OPAQUE : DIM }));
  }

  /**
   * @param {MapPoints} shown
   * @param {Transform} transform
   * @param {number} ratio
   * @param {Theme} theme
   * @param {number} radius
   */
  function drawFront(shown, transform, ratio, theme, radius) {
    const side = thumbnailSide();
    /** @param {number[][]} corners */
    const onScreen = (corners) => (
      corners.map(([x, y]) => [x * transform.scaleX + transform.left, y * transform.scaleY + transform.top]));
    items.clearWanted();
    placed = thumbnails.choose(shown, seen, viewport, side + 4);
    const isThumbnail = placed.some(({ i }) => i === hovered);
    const [at] = hovered === null ? [] : onScreen([[shown.x[hovered], shown.y[hovered]]]);
    drawOverlay(front, ratio, theme, {
      side,
      thumbnails: placed.map(({ i, x, y }) => ({
        x, y, appearance: appearanceOf(shown.classes[i]), isDim: !isHighlighted(shown, i),
        bitmap: items.thumbnail(shown.ids[i], Math.round(side * ratio)),
      })),
      ring: at ? { x: at[0], y: at[1], isSquare: isThumbnail, radius: isThumbnail ? side / 2 + 3 : radius + 4 } : null,
      lines: [selected && onScreen(selected.polygon), line].filter((each) => each !== null),
      hasCrosshair: front.matches(":focus-visible"),
    });
    tooltip.show(at && hovered !== null ? {
      x: at[0], y: at[1], width: viewport.width, height: viewport.height,
      appearance: appearanceOf(shown.classes[hovered]), item: items.item(shown.ids[hovered]),
    } : null);
  }

  const thumbnailSide = () => (viewport.width < WIDE_PX ? SMALL_THUMBNAIL_PX : THUMBNAIL_PX);
  const centrePoint = () => nearestPoint(viewport.width / 2, viewport.height / 2, Number.POSITIVE_INFINITY);

  /**
   * Return the point in sight that is nearest to a place, at most so far from it, or null; a thumbnail counts as its point.
   * @param {number} x
   * @param {number} y
   * @param {number} reach_px
   */
  function nearestPoint(x, y, reach_px) {
    const half = thumbnailSide() / 2;
    const under = placed.find((each) => Math.abs(each.x - x) <= half && Math.abs(each.y - y) <= half);
    if (under || !points) return under?.i ?? null;
    const { scaleX, scaleY, left, top } = viewport.transform;
    let best = null, least = reach_px ** 2;
    for (const i of seen) {
      const distance = (points.x[i] * scaleX + left - x) ** 2 + (points.y[i] * scaleY + top - y) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    }
    return best;
  }

  /** @param {number | null} i */
  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    front.style.cursor = i === null ? "" : "pointer";
    requestDraw();
  }

  /** @param {number | null} i */
  function open(i) {
    if (i === null || !points) return false;
    onOpen(points.ids[i]);
    return true;
  }

  function toggleLasso() {
    const on = lasso.getAttribute("aria-pressed") !== "true";
    lasso.setAttribute("aria-pressed", `${on}`);
    stage.classList.toggle("map-lassoing", on);
  }

  function selectVisible() {
    const { left, top, right, bottom } = viewport.visibleBox();
    select([[left, top], [right, top], [right, bottom], [left, bottom]]);
  }

  /**
   * Select the points in a polygon.
   * @param {number[][]} polygon  in the map's measures
   */
  function select(polygon) {
    if (!points) return;
    const { count, ids } = points;
    const inside = points.inPolygon(polygon, hidden);
    clearSelection();
    if (!inside.length) {
      notice = texts.none_inside;
      return;
    }
    const has = new Uint8Array(count);
    for (const i of inside) has[i] = 1;
    selected = { polygon, count: inside.length, has };
    clear.hidden = false;
    onSelect(inside.map((i) => ids[i]).sort());
  }

  function clearSelection() {
    selected = null;
    notice = "";
    clear.hidden = true;
    requestDraw();
  }

  return {
    element: root,
    show() {
      isShown = true;
      root.hidden = false;
      load();
    },
    hide() {
      isShown = false;
      root.hidden = true;
    },
    /**
     * @param {number} id
     * @param {number} classId  0 for unlabelled, -1 for rejected
     */
    setClass(id, classId) {
      if (points?.setClass(id, classId)) requestDraw();
    },
    /** To be called when the classes have changed, or the studio has analysed the images. */
    refresh() {
      if (isShown && !points && !isLoading) load();
      requestDraw();
    },
  };
}

/**
 * Return the radius of a point: fewer points, and those that are zoomed in on, are drawn larger.
 * @param {number} count
 * @param {number} zoom
 */
export function pointRadius(count, zoom) {
  const whole = Math.min(5, Math.max(1.25, 6.2 - Math.log10(count + 1)));
  return Math.min(7, whole * Math.max(1, zoom) ** 0.45);
}

/**
 * Read the page's colours where an element stands.
 * @param {Element} at
 * @returns {Theme}
 */
export function themeOf(at) {
  const style = getComputedStyle(at);
  const context = /** @type {CanvasRenderingContext2D} */ (element("canvas").getContext("2d"));
  /** @param {string} name */
  const colour = (name) => {
    context.fillStyle = style.getPropertyValue(`--st-${name}-color`).trim();
    return `${context.fillStyle}`;
  };
  return {
    paper: colour("background"), field: colour("secondary-background"), text: colour("text"), primary: colour("primary"),
  };
}
