// One image in full, with its provenance: arrows move on, the keys for labels work here, too.
const DETAILS_MS = 120;

function isOfTheWeb(address) {
  return /^https?:\/\//i.test(address);
}

// rows: [{ label, text, address }], strangers' words.
function provenanceList(rows) {
  return element("dl", {}, ...rows.flatMap(({ label, text, address }) => [
    element("dt", {}, label),
    element("dd", {}, isOfTheWeb(address)
      ? element("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, text) : text),
  ]));
}

// view: { index, grid, items, classes, facts, label, … }: see Curating.
function makeCloser(base, texts, view) {
  const figure = element("figure", {});
  const caption = element("p", { className: "caption", role: "status" });
  const details = element("div", { className: "details", "aria-live": "polite" });
  const choices = element("div", { className: "choices", role: "group", "aria-label": texts.label });
  const named = (text) => ({ "aria-label": text, title: text });
  const provenance = button(texts.provenance, () => showDetails(details.hidden), { "aria-pressed": "false", title: "I" });
  const footer = element("footer", {},
    button("‹", () => step(-1), { className: "step", ...named(texts.before) }),
    button("›", () => step(1), { className: "step", ...named(texts.next) }),
    button(texts.reject, () => view.label({ state: "rejected", class: null, name: "" }), { title: "X" }),
    button(texts.unlabel, () => view.label({ state: "unlabelled", class: null, name: "" }), { title: "Backspace" }),
    button(texts.undo, () => view.acts.undo(), { title: "U" }),
    provenance,
    button(texts.alike, () => { dialog.close(); view.openLike(closer.id); }),
    button(texts.close, () => dialog.close(), { className: "close" }));
  const dialog = element("dialog", { className: "closer", tabIndex: -1, "aria-label": texts.name },
    element("div", { className: "seen" }, figure, caption), details, choices, footer);
  let sha = "", about = 0, drawnChoices = "", timer;

  function step(by) {
    view.grid.focusOn(view.grid.focus + by === Infinity ? view.grid.count - 1 : view.grid.focus + by);
    closer.id = view.index.ids[view.grid.focus];
    closer.draw();
  }

  function showDetails(on) {
    details.hidden = !on;
    provenance.setAttribute("aria-pressed", on);
    dialog.classList.toggle("with-details", on);
    about = 0;
    closer.draw();
  }

  function readDetails() {
    const { id } = closer;
    if (details.hidden || about === id) return;
    about = id;
    clearTimeout(timer);
    details.replaceChildren(element("p", {}, texts.loading));
    timer = setTimeout(async () => {
      try {
        const answer = await fetch(`${base}/images/${id}`);
        if (!answer.ok) throw new Error(answer.status);
        const { facts, places } = await answer.json();
        if (id === closer.id) {
          details.replaceChildren(provenanceList(facts), element("h2", {}, texts.places), ...places.map(provenanceList));
        }
      } catch {
        if (id === closer.id) details.replaceChildren(element("p", {}, texts.lost));
      }
    }, DETAILS_MS);
  }

  function drawChoices(facts) {
    const drawn = JSON.stringify([view.classes, facts.label?.name]);
    if (drawn === drawnChoices) return;
    drawnChoices = drawn;
    choices.replaceChildren(...view.classes.map((aClass) => {
      const key = keyOf(view.classes, aClass);
      return element("button", {
        type: "button", className: "choice", "aria-pressed": facts.label?.name === aClass.name,
        onclick: () => view.label({ state: "labelled", class: aClass.id, name: "" }),
      }, markOf(classLook(aClass)), element("span", {}, aClass.name), key && element("kbd", {}, key));
    }), button(texts.other, () => view.choose()));
  }

  const closer = {
    element: dialog,
    id: 0,
    get open() { return dialog.open; },
    step,
    async show(id, withDetails) {
      if (dialog.open && closer.id === id) { // the same key again
        if (withDetails) showDetails(details.hidden);
        else dialog.close();
        return;
      }
      closer.id = id;
      details.hidden = !withDetails;
      provenance.setAttribute("aria-pressed", withDetails);
      dialog.classList.toggle("with-details", withDetails);
      about = 0;
      if (!dialog.open) {
        dialog.showModal();
        dialog.focus(); // none of its buttons: Enter and Space are for the image
      }
      closer.draw();
      if (!view.items.get(id)) await view.items.also(id);
      closer.draw();
    },
    draw() {
      if (!dialog.open) return;
      const facts = view.factsOf(closer.id);
      if (sha !== facts.sha || !figure.firstChild) {
        sha = facts.sha;
        figure.replaceChildren(...(sha ? [element("img", { src: `/studio/images/${sha}`, alt: facts.name })] : []));
      }
      figure.className = facts.state ?? "";
      dialog.setAttribute("aria-label", facts.name ?? texts.name);
      const said = [
        facts.name,
        facts.state === "labelled" ? facts.label?.name : texts[facts.state],
        facts.suggestion && filled(texts.suggestion, facts.suggestion),
        facts.doubt && filled(texts.doubt, { name: facts.doubt }),
        facts.clash && filled(texts.clash, { name: facts.clash }),
      ].filter(Boolean).join(" · ");
      if (caption.textContent !== said) caption.textContent = said;
      drawChoices(facts);
      readDetails();
    },
  };
  dialog.onclose = () => view.grid.element.focus({ preventScroll: true });
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  return closer;
}
