// The status bar below the grid, the live region for screen readers, and notices that a person has to read or answer.
import { button, element, fillText, formatNumber, pluralText } from "../../../share/web_demo/page/dom.js";

/** @import { QueueError } from "./label_queue.js" */
/** @import { CurateTexts } from "./texts.js" */

/**
 * waiting: labels that are not saved; error, message: of the queue; hasUnstored: some would be lost with the tab.
 * @typedef {{
 *   total: number, isComplete: boolean, selected: number, waiting: number, error: QueueError, message: string,
 *   hasUnstored: boolean, isAway: boolean,
 * }} Status
 */

const NOTICE_MS = 8_000;

/**
 * @param {CurateTexts["status"]} texts
 * @param {HTMLElement} hint  what else stands in the bar
 */
export function makeStatusBar(texts, hint) {
  const live = element("p", { className: "live", role: "status", "aria-live": "polite" });
  const counts = element("span", { className: "about" });
  const message = element("span", { className: "message", "aria-hidden": "true" });
  const saved = element("span", { className: "saved" });
  const bar = element("div", { className: "status" }, counts, message, hint, saved);
  const notices = element("div", {
    className: "notices", role: "log", "aria-live": "assertive", "aria-label": texts.notices,
  });

  /**
   * Show what was just done. The same text twice is two things done, and is read twice.
   * @param {string} text
   */
  function announce(text) {
    message.textContent = text;
    live.textContent = live.textContent === text ? `${text}\u00a0` : text;
  }

  /**
   * Show a notice. One with actions, or of an error, stays until somebody closes it.
   * @param {string} text
   * @param {[label: string, action: () => unknown][]} [actions]
   * @param {"" | "error" | "conflict"} [kind]
   */
  function notify(text, actions = [], kind = "") {
    const notice = element("div", { className: `notice ${kind}` }, element("p", {}, text));
    const close = () => notice.remove();
    for (const [label, action] of actions) {
      notice.append(button(label, () => {
        close();
        action();
      }));
    }
    notice.append(button("✕", close, { className: "quiet", "aria-label": texts.close }));
    notices.append(notice);
    if (!actions.length && kind !== "error") setTimeout(close, NOTICE_MS);
  }

  /** @param {Status} status */
  function problemText({ waiting, error, message: refusal, isAway }) {
    if (error === "refused" && refusal) return refusal;
    const key = error === "away" && !waiting ? "" : error;
    return (key && texts[key]) || (isAway && texts[waiting ? "away" : "silent"]);
  }

  /** @param {Status} status */
  function draw(status) {
    const { total, isComplete, selected, waiting, hasUnstored } = status;
    const parts = [pluralText(isComplete ? texts.images : texts.images_so_far, total)];
    if (selected) parts.push(fillText(texts.selected, { count: formatNumber(selected) }));
    counts.textContent = parts.join(" · ");
    const pending = waiting ? pluralText(texts.waiting, waiting) : texts.saved;
    const problem = problemText(status);
    saved.textContent = [problem, hasUnstored ? texts.unkept : "", pending].filter(Boolean).join(" ");
    saved.classList.toggle("error", Boolean(problem || hasUnstored));
    saved.classList.toggle("busy", waiting > 0);
  }

  return { element: bar, live, notices, announce, notify, draw };
}
