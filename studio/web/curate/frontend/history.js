// The history of labelling: who did what and when, the newest first, and the way back from each.

// undo(operation's id) → Promise; author: this browser's own name there.
function makeHistory({ base, author, texts: { history: texts }, undo }) {
  let oldest = null, reading = null, day = "", generation = 0;
  const list = element("div", { className: "history-list" });
  const status = element("p", { className: "history-status", role: "status" });
  const earlier = button(texts.earlier, () => read(), { className: "history-earlier" });
  const close = button("×", () => dialog.close(), { className: "history-close", "aria-label": texts.close, title: texts.close });
  const dialog = element("dialog", { className: "history", "aria-label": texts.history },
    element("header", {}, element("h2", {}, texts.history), close), status, list, earlier);
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the grid's keys are not meant here
  dialog.onclick = (event) => {
    if (event.target === dialog && event.clientX < dialog.getBoundingClientRect().left) dialog.close();
  };
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting && dialog.open && !status.textContent) read();
  }, { root: dialog, rootMargin: "300px" }).observe(earlier);

  // Reads the next page, or the newest one where nothing has been read.
  function read() {
    reading ??= page(generation).finally(() => { reading = null; });
    return reading;
  }

  async function page(mine) {
    try {
      const answer = await fetch(oldest === null ? `${base}/history` : `${base}/history?before=${oldest}`);
      if (!answer.ok) throw new Error(answer.status);
      const { operations } = await answer.json();
      if (mine !== generation) return;
      if (oldest === null) {
        list.replaceChildren();
        day = "";
      }
      operations.forEach(add);
      oldest = operations.at(-1)?.number ?? oldest;
      earlier.hidden = !operations.length || oldest <= 1;
      status.textContent = list.children.length ? "" : texts.nothing;
    } catch {
      if (mine !== generation) return;
      status.textContent = texts.unread;
      earlier.hidden = false;
    }
  }

  function add(operation) {
    const at = new Date(operation.at);
    const title = at.toLocaleDateString(language(), { weekday: "long", year: "numeric", month: "long", day: "numeric" });
    if (title !== day) {
      day = title;
      list.append(element("section", { "aria-label": title }, element("h3", {}, title), element("ol")));
    }
    list.lastElementChild.lastElementChild.append(row(operation, at));
  }

  function row(operation, at) {
    const { id, text, undone, can_undo: canUndo } = operation;
    const who = operation.author === author ? texts.you : operation.author ? texts.other : texts.studio;
    const fault = element("p", { className: "history-fault", role: "alert" });
    const takeBack = canUndo && button(texts.undo, async () => {
      if (takeBack.getAttribute("aria-disabled") === "true") return;
      takeBack.setAttribute("aria-disabled", "true"); // truly disabled, it would swallow Escape
      fault.textContent = "";
      try {
        await undo(id);
        await again();
      } catch (error) {
        fault.textContent = error.message;
        takeBack.removeAttribute("aria-disabled");
      }
    }, { "aria-label": filled(texts.undo_what, { what: text }) });
    return element("li", { className: undone ? "history-undone" : "" },
      element("div", { className: "history-what" },
        undone ? element("del", {}, text) : element("span", {}, text),
        undone && element("strong", {}, texts.undone)),
      takeBack,
      element("p", { className: "history-who" }, `${who} · `,
        element("time", { dateTime: operation.at, title: at.toLocaleString(language()) },
          `${at.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit" })} · ${ago(at)}`)),
      fault);
  }

  // Reads anew from the newest on, as far as had been read, and stays where one was.
  async function again() {
    const wanted = oldest;
    const top = dialog.scrollTop;
    generation += 1;
    reading = null;
    oldest = null;
    do await read(); while (oldest > wanted && !earlier.hidden && !status.textContent);
    dialog.scrollTop = top;
    status.textContent ||= texts.taken_back;
    (list.querySelector("button") ?? close).focus({ preventScroll: true });
  }

  return {
    element: dialog,
    open() {
      generation += 1;
      [oldest, reading] = [null, null];
      list.replaceChildren();
      earlier.hidden = true;
      status.textContent = texts.reading;
      dialog.showModal();
      close.focus();
      return read();
    },
  };
}

// "3 minutes ago", in the page's language.
function ago(at, now = Date.now()) {
  const seconds = (at - now) / 1000;
  const units = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const [unit, length] = units.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(Math.min(0, Math.round(seconds / length)), unit);
}

function language() {
  return document.documentElement.lang || "en";
}
