// DOM elements, texts with placeholders, and numbers in the page's language. Shared by all components of the studio;
// it lies here because an exported page has to hold all that it imports.

/** @import { Child, Plural, Properties } from "./types.js" */

/**
 * Create an HTML element: element("p", { className: "x", "aria-label": "y" }, "text", child). Names with a hyphen, and
 * role, are attributes, others are properties; children that are null or false are left out. Texts are never HTML.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = /** @type {Properties<HTMLElementTagNameMap[Tag]>} */ ({}), ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") created.setAttribute(name, `${value}`);
    else Reflect.set(created, name, value);
  }
  created.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return created;
}

/**
 * @param {string} text
 * @param {(event: PointerEvent) => unknown} onclick
 * @param {Properties<HTMLButtonElement>} [properties]
 */
export function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

/**
 * Create an SVG element; all of its properties are attributes.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svgElement(tag, attributes = {}, ...children) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, `${value}`);
  created.append(...children);
  return created;
}

/**
 * Return an element that is known to be in the page.
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {{ new (): Kind }} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`expected a ${kind.name} with the id ${id}`);
  return found;
}

/**
 * Fill the placeholders of a text: fillText("{done} of {total}", { done: 1, total: 2 }).
 * @param {string} text
 * @param {Record<string, unknown>} values
 */
export function fillText(text, values) {
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => `${values[name] ?? placeholder}`);
}

/** The page's language, as a BCP 47 tag. */
export function language() {
  return document.documentElement.lang || "en";
}

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
export function formatNumber(value, options = {}) {
  return value.toLocaleString(language(), options);
}

/**
 * Return "1 image" or "600 images".
 * @param {Plural} texts
 * @param {number} count
 */
export function pluralText(texts, count) {
  return fillText(count === 1 ? texts.one : texts.many, { count: formatNumber(count) });
}

/**
 * Return whether keys belong to what is being typed into.
 * @param {EventTarget | null | undefined} target
 */
export function isTextField(target) {
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "range", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
    || (target instanceof HTMLElement && target.isContentEditable);
}

/**
 * Return a function that calls back once, wait_ms after the first of any number of calls.
 * @param {number} wait_ms
 * @param {() => unknown} callback
 */
export function throttled(wait_ms, callback) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    if (timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      callback();
    }, wait_ms);
  };
}

/**
 * Return the message of what was thrown.
 * @param {unknown} error
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : `${error}`;
}

/**
 * Return the document or the shadow root that a node stands in.
 * @param {Node} node
 */
export function rootOf(node) {
  const root = node.getRootNode();
  return root instanceof ShadowRoot ? root : document;
}
