// Keyboard shortcuts: the whole of the grid by keyboard. Class keys come first, then commands; any other letter begins
// the name of a class.
import { button, element, isTextField } from "../../../share/web_demo/page/dom.js";

/** @import { CurateView } from "./curate_view.js" */
/** @import { CurateTexts } from "./texts.js" */
/** @import { ClassInfo } from "./types.js" */
/** @import { VirtualGrid } from "./virtual_grid.js" */

/** @typedef {{ key: string, letter: string, hasCommand: boolean, hasAlt: boolean, hasShift: boolean, isRepeat: boolean }} PressedKey */

/**
 * For the dialog that "?" opens: the keys, and the name of the text that says what they do.
 * @type {[string, keyof CurateTexts["keys"]][]}
 */
const SHORTCUTS = [
  ["← ↑ → ↓", "move"], ["Home End", "ends"], ["PageUp PageDown", "pages"],
  ["Space", "select"], ["Shift + ←↑→↓", "range"], ["Ctrl/⌘ + A", "all"], ["Esc", "clear"],
  ["1 … 9", "label"], ["A … Z", "type"], ["L /", "choose"], ["Enter", "accept"], ["Shift + Enter", "accept_screen"],
  ["X", "reject"], ["Backspace Delete", "unlabel"],
  ["U", "undo"], ["Shift + U", "redo"], ["Ctrl/⌘ + Z", "undo"], ["Ctrl/⌘ + Shift + Z", "redo"],
  ["Z", "zoom"], ["I", "details"], ["?", "help"],
];
// Where a button has the focus, or a slider or the map, these keys are its own.
const BUTTON_KEYS = ["Enter", " "];
const FIELD_KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

/**
 * The dialog that lists the shortcuts.
 * @param {CurateTexts["keys"]} texts
 */
export function makeShortcutDialog(texts) {
  const rows = SHORTCUTS.map(([keys, name]) => element("div", { className: "key" },
    element("dt", {}, element("kbd", {}, keys)), element("dd", {}, texts[name])));
  const dialog = element("dialog", { className: "help-dialog", "aria-label": texts.title },
    element("h2", {}, texts.title), element("dl", {}, ...rows), element("p", { className: "note" }, texts.about));
  dialog.append(element("footer", {}, button(texts.close, () => dialog.close())));
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  return { element: dialog, open: () => dialog.showModal() };
}

/**
 * Return the class of each key: its own, or the digit of its position where no other class has taken that.
 * @param {ClassInfo[]} classes
 * @returns {Map<string, ClassInfo>}
 */
export function classKeys(classes) {
  /** @type {Map<string, ClassInfo>} */
  const keys = new Map();
  for (const each of classes) if (each.hotkey) keys.set(each.hotkey.toLowerCase(), each);
  classes.slice(0, 9).forEach((each, at) => {
    if (!each.hotkey && !keys.has(`${at + 1}`)) keys.set(`${at + 1}`, each);
  });
  return keys;
}

/**
 * @param {ClassInfo[]} classes
 * @param {ClassInfo} wanted
 */
export function keyOfClass(classes, wanted) {
  for (const [key, each] of classKeys(classes)) if (each.id === wanted.id) return key;
  return "";
}

/**
 * Listen on the whole component, so that keys never reach the page's own shortcuts.
 * @param {HTMLElement} root
 * @param {CurateView} view
 */
export function listenToKeys(root, view) {
  /**
   * Pressed while something has to be waited for.
   * @type {PressedKey[]}
   */
  const held = [];
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    if (isForGrid(event, view) && !event.defaultPrevented) take(event);
  });
  // Where nothing on the page has the focus, as after a click beside everything, the grid is meant.
  addEventListener("keydown", (event) => {
    if (!view.isShown || event.target !== document.body || !root.isConnected || event.key === "Tab") return;
    if (isForGrid(event, view) && take(event)) view.focusGrid();
  }, { capture: true, signal: view.lifetime.signal });

  /** @param {KeyboardEvent} event */
  function take(event) {
    const pressed = pressedKey(event);
    if (view.busy && isShortcut(pressed)) held.push(pressed);
    else if (!press(pressed, view)) return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
  view.releaseKeys = (isWanted) => {
    if (!isWanted) held.length = 0;
    while (!view.busy) {
      const pressed = held.shift();
      if (!pressed) break;
      press(pressed, view);
    }
  };
}

/**
 * Return whether a key could do something here: others are the browser's, whatever is waited for.
 * @param {PressedKey} pressed
 */
function isShortcut({ key, letter, hasCommand, hasAlt }) {
  if (hasAlt) return false;
  if (hasCommand) return ["a", "z"].includes(letter);
  return key.length === 1 || [...BUTTON_KEYS, ...FIELD_KEYS, "Escape", "Backspace", "Delete"].includes(key);
}

/**
 * @param {KeyboardEvent} event
 * @returns {PressedKey}
 */
function pressedKey({ key, code, ctrlKey, metaKey, altKey, shiftKey, repeat }) {
  // With Ctrl, the letter is that of the key where the keyboard writes no Latin letters.
  const latin = /^[a-z]$/i.test(key) ? key : /^Key[A-Z]$/.test(code) ? code.slice(-1) : key;
  const hasCommand = ctrlKey || metaKey;
  const meant = hasCommand ? latin : key;
  return { key: meant, letter: meant.toLowerCase(), hasCommand, hasAlt: altKey, hasShift: shiftKey, isRepeat: repeat };
}

/**
 * @param {KeyboardEvent} event
 * @param {CurateView} view
 */
function isForGrid(event, view) {
  const [target] = event.composedPath();
  if (event.isComposing || isTextField(target)) return false;
  const dialog = target instanceof Element ? target.closest("dialog") : null;
  if (dialog && dialog !== view.viewer.element) return false;
  if (event.keyCode === 229) { // the beginning of a letter that is put together: it goes on in the class picker
    view.openClassPicker();
    return false;
  }
  if (!(target instanceof Element)) return true;
  const own = target.tagName === "INPUT" || view.map.element.contains(target) ? [...BUTTON_KEYS, ...FIELD_KEYS]
    : ["BUTTON", "SUMMARY", "A"].includes(target.tagName) ? BUTTON_KEYS : [];
  return !own.includes(event.key);
}

/**
 * Do what a key is for; return whether it was for anything.
 * @param {PressedKey} pressed
 * @param {CurateView} view
 */
function press({ key, letter, hasCommand, hasAlt, hasShift, isRepeat }, view) {
  if (hasAlt) return false;
  if (hasCommand) return pressCommand(letter, hasShift, view);
  if (view.viewer.isOpen ? pressInViewer(key, view) : pressInGrid(key, hasShift, view)) return true;
  const classOfKey = classKeys(view.classes).get(letter);
  const unlabel = () => view.label({ state: "unlabelled", class: null, name: "" });
  /** @type {Record<string, () => unknown>} */
  const labelKeys = {
    x: () => view.label({ state: "rejected", class: null, name: "" }),
    backspace: unlabel,
    delete: unlabel,
    enter: () => (hasShift ? view.acceptScreen() : view.accept()),
  };
  const label = classOfKey ? () => view.label({ state: "labelled", class: classOfKey.id, name: "" })
    : labelKeys[letter];
  if (label) {
    if (!isRepeat) label(); // a key held a moment too long must not label the next image, too
    return true;
  }
  /** @type {Record<string, () => unknown>} */
  const commands = {
    u: () => (hasShift ? view.operations.redo() : view.operations.undo()),
    z: () => view.openViewer(false),
    i: () => view.openViewer(true),
    l: () => view.openClassPicker(),
    "/": () => view.openClassPicker(),
    "?": () => view.shortcutDialog.open(),
  };
  if (commands[letter]) commands[letter]();
  else if (/^\p{L}$/u.test(key)) view.openClassPicker(key);
  else return false;
  return true;
}

/**
 * @param {string} letter
 * @param {boolean} hasShift
 * @param {CurateView} view
 */
function pressCommand(letter, hasShift, view) {
  if (letter === "z") {
    if (hasShift) view.operations.redo();
    else view.operations.undo();
  } else if (letter === "a" && !hasShift && !view.viewer.isOpen) view.selectAll();
  else return false;
  return true;
}

/**
 * @param {string} key
 * @param {boolean} hasShift
 * @param {CurateView} view
 */
function pressInGrid(key, hasShift, view) {
  const { grid } = view;
  /** @type {Record<string, number>} */
  const steps = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns,
    PageUp: -grid.pageStep, PageDown: grid.pageStep,
  };
  if (key in steps) view.moveFocus(steppedPosition(grid, steps[key]), hasShift);
  else if (key === "Home") view.moveFocus(0, hasShift);
  else if (key === "End") view.moveToEnd(hasShift);
  else if (key === " ") view.toggle(grid.focus);
  else if (key === "Escape") view.clearSelection();
  else return false;
  return true;
}

/**
 * Return where a step of the focus leads. Up and down stay in their column: at the first and the last row there is
 * nowhere to go, or to the row's end.
 * @param {Pick<VirtualGrid, "focus" | "columns" | "count" | "rows"> & { rowOf(at: number): number }} grid
 * @param {number} step
 */
export function steppedPosition(grid, step) {
  const to = grid.focus + step;
  if (Math.abs(step) === 1) return to;
  if (to < 0) return Math.abs(step) === grid.columns ? grid.focus : grid.focus % grid.columns;
  if (to >= grid.count) return grid.rowOf(grid.focus) === grid.rows - 1 ? grid.focus : grid.count - 1;
  return to;
}

/**
 * @param {string} key
 * @param {CurateView} view
 */
function pressInViewer(key, view) {
  /** @type {Record<string, number>} */
  const steps = {
    ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -1, PageDown: 1,
    Home: Number.NEGATIVE_INFINITY, End: Number.POSITIVE_INFINITY,
  };
  if (!(key in steps)) return key === " ";
  view.viewer.step(steps[key]);
  return true;
}
