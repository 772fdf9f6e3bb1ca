// The dialog in which a run gets a name and a note.

// save(run, name, note): keeps them.
function makeNaming({ texts, save }) {
  const name = element("input", { type: "text", maxLength: 80 });
  const note = element("textarea", { rows: 4, maxLength: 2000 });
  const title = element("h2", {});
  let run = null;
  const form = element("form", {
    method: "dialog",
    onsubmit: () => save(run, name.value.trim(), note.value.trim()),
  }, title, element("label", {}, element("span", {}, texts.name), name),
  element("label", {}, element("span", {}, texts.note), note),
  element("footer", {}, button(texts.cancel, () => dialog.close()),
    element("button", { type: "submit", className: "primary" }, texts.save)));
  const dialog = element("dialog", { className: "naming", "aria-label": texts.rename }, form);
  // Keys typed here are not the page's.
  dialog.onkeydown = (event) => event.stopPropagation();
  return {
    element: dialog,
    open(given) {
      run = given;
      title.textContent = run.number;
      name.placeholder = run.number;
      [name.value, note.value] = [run.name, run.note];
      dialog.showModal();
      name.focus();
    },
  };
}
