// The history of labelling: who did what and when, the newest first, and a button that undoes each operation.
import { button, element, fillText, language, messageOf } from "../../../share/web_demo/page/dom.js";

/** @import { CurateTexts } from "./texts.js" */
/** @import { HistoryEntry } from "./types.js" */

/**
 * @param {{
 *   base: string, author: string, texts: CurateTexts["history"], undo: (operation: string) => Promise<void>,
 * }} options  author: this browser's own name there
 */
export function makeHistoryDialog({ base, author, texts, undo }) {
  /** @type {number | null} */
  let oldest = null;
  /** @type {Promise<void> | null} */
  let loading = null;
  let day = "", generation = 0;
  let dayList = element("ol");
  const list = element("div", { className: "history-list" });
  const status = element("p", { className: "history-status", role: "status" });
  const earlier = button(texts.earlier, () => loadPage(), { className: "history-earlier" });
  const close = button("×", () => dialog.close(), { className: "history-close", "aria-label": texts.close, title: texts.close });
  const dialog = element("dialog", { className: "history", "aria-label": texts.history },
    element("header", {}, element("h2", {}, texts.history), close), status, list, earlier);
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the grid's shortcuts are not meant here
  dialog.onclick = (event) => {
    if (event.target === dialog && event.clientX < dialog.getBoundingClientRect().left) dialog.close();
  };
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting && dialog.open && !status.textContent) loadPage();
  }, { root: dialog, rootMargin: "300px" }).observe(earlier);

  /** Load the next page, or the newest one where none has been loaded. */
  function loadPage() {
    loading ??= fetchPage(generation).finally(() => { loading = null; });
    return loading;
  }

  /** @param {number} own  the generation that it is for */
  async function fetchPage(own) {
    try {
      const response = await fetch(oldest === null ? `${base}/history` : `${base}/history?before=${oldest}`);
      if (!response.ok) throw new Error(`${response.status}`);
      /** @type {{ operations: HistoryEntry[] }} */
      const { operations } = await response.json();
      if (own !== generation) return;
      if (oldest === null) {
        list.replaceChildren();
        day = "";
      }
      operations.forEach(addEntry);
      oldest = operations[operations.length - 1]?.number ?? oldest;
      earlier.hidden = !operations.length || (oldest ?? 0) <= 1;
      status.textContent = list.children.length ? "" : texts.nothing;
    } catch {
      if (own !== generation) return;
      status.textContent = texts.unread;
      earlier.hidden = false;
    }
  }

  /** @param {HistoryEntry} entry */
  function addEntry(entry) {
    const at = new Date(entry.at);
    const title = at.toLocaleDateString(language(), { weekday: "long", year: "numeric", month: "long", day: "numeric" });
    if (title !== day) {
      day = title;
      dayList = element("ol");
      list.append(element("section", { "aria-label": title }, element("h3", {}, title), dayList));
    }
    dayList.append(row(entry, at));
  }

  /**
   * @param {HistoryEntry} entry
   * @param {Date} at
   */
  function row({ id, at: isoTime, author: by, text, undone, can_undo: canUndo }, at) {
    const who = by === author ? texts.you : by ? texts.other : texts.studio;
    const errorText = element("p", { className: "history-error", role: "alert" });
    const undoButton = button(texts.undo, async () => {
      if (undoButton.getAttribute("aria-disabled") === "true") return;
      undoButton.setAttribute("aria-disabled", "true"); // truly disabled, it would swallow Escape
      errorText.textContent = "";
      try {
        await undo(id);
        await reload();
      } catch (error) {
        errorText.textContent = messageOf(error);
        undoButton.removeAttribute("aria-disabled");
      }
    }, { "aria-label": fillText(texts.undo_what, { what: text }) });
    return element("li", { className: undone ? "history-undone" : "" },
      element("div", { className: "history-what" },
        undone ? element("del", {}, text) : element("span", {}, text),
        undone && element("strong", {}, texts.undone)),
      canUndo && undoButton,
      element("p", { className: "history-who" }, `${who} · `,
        element("time", { dateTime: isoTime, title: at.toLocaleString(language()) },
          `${at.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit" })} · ${relativeTime(at)}`)),
      errorText);
  }

  /** Load anew from the newest on, as far as had been loaded, and stay at the same place. */
  async function reload() {
    const wanted = oldest ?? 0;
    const top = dialog.scrollTop;
    generation += 1;
    loading = null;
    oldest = null;
    do await loadPage(); while ((oldest ?? 0) > wanted && !earlier.hidden && !status.textContent);
    dialog.scrollTop = top;
    status.textContent ||= texts.taken_back;
    (list.querySelector("button") ?? close).focus({ preventScroll: true });
  }

  return {
    element: dialog,
    open() {
      generation += 1;
      oldest = null;
      loading = null;
      list.replaceChildren();
      earlier.hidden = true;
      status.textContent = texts.reading;
      dialog.showModal();
      close.focus();
      return loadPage();
    },
  };
}

/**
 * Return "3 minutes ago", in the page's language.
 * @param {Date} at
 * @param {number} [now]
 */
export function relativeTime(at, now = Date.now()) {
  const seconds = (at.getTime() - now) / 1000;
  /** @type {[Intl.RelativeTimeFormatUnit, number][]} */
  const units = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const [unit, length] = units.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(Math.min(0, Math.round(seconds / length)), unit);
}
