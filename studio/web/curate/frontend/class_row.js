// One class in the dialog of classes: its colour, name and key in place, its place in the order, and what takes it away.

// ask(fields): does an act and resolves; rejects with what is to be read. move(id, step), drag(event, row): as named.
function makeClassRow({ texts, ask, classes, move, drag }) {
  let now = null; // the class as it was drawn last
  let refused = ""; // a name, so that leaving the field does not ask for it again
  const colour = element("input", { type: "color", className: "classes-colour" });
  const name = element("input", { type: "text", className: "classes-name", maxLength: 80, autocomplete: "off", spellcheck: false });
  const key = element("input", { type: "text", className: "classes-key", maxLength: 1, autocomplete: "off" });
  const count = element("span", { className: "classes-count" });
  const handle = element("span", { className: "classes-handle", "aria-hidden": "true", title: texts.drag }, "⠿");
  const up = button("↑", () => move(now.id, -1)), down = button("↓", () => move(now.id, 1));
  const merge = button(texts.merge, () => open(mergePanel));
  const remove = button(texts.remove, () => open(removePanel));
  const fault = element("p", { className: "classes-fault", role: "alert" });
  const panel = element("div", { className: "classes-panel" });
  const row = element("li", { className: "classes-row" },
    element("div", { className: "classes-fields" }, handle, colour, name, key, count,
      element("span", { className: "classes-acts" }, up, down, merge, remove)),
    fault, panel);
  let panelOf = null;

  function say(text, field = null) {
    fault.textContent = text;
    for (const each of [colour, name, key]) {
      if (each === field && text) each.setAttribute("aria-invalid", "true");
      else each.removeAttribute("aria-invalid");
    }
  }

  // Does an act; what is refused is said beside the field, which keeps what was typed.
  async function attempt(fields, field = null) {
    say("");
    row.setAttribute("aria-busy", "true");
    try {
      await ask({ class: now.id, ...fields });
      return true;
    } catch (error) {
      say(error.message, field);
      return false;
    } finally {
      row.removeAttribute("aria-busy");
    }
  }

  async function rename() {
    const wanted = name.value;
    if (wanted.trim() === now.name) reset(name, now.name);
    else if (wanted !== refused) refused = (await attempt({ act: "rename", name: wanted }, name)) ? "" : wanted;
  }

  function reset(field, value) {
    field.value = value;
    refused = "";
    say("");
  }

  name.onchange = rename;
  key.oninput = () => key.select();
  key.onchange = () => {
    if (key.value.trim().toLowerCase() !== now.hotkey) attempt({ act: "hotkey", hotkey: key.value.trim() }, key);
  };
  key.onfocus = () => key.select();
  colour.onchange = () => attempt({ act: "recolour", colour: colour.value }, colour);
  for (const [field, value] of [[name, () => now.name], [key, () => now.hotkey]]) {
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") field.dispatchEvent(new Event("change"));
      // What was typed is given up first; only then does Escape close the dialog.
      else if (event.key === "Escape" && field.value !== value()) reset(field, value());
      else return;
      event.preventDefault();
    });
  }
  row.onkeydown = (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step || event.target.tagName === "SELECT") return;
    event.preventDefault();
    move(now.id, step);
  };
  handle.onpointerdown = (event) => drag(event, row);

  // Opens one of the two panels under the row, or closes it where it is open.
  function open(make) {
    const same = panelOf === make;
    panelOf = same ? null : make;
    panel.replaceChildren(...(same ? [] : make()));
    merge.setAttribute("aria-expanded", panelOf === mergePanel);
    remove.setAttribute("aria-expanded", panelOf === removePanel);
    panel.querySelector("select, button")?.focus();
  }

  function mergePanel() {
    const choice = element("select", { "aria-label": filled(texts.merge_into, { name: now.name }) },
      ...classes().filter(({ id }) => id !== now.id).map(({ id, name: text }) => element("option", { value: id }, text)));
    const into = element("label", {}, counted(texts.moves, now.count), " ", choice);
    return [into, element("p", {}, texts.undoable), buttons(texts.merge_now, () =>
      attempt({ act: "merge", into: Number(choice.value) }))];
  }

  function removePanel() {
    return [
      element("p", {}, now.count ? counted(texts.returns, now.count) : texts.empty_goes, " ", texts.undoable),
      buttons(texts.remove_now, () => attempt({ act: "remove" })),
    ];
  }

  function buttons(text, act) {
    const shut = () => {
      const opener = panelOf === mergePanel ? merge : remove;
      open(panelOf);
      opener.focus();
    };
    return element("div", { className: "classes-buttons" },
      button(text, act, { className: "classes-strong" }), button(texts.cancel, shut));
  }

  // Draws a class; a field that somebody is changing, or in which something was refused, keeps what is in it.
  function draw(aClass, { first, last, alone, automatic }) {
    const isKept = (field, before) => now !== null && field.value !== before
      && (row.getRootNode().activeElement === field || field.hasAttribute("aria-invalid"));
    if (!isKept(name, now?.name)) name.value = aClass.name;
    if (!isKept(key, now?.hotkey)) key.value = aClass.hotkey;
    now = { ...aClass };
    key.placeholder = automatic;
    colour.value = classColour(aClass);
    count.textContent = formatted(aClass.count);
    [up.disabled, down.disabled, merge.disabled] = [first, last, alone];
    row.dataset.id = aClass.id;
    for (const [made, text] of [
      [colour, texts.colour_of], [name, texts.name_of], [key, texts.key_of], [up, texts.up], [down, texts.down],
      [merge, texts.merge_of], [remove, texts.remove_of],
    ]) {
      const label = filled(text, { name: aClass.name });
      made.setAttribute("aria-label", label);
      made.title = label;
    }
    count.setAttribute("aria-label", counted(texts.images, aClass.count));
  }

  return { element: row, draw, name };
}
