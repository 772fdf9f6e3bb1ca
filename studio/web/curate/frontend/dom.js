// Small helpers that all files of the grid share. Python puts the files one after the other: they are one module.

// Makes an element: element("p", { className: "x", "aria-label": "y" }, "text", child). Names with a hyphen, and role,
// are attributes, others are properties; children that are null or false are left out. Texts are never HTML.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

// Fills {name} in a text.
function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function formatted(value, options = {}) {
  return value.toLocaleString(document.documentElement.lang || "en", options);
}

// Says "1 image" or "600 images"; texts are { one, many }.
function counted(texts, count) {
  return filled(count === 1 ? texts.one : texts.many, { count: formatted(count) });
}

// Whether keys belong to what is being typed into.
function isTyping(target) {
  return target instanceof HTMLInputElement ? !["checkbox", "radio", "range", "button"].includes(target.type)
    : target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target?.isContentEditable === true;
}

function later(wait_ms, act) {
  let timer;
  return () => {
    timer ??= setTimeout(() => { timer = undefined; act(); }, wait_ms);
  };
}
