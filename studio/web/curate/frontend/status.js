// What is said: in one line below the grid, to screen readers, and, where a person has to know or decide, in notices.
const NOTICE_MS = 8_000;

// hint: what else stands in the line.
function makeStatus(texts, hint) {
  const live = element("p", { className: "live", role: "status", "aria-live": "polite" });
  const about = element("span", { className: "about" });
  const said = element("span", { className: "said", "aria-hidden": "true" });
  const saved = element("span", { className: "saved" });
  const line = element("div", { className: "status" }, about, said, hint, saved);
  const notices = element("div", {
    className: "notices", role: "log", "aria-live": "assertive", "aria-label": texts.notices,
  });

  return {
    element: line,
    live,
    notices,
    // What was just done. The same words twice are two things done, and are read twice.
    say(text) {
      said.textContent = text;
      live.textContent = live.textContent === text ? `${text}\u00a0` : text;
    },
    // actions: [[text, act]]; one with actions, or a fault, stays until somebody answers it.
    tell(text, actions = [], kind = "") {
      const notice = element("div", { className: `notice ${kind}` }, element("p", {}, text));
      const close = () => notice.remove();
      for (const [label, act] of actions) notice.append(button(label, () => { close(); act(); }));
      notice.append(button("✕", close, { className: "quiet", "aria-label": texts.close }));
      notices.append(notice);
      if (!actions.length && kind !== "fault") setTimeout(close, NOTICE_MS);
    },
    draw({ total, complete, selected, waiting, fault, why, unkept, away }) {
      const parts = [counted(complete ? texts.images : texts.images_so_far, total)];
      if (selected) parts.push(filled(texts.selected, { count: formatted(selected) }));
      about.textContent = parts.join(" · ");
      const pending = waiting ? counted(texts.waiting, waiting) : texts.saved;
      const trouble = fault === "refused" && why ? why : texts[fault === "away" && !waiting ? "" : fault]
        || (away && texts[waiting ? "away" : "silent"]);
      saved.textContent = [trouble, unkept ? texts.unkept : "", pending].filter(Boolean).join(" ");
      saved.classList.toggle("fault", Boolean(trouble || unkept));
      saved.classList.toggle("busy", waiting > 0);
    },
  };
}
