// The class picker: choose a class by name, in a box that letters open. Enter takes the marked one; a name that no class
// has creates one.
import { classAppearance, classMark } from "../../components/class_appearance.js";
import { element, fillText, formatNumber } from "../../../share/web_demo/page/dom.js";

/** @import { CurateTexts } from "./texts.js" */
/** @import { ClassInfo, Target } from "./types.js" */

/** @typedef {{ known: ClassInfo | null, name: string }} Option */

/**
 * @param {{
 *   texts: CurateTexts["chooser"], classes: () => ClassInfo[], onChoose: (target: Target) => void, onClose: () => void,
 * }} options
 */
export function makeClassPicker({ texts, classes, onChoose, onClose }) {
  const input = element("input", {
    type: "text", autocomplete: "off", spellcheck: false, maxLength: 80, placeholder: texts.placeholder,
    role: "combobox", "aria-label": texts.name, "aria-expanded": "true", "aria-controls": "class-choices",
    "aria-autocomplete": "list",
  });
  const title = element("h2");
  const list = element("ul", { id: "class-choices", role: "listbox", "aria-label": texts.name });
  const dialog = element("dialog", { className: "class-picker", "aria-label": texts.name }, title, input, list);
  /** @type {Option[]} */
  let options = [];
  let marked = 0;

  function search() {
    options = matchingClasses(classes(), input.value);
    marked = 0;
    draw();
  }

  function draw() {
    list.replaceChildren(...options.map(({ known, name }, at) => {
      const row = element("li", { id: `class-choice-${at}`, role: "option", "aria-selected": at === marked },
        ...(known
          ? [classMark(classAppearance(known)), element("span", { className: "name" }, known.name),
            element("span", { className: "count" }, formatNumber(known.count ?? 0))]
          : [element("span", { className: "name" }, fillText(texts.make, { name }))]));
      row.onpointerdown = (event) => event.preventDefault();
      row.onclick = () => take(at);
      return row;
    }));
    if (!options.length) list.append(element("li", { className: "hint" }, texts.none));
    list.children[marked]?.scrollIntoView({ block: "nearest" });
    if (options.length) input.setAttribute("aria-activedescendant", `class-choice-${marked}`);
    else input.removeAttribute("aria-activedescendant");
  }

  /** @param {number} at */
  function take(at) {
    const option = options[at];
    if (!option) return;
    dialog.close();
    onChoose({ state: "labelled", class: option.known?.id ?? null, name: option.known ? "" : option.name });
  }

  input.oninput = search;
  input.onkeydown = (event) => {
    if (event.isComposing) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step && options.length) {
      marked = (marked + step + options.length) % options.length;
      draw();
    } else if (event.key === "Enter") take(marked);
    else return;
    event.preventDefault();
  };
  dialog.onclose = onClose;
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };

  return {
    element: dialog,
    /**
     * @param {string} heading
     * @param {string} typed
     */
    open(heading, typed) {
      title.textContent = heading;
      input.value = typed;
      search();
      dialog.showModal();
      input.focus();
      input.setSelectionRange(typed.length, typed.length);
    },
  };
}

/**
 * Return the classes that match what is typed, the best first, and a new one where none has that name.
 * @param {ClassInfo[]} classes
 * @param {string} typed
 * @returns {Option[]}
 */
export function matchingClasses(classes, typed) {
  const wanted = normalized(typed);
  /** @param {string} name */
  const rank = (name) => [name === wanted, name.startsWith(wanted), name.includes(wanted)].indexOf(true);
  const found = classes.map((known) => ({ known, rank: rank(normalized(known.name)) }))
    .filter((each) => each.rank >= 0).sort((one, other) => one.rank - other.rank);
  /** @type {Option[]} */
  const options = found.map(({ known }) => ({ known, name: known.name }));
  if (wanted && found[0]?.rank !== 0) options.push({ known: null, name: typed.trim().replace(/\s+/g, " ") });
  return options;
}

/**
 * The same letters, however they are put together and whatever their case.
 * @param {string} text
 */
function normalized(text) {
  return text.normalize("NFKC").toLocaleLowerCase().trim().replace(/\s+/g, " ");
}
