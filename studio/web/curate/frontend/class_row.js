// One class in the class dialog: its colour, name and key, its position, and what merges or removes it.
import { classColour } from "../../components/class_appearance.js";
import {
  button, element, fillText, formatNumber, messageOf, pluralText, rootOf,
} from "../../../share/web_demo/page/dom.js";

/** @import { CurateTexts } from "./texts.js" */
/** @import { ClassChange, ClassInfo } from "./types.js" */

/** @typedef {ReturnType<typeof makeClassRow>} ClassRow */

/** @type {ClassInfo} */
const NOTHING_DRAWN = { id: -1, name: "", position: 0, colour: "", hotkey: "", count: 0 };

/**
 * @param {{
 *   texts: CurateTexts["classes"],
 *   submit: (change: ClassChange) => Promise<void>,
 *   classes: () => ClassInfo[],
 *   move: (id: number, step: number) => void,
 *   drag: (event: PointerEvent, handle: HTMLElement, row: HTMLElement) => void,
 * }} options  submit: rejects with an Error whose message is for people
 */
export function makeClassRow({ texts, submit, classes, move, drag }) {
  let current = NOTHING_DRAWN; // the class as it was drawn last
  let refusedName = ""; // so that leaving the field does not submit it again
  const colour = element("input", { type: "color", className: "classes-colour" });
  const name = element("input", { type: "text", className: "classes-name", maxLength: 80, autocomplete: "off", spellcheck: false });
  const key = element("input", { type: "text", className: "classes-key", maxLength: 1, autocomplete: "off" });
  const count = element("span", { className: "classes-count" });
  const handle = element("span", { className: "classes-handle", "aria-hidden": "true", title: texts.drag }, "⠿");
  const up = button("↑", () => move(current.id, -1)), down = button("↓", () => move(current.id, 1));
  const merge = button(texts.merge, () => togglePanel(mergePanel));
  const remove = button(texts.remove, () => togglePanel(removePanel));
  const errorText = element("p", { className: "classes-error", role: "alert" });
  const panel = element("div", { className: "classes-panel" });
  const row = element("li", { className: "classes-row" },
    element("div", { className: "classes-fields" }, handle, colour, name, key, count,
      element("span", { className: "classes-acts" }, up, down, merge, remove)),
    errorText, panel);
  /** @type {(() => Node[]) | null} */
  let openPanel = null;

  /**
   * @param {string} text
   * @param {HTMLInputElement | null} [field]
   */
  function showError(text, field = null) {
    errorText.textContent = text;
    for (const each of [colour, name, key]) {
      if (each === field && text) each.setAttribute("aria-invalid", "true");
      else each.removeAttribute("aria-invalid");
    }
  }

  /**
   * Submit a change; an error is shown beside the field, which keeps what was typed. Return whether it was made.
   * @param {ClassChange} change
   * @param {HTMLInputElement | null} [field]
   */
  async function attempt(change, field = null) {
    showError("");
    row.setAttribute("aria-busy", "true");
    try {
      await submit({ class: current.id, ...change });
      return true;
    } catch (error) {
      showError(messageOf(error), field);
      return false;
    } finally {
      row.removeAttribute("aria-busy");
    }
  }

  async function rename() {
    const wanted = name.value;
    if (wanted.trim() === current.name) reset(name, current.name);
    else if (wanted !== refusedName) {
      refusedName = (await attempt({ act: "rename", name: wanted }, name)) ? "" : wanted;
    }
  }

  /**
   * @param {HTMLInputElement} field
   * @param {string} value
   */
  function reset(field, value) {
    field.value = value;
    refusedName = "";
    showError("");
  }

  name.onchange = rename;
  key.oninput = () => key.select();
  key.onchange = () => {
    if (key.value.trim().toLowerCase() !== current.hotkey) attempt({ act: "hotkey", hotkey: key.value.trim() }, key);
  };
  key.onfocus = () => key.select();
  colour.onchange = () => attempt({ act: "recolour", colour: colour.value }, colour);
  /**
   * @param {HTMLInputElement} field
   * @param {() => string} value
   */
  const listenToField = (field, value) => field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") field.dispatchEvent(new Event("change"));
    // What was typed is given up first; only then does Escape close the dialog.
    else if (event.key === "Escape" && field.value !== value()) reset(field, value());
    else return;
    event.preventDefault();
  });
  listenToField(name, () => current.name);
  listenToField(key, () => current.hotkey);
  row.onkeydown = (event) => {
    const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (!event.altKey || !step || event.target instanceof HTMLSelectElement) return;
    event.preventDefault();
    move(current.id, step);
  };
  handle.onpointerdown = (event) => drag(event, handle, row);

  /**
   * Open one of the two panels under the row, or close it where it is open.
   * @param {() => Node[]} makePanel
   */
  function togglePanel(makePanel) {
    const isSame = openPanel === makePanel;
    openPanel = isSame ? null : makePanel;
    panel.replaceChildren(...(isSame ? [] : makePanel()));
    merge.setAttribute("aria-expanded", `${openPanel === mergePanel}`);
    remove.setAttribute("aria-expanded", `${openPanel === removePanel}`);
    const first = panel.querySelector("select, button");
    if (first instanceof HTMLElement) first.focus();
  }

  function mergePanel() {
    const choice = element("select", { "aria-label": fillText(texts.merge_into, { name: current.name }) },
      ...classes().filter(({ id }) => id !== current.id)
        .map(({ id, name: text }) => element("option", { value: `${id}` }, text)));
    const into = element("label", {}, pluralText(texts.moves, current.count), " ", choice);
    return [into, element("p", {}, texts.undoable), buttons(texts.merge_now, merge, () =>
      attempt({ act: "merge", into: Number(choice.value) }))];
  }

  function removePanel() {
    return [
      element("p", {}, current.count ? pluralText(texts.returns, current.count) : texts.empty_goes, " ", texts.undoable),
      buttons(texts.remove_now, remove, () => attempt({ act: "remove" })),
    ];
  }

  /**
   * @param {string} text
   * @param {HTMLElement} opener  has the focus after Cancel
   * @param {() => unknown} action
   */
  function buttons(text, opener, action) {
    const cancel = () => {
      if (openPanel) togglePanel(openPanel);
      opener.focus();
    };
    return element("div", { className: "classes-buttons" },
      button(text, action, { className: "classes-strong" }), button(texts.cancel, cancel));
  }

  /**
   * Draw a class; a field that somebody is changing, or whose value was refused, keeps what is in it.
   * @param {ClassInfo} shown
   * @param {{ isFirst: boolean, isLast: boolean, isOnly: boolean, automaticKey: string }} options
   */
  function draw(shown, { isFirst, isLast, isOnly, automaticKey }) {
    /**
     * @param {HTMLInputElement} field
     * @param {string} before
     */
    const isKept = (field, before) => current !== NOTHING_DRAWN && field.value !== before
      && (rootOf(row).activeElement === field || field.hasAttribute("aria-invalid"));
    if (!isKept(name, current.name)) name.value = shown.name;
    if (!isKept(key, current.hotkey)) key.value = shown.hotkey;
    current = { ...shown };
    key.placeholder = automaticKey;
    colour.value = classColour(shown);
    count.textContent = formatNumber(shown.count);
    [up.disabled, down.disabled, merge.disabled] = [isFirst, isLast, isOnly];
    row.dataset.id = `${shown.id}`;
    for (const [labelled, text] of /** @type {[HTMLElement, string][]} */ ([
      [colour, texts.colour_of], [name, texts.name_of], [key, texts.key_of], [up, texts.up], [down, texts.down],
      [merge, texts.merge_of], [remove, texts.remove_of],
    ])) {
      labelled.title = fillText(text, { name: shown.name });
      labelled.setAttribute("aria-label", labelled.title);
    }
    count.setAttribute("aria-label", pluralText(texts.images, shown.count));
  }

  return { element: row, draw, name };
}
