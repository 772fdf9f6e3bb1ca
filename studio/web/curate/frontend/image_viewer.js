// The image viewer: one image in full, with its provenance. Arrows move on, and the label shortcuts work here, too.
import { classAppearance, classMark } from "../../components/class_appearance.js";
import { fetchMetadata } from "../../components/metadata_list.js";
import { button, element, fillText } from "../../../share/web_demo/page/dom.js";
import { keyOfClass } from "./keyboard_shortcuts.js";
import { tileState } from "./tile_state.js";

/** @import { CurateView } from "./curate_view.js" */
/** @import { CurateTexts } from "./texts.js" */
/** @import { TileState } from "./tile_state.js" */

const DETAILS_DELAY_MS = 120;

/**
 * @param {CurateView} view
 * @param {CurateTexts["closer"] & CurateTexts["tile"]} texts
 */
export function makeImageViewer(view, texts) {
  const figure = element("figure");
  const caption = element("p", { className: "caption", role: "status" });
  const details = element("div", { className: "details", "aria-live": "polite" });
  const choices = element("div", { className: "choices", role: "group", "aria-label": texts.label });
  /** @param {string} text */
  const labelled = (text) => ({ "aria-label": text, title: text });
  const provenance = button(texts.provenance, () => showDetails(Boolean(details.hidden)), { "aria-pressed": "false", title: "I" });
  const footer = element("footer");
  const dialog = element("dialog", { className: "viewer", tabIndex: -1, "aria-label": texts.name },
    element("div", { className: "viewer-image" }, figure, caption), details, choices, footer);
  footer.append(
    button("‹", () => step(-1), { className: "step", ...labelled(texts.before) }),
    button("›", () => step(1), { className: "step", ...labelled(texts.next) }),
    button(texts.reject, () => view.label({ state: "rejected", class: null, name: "" }), { title: "X" }),
    button(texts.unlabel, () => view.label({ state: "unlabelled", class: null, name: "" }), { title: "Backspace" }),
    button(texts.undo, () => view.operations.undo(), { title: "U" }),
    provenance,
    button(texts.alike, () => {
      dialog.close();
      view.list.showSimilar(viewer.id);
    }),
    button(texts.close, () => dialog.close(), { className: "close" }));
  /** @type {string | undefined} */
  let sha = "";
  let detailsId = 0, drawnChoices = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {number} by  ±Infinity for an end */
  function step(by) {
    const { grid, list } = view;
    grid.focusOn(grid.focus + by === Number.POSITIVE_INFINITY ? grid.count - 1 : grid.focus + by);
    viewer.id = list.index.ids[grid.focus];
    viewer.draw();
  }

  /** @param {boolean} on */
  function setDetails(on) {
    details.hidden = !on;
    provenance.setAttribute("aria-pressed", `${on}`);
    dialog.classList.toggle("with-details", on);
    detailsId = 0;
  }

  /** @param {boolean} on */
  function showDetails(on) {
    setDetails(on);
    viewer.draw();
  }

  function drawDetails() {
    const { id } = viewer;
    if (details.hidden || detailsId === id) return;
    detailsId = id;
    clearTimeout(timer);
    details.replaceChildren(element("p", {}, texts.loading));
    timer = setTimeout(async () => {
      const elements = await fetchMetadata(`${view.base}/pictures/${id}`, texts.places)
        .catch(() => [element("p", {}, texts.lost)]);
      if (id === viewer.id) details.replaceChildren(...elements);
    }, DETAILS_DELAY_MS);
  }

  /** @param {TileState} state */
  function drawChoices(state) {
    const drawn = JSON.stringify([view.classes, state.label?.name]);
    if (drawn === drawnChoices) return;
    drawnChoices = drawn;
    choices.replaceChildren(...view.classes.map((each) => {
      const key = keyOfClass(view.classes, each);
      return element("button", {
        type: "button", className: "choice", "aria-pressed": state.label?.name === each.name,
        onclick: () => view.label({ state: "labelled", class: each.id, name: "" }),
      }, classMark(classAppearance(each)), element("span", {}, each.name), Boolean(key) && element("kbd", {}, key));
    }), button(texts.other, () => view.openClassPicker()));
  }

  const viewer = {
    element: dialog,
    id: 0,
    get isOpen() { return dialog.open; },
    step,
    /**
     * Show an image; asked again for the same one, show or hide its details, or close.
     * @param {number} id
     * @param {boolean} withDetails
     */
    async show(id, withDetails) {
      if (dialog.open && viewer.id === id) {
        if (withDetails) showDetails(Boolean(details.hidden));
        else dialog.close();
        return;
      }
      viewer.id = id;
      setDetails(withDetails);
      if (!dialog.open) {
        dialog.showModal();
        dialog.focus(); // none of its buttons: Enter and Space are for the image
      }
      viewer.draw();
      if (!view.items.get(id)) await view.items.load(id);
      viewer.draw();
    },
    draw() {
      if (!dialog.open) return;
      const state = tileState(view, viewer.id);
      if (sha !== state.sha || !figure.firstChild) {
        sha = state.sha;
        figure.replaceChildren(...(sha ? [element("img", { src: `/studio/pictures/${sha}`, alt: state.name ?? "" })] : []));
      }
      figure.className = state.state ?? "";
      dialog.setAttribute("aria-label", state.name ?? texts.name);
      const text = [
        state.name,
        state.state === "labelled" ? state.label?.name : state.state && texts[state.state],
        state.suggestion && fillText(texts.suggestion, state.suggestion),
        state.issue && fillText(texts.doubt, { name: state.issue }),
        state.conflict && fillText(texts.clash, { name: state.conflict }),
      ].filter(Boolean).join(" · ");
      if (caption.textContent !== text) caption.textContent = text;
      drawChoices(state);
      drawDetails();
    },
  };
  dialog.onclose = () => view.grid.element.focus({ preventScroll: true });
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  return viewer;
}
