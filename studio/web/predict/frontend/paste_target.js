// A field to paste an image into, with the keyboard or with a button.
import { button, element } from "../../../share/web_demo/page/dom.js";

/** @import { ComponentArgs } from "../../components/types.js" */
/** @import { PasteData } from "./types.js" */

const CLIPBOARD_NAME = "image.png"; // what browsers call an image that has no name

/** @param {ComponentArgs<PasteData>} args */
export default function ({ data, parentElement, setTriggerValue }) {
  const { texts, largest_bytes: maxBytes } = data;
  const status = element("p", { role: "status" });
  const target = element("div", { className: "target", tabIndex: 0, ariaLabel: texts.paste, role: "textbox" },
    element("strong", {}, texts.paste), element("span", { className: "quiet" }, texts.about));
  const read = button(texts.button, readClipboard);
  read.hidden = !navigator.clipboard?.read; // hidden from pages that are not safe
  parentElement.querySelector(".place")?.replaceChildren(
    element("section", {}, target, element("div", { className: "row" }, read), status));

  /**
   * @param {string} text
   * @param {boolean} [isError]
   */
  function announce(text, isError = true) {
    status.textContent = text;
    status.classList.toggle("error", isError);
  }

  /**
   * @param {Blob | undefined} blob
   * @param {string} [name]
   */
  function take(blob, name) {
    if (!blob) announce(texts.nothing);
    else if (blob.size > maxBytes) announce(texts.too_large);
    else {
      const reader = new FileReader();
      reader.onerror = () => announce(texts.nothing);
      reader.onload = () => {
        const dataUrl = `${reader.result}`;
        announce(texts.taken, false);
        setTriggerValue("image", { name: name || texts.name, data: dataUrl.slice(dataUrl.indexOf(",") + 1) });
      };
      reader.readAsDataURL(blob);
    }
  }

  /** @param {ClipboardEvent} event */
  function onPaste(event) {
    const file = pastedImage(event);
    event.preventDefault();
    take(file, file?.name === CLIPBOARD_NAME ? "" : file?.name);
  }

  async function readClipboard() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) {
          take(await item.getType(type));
          return;
        }
      }
      announce(texts.nothing);
    } catch {
      announce(texts.refused);
    }
  }

  /**
   * Take an image that is pasted anywhere on the page, as long as the field is seen and nobody is typing.
   * @param {ClipboardEvent} event
   */
  function onPagePaste(event) {
    const [source] = event.composedPath();
    const isInField = source instanceof Element && source.matches("input, textarea, [contenteditable]");
    if (!event.defaultPrevented && !isInField && pastedImage(event) && target.offsetWidth) onPaste(event);
  }

  target.addEventListener("paste", onPaste);
  document.addEventListener("paste", onPagePaste);
  return () => document.removeEventListener("paste", onPagePaste);
}

/** @param {ClipboardEvent} event */
function pastedImage({ clipboardData }) {
  return [...(clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
}
