// The grid as a whole. One view a project, built once and moved to wherever the page draws it: a page that runs again
// finds it as it was, one that is come back to finds what was done still there to be undone.
let current = null;

export default function ({ data, parentElement }) {
  if (current?.place !== data.place) {
    current?.end();
    current = new Curating(data);
  }
  const view = current;
  const home = parentElement.querySelector(".home");
  if (view.element.parentNode !== home) home.replaceChildren(view.element);
  view.enter();
  return () => view.leave();
}
