export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Puts values into a text's places: filled("{done} of {total}", {done: 1, total: 2}).
export const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);
