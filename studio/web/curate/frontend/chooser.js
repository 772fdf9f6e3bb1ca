// Choosing a class by name: a box that letters open. Enter takes what is marked; a name that is none makes a class.

// classes() gives them all; choose(target) is called with { state, class, name }; closed() when it has gone.
function makeChooser({ texts, classes, choose, closed }) {
  const input = element("input", {
    type: "text", autocomplete: "off", spellcheck: false, maxLength: 80, placeholder: texts.placeholder,
    role: "combobox", "aria-label": texts.name, "aria-expanded": "true", "aria-controls": "class-choices",
    "aria-autocomplete": "list",
  });
  const title = element("h2", {});
  const list = element("ul", { id: "class-choices", role: "listbox", "aria-label": texts.name });
  const dialog = element("dialog", { className: "chooser", "aria-label": texts.name }, title, input, list);
  let options = [];
  let marked = 0;

  // The same letters, however they are put together and however large.
  const plain = (text) => text.normalize("NFKC").toLocaleLowerCase().trim().replace(/\s+/g, " ");

  function find() {
    const wanted = plain(input.value);
    const rank = (name) => [name === wanted, name.startsWith(wanted), name.includes(wanted)].indexOf(true);
    const found = classes().map((aClass) => ({ aClass, rank: rank(plain(aClass.name)) }))
      .filter(({ rank: each }) => each >= 0).sort((one, other) => one.rank - other.rank);
    options = found.map(({ aClass }) => ({ state: "labelled", class: aClass.id, name: "", aClass }));
    if (wanted && found[0]?.rank !== 0) {
      options.push({ state: "labelled", class: null, name: input.value.trim().replace(/\s+/g, " ") });
    }
    marked = 0;
    draw();
  }

  function draw() {
    list.replaceChildren(...options.map((option, at) => {
      const { aClass } = option;
      const made = element("li", { id: `class-choice-${at}`, role: "option", "aria-selected": at === marked },
        ...(aClass
          ? [markOf(classLook(aClass)), element("span", { className: "name" }, aClass.name),
            element("span", { className: "count" }, formatted(aClass.count ?? 0))]
          : [element("span", { className: "name" }, filled(texts.make, { name: option.name }))]));
      made.onpointerdown = (event) => event.preventDefault();
      made.onclick = () => take(at);
      return made;
    }));
    if (!options.length) list.append(element("li", { className: "hint" }, texts.none));
    list.children[marked]?.scrollIntoView({ block: "nearest" });
    if (options.length) input.setAttribute("aria-activedescendant", `class-choice-${marked}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function take(at) {
    const option = options[at];
    if (!option) return;
    dialog.close();
    choose({ state: option.state, class: option.class, name: option.name });
  }

  input.oninput = find;
  input.onkeydown = (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) {
      marked = (marked + step + options.length) % options.length;
      draw();
    } else if (event.key === "Enter") take(marked);
    else return;
    event.preventDefault();
  };
  dialog.onclose = closed;
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };

  return {
    element: dialog,
    open(said, typed = "") {
      title.textContent = said;
      input.value = typed;
      find();
      dialog.showModal();
      input.focus();
      input.setSelectionRange(typed.length, typed.length);
    },
  };
}
