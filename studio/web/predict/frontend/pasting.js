export default function ({ data, parentElement, setTriggerValue }) {
  const { texts, largest_bytes: largest } = data;
  const said = element("p", { role: "status" });
  const target = element("div", { className: "target", tabIndex: 0, ariaLabel: texts.paste },
    element("strong", { textContent: texts.paste }), element("span", { className: "quiet", textContent: texts.about }));
  target.role = "textbox";
  const look = button(texts.button, fromClipboard);
  look.hidden = !navigator.clipboard?.read; // hidden from pages that are not safe
  parentElement.querySelector(".place").replaceChildren(
    element("section", {}, target, element("div", { className: "row" }, look), said));

  function say(text, fault = true) {
    said.textContent = text;
    said.classList.toggle("fault", fault);
  }

  async function take(blob, name) {
    if (!blob) return say(texts.nothing);
    if (blob.size > largest) return say(texts.too_large);
    const reader = new FileReader();
    reader.onerror = () => say(texts.nothing);
    reader.onload = () => {
      say(texts.taken, false);
      setTriggerValue("image", { name: name || texts.name, data: reader.result.slice(reader.result.indexOf(",") + 1) });
    };
    reader.readAsDataURL(blob);
  }

  function onPaste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    event.preventDefault();
    take(file, file?.name === "image.png" ? "" : file?.name);
  }

  async function fromClipboard() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) return take(await item.getType(type));
      }
      say(texts.nothing);
    } catch {
      say(texts.refused);
    }
  }

  // Anywhere on the page, as long as the place is to be seen and nobody is typing.
  function onPagePaste(event) {
    const inField = event.composedPath()[0]?.matches?.("input, textarea, [contenteditable]");
    const holdsImage = [...(event.clipboardData?.files ?? [])].some(({ type }) => type.startsWith("image/"));
    if (!event.defaultPrevented && !inField && holdsImage && target.offsetWidth) onPaste(event);
  }

  target.addEventListener("paste", onPaste);
  document.addEventListener("paste", onPagePaste);
  return () => document.removeEventListener("paste", onPagePaste);
}
