// The dialog in which classes are renamed, coloured, ordered, merged and removed. All of it works by keyboard.
import { button, element, fillText, formatNumber, messageOf, rootOf } from "../../../share/web_demo/page/dom.js";
import { makeClassRow } from "./class_row.js";
import { keyOfClass } from "./keyboard_shortcuts.js";

/** @import { ClassRow } from "./class_row.js" */
/** @import { CurateTexts } from "./texts.js" */
/** @import { ClassChange, ClassInfo } from "./types.js" */

/**
 * @param {{
 *   texts: CurateTexts["classes"], classes: () => ClassInfo[], change: (change: ClassChange) => Promise<void>,
 * }} options  change: rejects with an Error whose message is for people
 */
export function makeClassDialog({ texts, classes, change }) {
  /** @type {Map<number, ClassRow>} */
  const rows = new Map();
  /**
   * Changes are made one after the other, in the order in which they were asked for.
   * @type {Promise<void>}
   */
  let waiting = Promise.resolve();
  let reordering = 0; // while rows are moved by hand, and until the studio has answered, they stay where they are

  const list = element("ol", { className: "classes-list" });
  const status = element("p", { className: "classes-status", role: "status" });
  const newName = element("input", {
    type: "text", maxLength: 80, autocomplete: "off", placeholder: texts.new_name, "aria-label": texts.new_name,
  });
  const errorText = element("p", { className: "classes-error", role: "alert" });
  const form = element("form", { className: "classes-new" }, newName,
    element("button", { type: "submit", className: "classes-strong" }, texts.add));
  const close = button("×", () => dialog.close(), { className: "classes-close", "aria-label": texts.close, title: texts.close });
  const head = element("div", { className: "classes-head", "aria-hidden": "true" },
    .../** @type {const} */ (["colour", "name", "key", "count"]).map((each) => (
      element("span", { className: `classes-head-${each}` }, texts[each]))));
  const dialog = element("dialog", { className: "classes", "aria-label": texts.classes },
    element("header", {}, element("h2", {}, texts.classes), close),
    element("p", { className: "classes-about" }, texts.about),
    head, list, form, errorText, status);

  dialog.onclick = (event) => { if (event.target === dialog && isOutside(event)) dialog.close(); };
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the grid's shortcuts are not meant here
  form.onsubmit = async (event) => {
    event.preventDefault();
    errorText.textContent = "";
    try {
      await submit({ act: "add", name: newName.value });
      newName.value = "";
      list.lastElementChild?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      errorText.textContent = messageOf(error);
    }
    newName.focus();
  };

  /** @param {ClassChange} asked */
  function submit(asked) {
    const done = waiting.then(() => change(asked)).then(() => {
      draw();
      status.textContent = texts[`done_${asked.act}`];
    });
    waiting = done.catch(() => draw());
    return done;
  }

  /** @param {MouseEvent} event */
  function isOutside({ clientX, clientY }) {
    const box = dialog.getBoundingClientRect();
    return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
  }

  function draw() {
    const all = classes();
    const focusedRow = rootOf(list).activeElement?.closest("li");
    const focused = focusedRow ? rowElements().indexOf(focusedRow) : -1;
    for (const [id, row] of rows) {
      if (!all.some((each) => each.id === id)) {
        row.element.remove();
        rows.delete(id);
      }
    }
    all.forEach((each, at) => {
      const row = rows.get(each.id) ?? makeClassRow({ texts, submit, classes, move, drag });
      rows.set(each.id, row);
      row.draw(each, {
        isFirst: at === 0, isLast: at === all.length - 1, isOnly: all.length === 1, automaticKey: keyOfClass(all, each),
      });
      if (!row.element.isConnected || (!reordering && list.children[at] !== row.element)) insertAt(row.element, at);
    });
    head.hidden = !all.length;
    // Where the class with the focus is gone, its neighbour has it.
    if (focused >= 0 && !list.contains(rootOf(list).activeElement)) {
      (rowAt(Math.min(focused, all.length - 1))?.name ?? newName).focus();
    }
  }

  /**
   * Insert a row; an element that is moved loses the focus, so it is given back.
   * @param {HTMLElement} row
   * @param {number} at
   */
  function insertAt(row, at) {
    const { activeElement } = rootOf(list);
    list.insertBefore(row, list.children[at] ?? null);
    if (activeElement instanceof HTMLElement && row.contains(activeElement)) activeElement.focus();
  }

  /** @returns {HTMLElement[]} */
  function rowElements() {
    return /** @type {HTMLElement[]} */ ([...list.children]);
  }

  /** @param {number} at */
  function rowAt(at) {
    return rows.get(Number(rowElements()[at]?.dataset.id));
  }

  /**
   * Move a class by a step, at once, and announce where it now is.
   * @param {number} id
   * @param {number} step
   */
  async function move(id, step) {
    const row = rows.get(id)?.element;
    if (!row) return;
    const to = rowElements().indexOf(row) + step;
    if (to < 0 || to >= list.children.length) return;
    insertAt(row, step > 0 ? to + 1 : to);
    row.scrollIntoView({ block: "nearest" });
    await reorder();
    status.textContent = fillText(texts.moved, { place: formatNumber(to + 1), count: formatNumber(list.children.length) });
  }

  /** Submit the order in which the rows stand. */
  async function reorder() {
    reordering += 1;
    errorText.textContent = "";
    try {
      await submit({ act: "reorder", order: rowElements().map((each) => Number(each.dataset.id)) });
    } catch (error) {
      errorText.textContent = messageOf(error);
    }
    reordering -= 1;
    draw();
  }

  /**
   * Let a row follow the finger or the mouse; the order is submitted when it is let go.
   * @param {PointerEvent} event
   * @param {HTMLElement} handle
   * @param {HTMLElement} row
   */
  function drag(event, handle, row) {
    if (event.button !== 0) return;
    event.preventDefault();
    const before = [...list.children];
    reordering += 1;
    handle.setPointerCapture(event.pointerId);
    row.classList.add("classes-dragged");
    handle.onpointermove = ({ clientY }) => {
      /** @param {Element} each */
      const middle = (each) => {
        const box = each.getBoundingClientRect();
        return box.top + box.height / 2;
      };
      // The others step over the row: moved itself, it would lose the pointer.
      for (let next = row.nextElementSibling; next && middle(next) < clientY; next = row.nextElementSibling) {
        row.before(next);
      }
      for (let last = row.previousElementSibling; last && middle(last) > clientY; last = row.previousElementSibling) {
        row.after(last);
      }
      row.scrollIntoView({ block: "nearest" });
    };
    handle.onlostpointercapture = () => {
      handle.onpointermove = handle.onlostpointercapture = null;
      row.classList.remove("classes-dragged");
      reordering -= 1;
      if (before.some((each, at) => list.children[at] !== each)) reorder();
    };
  }

  return {
    element: dialog,
    open() {
      errorText.textContent = status.textContent = "";
      rows.clear();
      list.replaceChildren();
      draw();
      dialog.showModal();
      close.focus();
    },
    /** To be called when the classes have changed. */
    refresh() {
      if (dialog.open) draw();
    },
  };
}
