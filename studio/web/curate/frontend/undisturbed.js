// When Streamlit's own line is cut it covers the page with a dialog that takes the keyboard. The grid says the same in
// its last line, keeps what is done, and is to be worked with meanwhile: so the dialog is closed as soon as it comes.
const STREAMLIT_DIALOG = '[data-testid="stDialog"], [role="dialog"][class*="st-"]';

function keepUndisturbed(root, view) {
  let last = null; // what had the focus
  root.addEventListener("focusin", (event) => { last = event.composedPath()[0]; });
  const observer = new MutationObserver(() => {
    if (!view.here || !view.away || !root.isConnected) return;
    const close = document.querySelector(STREAMLIT_DIALOG)?.querySelector("button");
    if (!close) return;
    close.click();
    setTimeout(() => (last?.isConnected ? last : view.grid.element).focus({ preventScroll: true }), 50);
  });
  observer.observe(document.body, { childList: true });
  view.ends.signal.addEventListener("abort", () => observer.disconnect());
}
