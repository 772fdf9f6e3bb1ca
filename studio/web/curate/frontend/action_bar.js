// What can be done with what is selected; there only while something is.

// actions: what each button does, by name.
function makeActionBar(texts, actions) {
  const count = element("strong", { role: "status" });
  const tool = (name, className = "") => button(texts[name], actions[name], { className });
  const copies = tool("keep_best");
  const keep = tool("keep_label"), other = tool("use_other");
  const accept = tool("accept");
  const bar = element("div", { className: "actions", role: "toolbar", "aria-label": texts.bar, hidden: true },
    count, tool("label", "primary"), accept, tool("reject"), tool("unlabel"), copies, keep, other,
    element("span", { className: "space" }), tool("all", "quiet"), tool("none", "quiet"));
  return {
    element: bar,
    draw(selected, look) {
      const was = bar.hidden;
      bar.hidden = !selected;
      if (selected) count.textContent = filled(texts.selected, { count: formatted(selected) });
      copies.hidden = !look.filter.copies && look.order !== "group";
      keep.hidden = other.hidden = !look.filter.clash;
      return was !== bar.hidden;
    },
  };
}
