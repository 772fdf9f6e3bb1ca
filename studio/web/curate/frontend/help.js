// The list of keys.
function makeHelp(texts) {
  const rows = KEYS.map(([keys, name]) => element("div", { className: "key" },
    element("dt", {}, element("kbd", {}, keys)), element("dd", {}, texts[name])));
  const dialog = element("dialog", { className: "help-dialog", "aria-label": texts.title },
    element("h2", {}, texts.title), element("dl", {}, ...rows), element("p", { className: "note" }, texts.about),
    element("footer", {}, button(texts.close, () => dialog.close())));
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  return { element: dialog, open: () => dialog.showModal() };
}
