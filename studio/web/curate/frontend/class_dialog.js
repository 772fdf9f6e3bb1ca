// The dialog in which classes are named, coloured, ordered, merged and removed. All of it works by keyboard.

// act({ act, …fields }) does an act of POST classes; it rejects with an Error whose message is for people.
function makeClassDialog({ texts: { classes: texts }, classes, act }) {
  const rows = new Map();
  let waiting = Promise.resolve(); // acts are done one after the other, in the order in which they were asked
  let moving = 0; // while rows are moved by hand, and until the studio has heard of it, they stay where they are

  const list = element("ol", { className: "classes-list" });
  const status = element("p", { className: "classes-status", role: "status" });
  const newName = element("input", {
    type: "text", maxLength: 80, autocomplete: "off", placeholder: texts.new_name, "aria-label": texts.new_name,
  });
  const fault = element("p", { className: "classes-fault", role: "alert" });
  const form = element("form", { className: "classes-new" }, newName,
    element("button", { type: "submit", className: "classes-strong" }, texts.add));
  const close = button("×", () => dialog.close(), { className: "classes-close", "aria-label": texts.close, title: texts.close });
  const head = element("div", { className: "classes-head", "aria-hidden": "true" },
    ...["colour", "name", "key", "count"].map((each) => element("span", { className: `classes-head-${each}` }, texts[each])));
  const dialog = element("dialog", { className: "classes", "aria-label": texts.classes },
    element("header", {}, element("h2", {}, texts.classes), close),
    element("p", { className: "classes-about" }, texts.about),
    head, list, form, fault, status);

  dialog.onclick = (event) => { if (event.target === dialog && isOutside(event)) dialog.close(); };
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the grid's keys are not meant here
  form.onsubmit = async (event) => {
    event.preventDefault();
    fault.textContent = "";
    try {
      await ask({ act: "add", name: newName.value });
      newName.value = "";
      list.lastElementChild?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      fault.textContent = error.message;
    }
    newName.focus();
  };

  function ask(fields) {
    const done = waiting.then(() => act(fields)).then(() => {
      draw();
      status.textContent = texts[`done_${fields.act}`];
    });
    waiting = done.catch(() => draw());
    return done;
  }

  function isOutside({ clientX, clientY }) {
    const box = dialog.getBoundingClientRect();
    return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
  }

  function draw() {
    const all = classes();
    const had = [...list.children].indexOf(list.getRootNode().activeElement?.closest?.("li"));
    for (const [id, row] of rows) {
      if (!all.some((each) => each.id === id)) {
        row.element.remove();
        rows.delete(id);
      }
    }
    all.forEach((aClass, at) => {
      if (!rows.has(aClass.id)) {
        rows.set(aClass.id, makeClassRow({ texts, ask, classes, move, drag }));
      }
      const row = rows.get(aClass.id);
      row.draw(aClass, {
        first: at === 0, last: at === all.length - 1, alone: all.length === 1, automatic: keyOf(all, aClass),
      });
      if (!row.element.isConnected || (!moving && list.children[at] !== row.element)) putAt(row.element, at);
    });
    head.hidden = !all.length;
    // Where the class with the focus is gone, its neighbour has it.
    if (had >= 0 && !list.contains(list.getRootNode().activeElement)) {
      (rowAt(Math.min(had, all.length - 1))?.name ?? newName).focus();
    }
  }

  // An element that is moved loses the focus, so it is given back.
  function putAt(element_, at) {
    const active = list.getRootNode().activeElement;
    list.insertBefore(element_, list.children[at] ?? null);
    if (element_.contains(active)) active.focus();
  }

  function rowAt(at) {
    return rows.get(Number(list.children[at]?.dataset.id));
  }

  // Moves a class by a step, at once, and says where it now is.
  async function move(id, step) {
    const row = rows.get(id).element;
    const to = [...list.children].indexOf(row) + step;
    if (to < 0 || to >= list.children.length) return;
    putAt(row, step > 0 ? to + 1 : to);
    row.scrollIntoView({ block: "nearest" });
    await reorder();
    status.textContent = filled(texts.moved, { place: formatted(to + 1), count: formatted(list.children.length) });
  }

  // Asks for the order in which the rows stand.
  async function reorder() {
    moving += 1;
    fault.textContent = "";
    try {
      await ask({ act: "reorder", order: [...list.children].map((each) => Number(each.dataset.id)) });
    } catch (error) {
      fault.textContent = error.message;
    }
    moving -= 1;
    draw();
  }

  // Rows follow the finger or the mouse; what came of it is asked for when it is let go.
  function drag(event, row) {
    if (event.button !== 0) return;
    event.preventDefault();
    const handle = event.currentTarget;
    const before = [...list.children];
    moving += 1;
    handle.setPointerCapture(event.pointerId);
    row.classList.add("classes-dragged");
    handle.onpointermove = ({ clientY }) => {
      const middle = (each) => {
        const box = each.getBoundingClientRect();
        return box.top + box.height / 2;
      };
      // The others step over the row: moved itself, it would lose the pointer.
      for (let next; (next = row.nextElementSibling) && middle(next) < clientY;) row.before(next);
      for (let last; (last = row.previousElementSibling) && middle(last) > clientY;) row.after(last);
      row.scrollIntoView({ block: "nearest" });
    };
    handle.onlostpointercapture = () => {
      handle.onpointermove = handle.onlostpointercapture = null;
      row.classList.remove("classes-dragged");
      moving -= 1;
      if (before.some((each, at) => list.children[at] !== each)) reorder();
    };
  }

  return {
    element: dialog,
    // classId: the class whose name is wanted, or nothing.
    open(classId) {
      fault.textContent = status.textContent = "";
      rows.clear();
      list.replaceChildren();
      draw();
      dialog.showModal();
      const row = rows.get(classId);
      row?.element.scrollIntoView({ block: "center" });
      (row?.name ?? close).focus();
      row?.name.select();
    },
    // To be called when the classes are not what they were.
    refresh() {
      if (dialog.open) draw();
    },
  };
}
