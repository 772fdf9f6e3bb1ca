// Where the parts of the labelling grid stand, and what is drawn around the images.
import { button, element, pluralText } from "../../../share/web_demo/page/dom.js";

/** @import { CurateView } from "./curate_view.js" */

const STREAMLIT_DIALOG = '[data-testid="stDialog"], [role="dialog"][class*="st-"]';

/**
 * Create the hint that images have changed. It stands in the status bar, so that no image moves when it comes and goes.
 * @param {string} label
 * @param {() => void} onRefresh
 */
export function makeRefreshHint(label, onRefresh) {
  return element("span", { className: "refresh", hidden: true }, element("span"), button(label, onRefresh));
}

/**
 * Put a view's parts together; return the element, and a function that draws all but the images.
 * @param {CurateView} view
 */
export function layOut(view) {
  const { texts, list, queue } = view;
  const emptyText = element("p");
  const clearFilters = button(texts.hint.clear, () => list.show({}, "newest"));
  const empty = element("div", { className: "empty", hidden: true }, emptyText, clearFilters);
  const root = element("section", { className: "curating", "aria-label": texts.grid.name },
    view.sidebar.element,
    element("div", { className: "main" }, view.toolbar.element, view.toolbar.chips,
      element("div", { className: "stage" }, view.grid.element, empty, view.map.element),
      view.selectionBar.element, view.statusBar.element),
    view.statusBar.live, view.statusBar.notices, view.viewer.element, view.classPicker.element,
    view.shortcutDialog.element, view.classDialog.element, view.historyDialog.element);
  closeConnectionDialogs(root, view);

  function drawSurroundings() {
    const { counts } = view;
    const { query, index, selection, loading, moved, added } = list;
    view.sidebar.draw(counts, query);
    view.toolbar.draw(counts, !view.map.element.hidden);
    view.selectionBar.draw(selection.count, query);
    view.statusBar.draw({
      total: index.length, isComplete: index.isComplete && !loading, selected: selection.count,
      waiting: queue.pending.length, error: queue.error || (view.needsSecret ? "secret" : ""),
      message: queue.errorMessage, hasUnstored: queue.hasUnstored, isAway: view.isAway,
    });
    const hints = [
      moved.size && pluralText(texts.hint.moved, moved.size),
      added.size && pluralText(texts.hint.fresh, added.size),
      list.isStale && texts.hint.stale,
    ].filter(Boolean);
    view.refreshHint.hidden = !hints.length;
    const [hint] = view.refreshHint.children;
    if (hint.textContent !== hints.join(" ")) hint.textContent = hints.join(" ");
    const isEmpty = index.isComplete && !index.length && !loading;
    empty.hidden = !isEmpty || !view.map.element.hidden;
    emptyText.textContent = index.error || texts.hint.nothing;
    clearFilters.hidden = !Object.keys(query.filter).length && query.order === "newest";
  }

  return { element: root, drawSurroundings };
}

/**
 * When its own connection is lost, Streamlit covers the page with a dialog that takes the keyboard. The grid's status
 * bar says the same, and the grid can be used meanwhile: so the dialog is closed as soon as it comes.
 * @param {HTMLElement} root
 * @param {CurateView} view
 */
function closeConnectionDialogs(root, view) {
  /** @type {HTMLElement | null} */
  let lastFocused = null;
  root.addEventListener("focusin", (event) => {
    const [target] = event.composedPath();
    lastFocused = target instanceof HTMLElement ? target : null;
  });
  const observer = new MutationObserver(() => {
    if (!view.isShown || !view.isAway || !root.isConnected) return;
    const close = document.querySelector(STREAMLIT_DIALOG)?.querySelector("button");
    if (!close) return;
    close.click();
    setTimeout(() => (lastFocused?.isConnected ? lastFocused : view.grid.element).focus({ preventScroll: true }), 50);
  });
  observer.observe(document.body, { childList: true });
  view.lifetime.signal.addEventListener("abort", () => observer.disconnect());
}
