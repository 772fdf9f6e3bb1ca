// Keys: the whole of the grid by keyboard. Class keys come first, then commands; any other letter begins a name.

// For the list that "?" shows: [keys, name of the text that says what they do].
const KEYS = [
  ["← ↑ → ↓", "move"], ["Home End", "ends"], ["PageUp PageDown", "pages"],
  ["Space", "select"], ["Shift + ←↑→↓", "range"], ["Ctrl/⌘ + A", "all"], ["Esc", "clear"],
  ["1 … 9", "label"], ["A … Z", "type"], ["L /", "choose"], ["Enter", "accept"], ["Shift + Enter", "accept_screen"],
  ["X", "reject"], ["Backspace Delete", "unlabel"],
  ["U", "undo"], ["Shift + U", "redo"], ["Ctrl/⌘ + Z", "undo"], ["Ctrl/⌘ + Shift + Z", "redo"],
  ["Z", "zoom"], ["I", "details"], ["?", "help"],
];
// Where a button has the focus, or a slider or the map, these keys are its own.
const OF_BUTTONS = ["Enter", " "];
const OF_FIELDS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

// Which key gives which class: its own, or the digit of its place where no other class has taken that.
function classKeys(classes) {
  const keys = new Map(classes.filter(({ hotkey }) => hotkey).map((aClass) => [aClass.hotkey.toLowerCase(), aClass]));
  classes.slice(0, 9).forEach((aClass, at) => {
    if (!aClass.hotkey && !keys.has(`${at + 1}`)) keys.set(`${at + 1}`, aClass);
  });
  return keys;
}

function keyOf(classes, aClass) {
  for (const [key, each] of classKeys(classes)) if (each.id === aClass.id) return key;
  return "";
}

// view: see Curating. Listens on the whole component, so that keys never reach the page's own shortcuts.
function listenToKeys(root, view) {
  const held = []; // pressed while something has to be waited for
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    if (isOurs(event, view) && !event.defaultPrevented) take(event);
  });
  // Where nothing on the page has the focus, as after a click beside everything, the grid is meant.
  addEventListener("keydown", (event) => {
    if (!view.here || event.target !== document.body || !root.isConnected || event.key === "Tab") return;
    if (isOurs(event, view) && take(event)) view.toGrid();
  }, { capture: true, signal: view.ends.signal });

  function take(event) {
    const pressed = pressedKey(event);
    if (view.busy && mayMean(pressed)) held.push(pressed);
    else if (!press(pressed, view)) return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
  view.released = (meant) => {
    if (!meant) held.length = 0;
    while (held.length && !view.busy) press(held.shift(), view);
  };
}

// Whether a key could mean something here: others are the browser's, whatever is waited for.
function mayMean({ key, letter, command, alt }) {
  if (alt) return false;
  if (command) return ["a", "z"].includes(letter);
  return key.length === 1 || [...OF_BUTTONS, ...OF_FIELDS, "Escape", "Backspace", "Delete"].includes(key);
}

function pressedKey({ key, code, ctrlKey, metaKey, altKey, shiftKey, repeat }) {
  // With Ctrl, the letter is that of the key where the keyboard writes no Latin letters.
  const latin = /^[a-z]$/i.test(key) ? key : /^Key[A-Z]$/.test(code) ? code.at(-1) : key;
  const command = ctrlKey || metaKey;
  const meant = command ? latin : key;
  return { key: meant, letter: meant.toLowerCase(), command, alt: altKey, shift: shiftKey, repeat };
}

function isOurs(event, view) {
  const target = event.composedPath()[0];
  if (event.isComposing || isTyping(target)) return false;
  const dialog = target.closest?.("dialog");
  if (dialog && dialog !== view.closer.element) return false;
  if (event.keyCode === 229) { // the beginning of a letter that is put together: it goes on in the box
    view.choose();
    return false;
  }
  const own = target.tagName === "INPUT" || view.map.element.contains(target) ? [...OF_BUTTONS, ...OF_FIELDS]
    : ["BUTTON", "SUMMARY", "A"].includes(target.tagName) ? OF_BUTTONS : [];
  return !own.includes(event.key);
}

// Does what a key means; says whether it meant anything.
function press({ key, letter, command, alt, shift, repeat }, view) {
  if (alt) return false;
  if (command) return pressCommand(letter, shift, view);
  if (view.closer.open ? pressCloser(key, view) : pressGrid(key, shift, view)) return true;
  const aClass = classKeys(view.classes).get(letter);
  const act = aClass ? () => view.label({ state: "labelled", class: aClass.id, name: "" }) : {
    x: () => view.label({ state: "rejected", class: null, name: "" }),
    backspace: () => view.label({ state: "unlabelled", class: null, name: "" }),
    delete: () => view.label({ state: "unlabelled", class: null, name: "" }),
    enter: () => (shift ? view.acceptScreen() : view.accept()),
  }[letter];
  if (act) {
    if (!repeat) act(); // a key held a moment too long must not label the next image, too
    return true;
  }
  const said = {
    u: () => (shift ? view.acts.redo() : view.acts.undo()),
    z: () => view.zoom(false),
    i: () => view.zoom(true),
    l: () => view.choose(),
    "/": () => view.choose(),
    "?": () => view.help.open(),
  }[letter];
  if (said) said();
  else if (/^\p{L}$/u.test(key)) view.choose(key);
  else return false;
  return true;
}

function pressCommand(letter, shift, view) {
  if (letter === "z") {
    if (shift) view.acts.redo();
    else view.acts.undo();
  } else if (letter === "a" && !shift && !view.closer.open) view.selectAll();
  else return false;
  return true;
}

function pressGrid(key, shift, view) {
  const { grid } = view;
  const steps = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns,
    PageUp: -grid.pageStep, PageDown: grid.pageStep,
  };
  if (key in steps) view.move(stepped(grid, steps[key]), shift);
  else if (key === "Home") view.move(0, shift);
  else if (key === "End") view.toEnd(shift);
  else if (key === " ") view.toggle(grid.focus);
  else if (key === "Escape") view.clear();
  else return false;
  return true;
}

// Up and down stay in their column: at the first and the last row there is nowhere to go, or to the row's end.
function stepped(grid, step) {
  const to = grid.focus + step;
  if (Math.abs(step) === 1) return to;
  if (to < 0) return Math.abs(step) === grid.columns ? grid.focus : grid.focus % grid.columns;
  if (to >= grid.count) return grid.rowOf(grid.focus) === grid.rows - 1 ? grid.focus : grid.count - 1;
  return to;
}

function pressCloser(key, view) {
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -1, PageDown: 1 }[key];
  if (step) view.closer.step(step);
  else if (key === "Home") view.closer.step(-Infinity);
  else if (key === "End") view.closer.step(Infinity);
  else return key === " ";
  return true;
}
