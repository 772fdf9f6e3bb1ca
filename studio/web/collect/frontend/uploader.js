// Upload of files and folders that are dropped or chosen. One view a key, built once and moved to wherever the page draws
// it: a page that runs again, or is left and come back to, finds the upload as it was.
import { button, element, fillText, formatNumber, throttled } from "../../../share/web_demo/page/dom.js";
import { UploadSession } from "./upload_session.js";

/** @import { Properties } from "../../../share/web_demo/page/types.js" */
/** @import { ComponentArgs } from "../../components/types.js" */
/** @import { NamedFile, UploaderData, UploaderTexts } from "./types.js" */

/** @typedef {ReturnType<typeof makeUploader>} UploaderView */

/** @type {Map<string, UploaderView>} */
const views = new Map();
const REDRAW_MS = 250; // hundreds of changes a second become four drawings
// Files and folders that systems leave behind.
const IGNORED_NAMES = new Set(["__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin"]);

/** @param {ComponentArgs<UploaderData>} args */
export default function ({ data, parentElement, setTriggerValue }) {
  const view = views.get(data.key) ?? makeUploader(data);
  views.set(data.key, view);
  view.data = data;
  view.onFinished = (job) => setTriggerValue("finished", job);
  const place = parentElement.querySelector(".place");
  if (place && view.element.parentNode !== place) place.replaceChildren(view.element);
  view.draw();
}

/** @param {UploaderData} data */
function makeUploader(data) {
  const { texts } = data;
  /** @type {UploadSession | null} */
  let session = null;
  let isReadingFolders = false;

  const choosers = [fileChooser(texts.choose_files, {})];
  if ("webkitdirectory" in HTMLInputElement.prototype) {
    choosers.push(fileChooser(texts.choose_folder, { webkitdirectory: true }));
  }
  const destination = element("p", { className: "destination" });
  const dropZone = element("div", { className: "drop" },
    element("p", { className: "lead" }, texts.drop),
    element("p", { className: "about" }, texts.about),
    element("div", { className: "row" }, ...choosers), destination);
  const bar = element("progress", { max: 1, ariaLabel: texts.progress });
  const figures = element("p", { className: "figures" });
  const again = button(texts.again, () => session?.run());
  const cancel = button(texts.cancel, () => session?.cancel());
  const panel = element("div", { className: "panel" }, bar, figures, element("div", { className: "row" }, again, cancel));
  const status = element("p", { className: "status", role: "status" });
  const root = element("section", { className: "uploader", ariaLabel: texts.uploader }, status, panel, dropZone);
  const drawSoon = throttled(REDRAW_MS, draw);
  const view = { data, element: root, draw, onFinished: (/** @type {number | null} */ _job) => {} };

  /**
   * @param {string} text
   * @param {Properties<HTMLInputElement>} properties
   */
  function fileChooser(text, properties) {
    const input = element("input", { type: "file", multiple: true, ...properties });
    input.onchange = () => {
      const files = Array.from(input.files ?? [], (file) => ({ name: file.webkitRelativePath || file.name, file }));
      input.value = ""; // so that the same files can be chosen again
      begin(files.filter(({ name }) => !isIgnored(name)));
    };
    return element("label", { className: "button" }, text, input);
  }

  /**
   * @param {string} text
   * @param {boolean} [isError]
   */
  function announce(text, isError = false) {
    if (status.textContent !== text) status.textContent = text; // a screen reader reads each change
    status.classList.toggle("error", isError);
  }

  /** @param {NamedFile[]} files */
  function begin(files) {
    if (!files.length) {
      announce(texts.nothing, true);
      return;
    }
    files.sort((one, other) => (one.name < other.name ? -1 : 1));
    const { project, class_name } = view.data;
    const begun = new UploadSession(files, { project, class_name, kind: "upload" }, texts, drawSoon);
    session = begun;
    begun.run().then(() => {
      if (begun.state === "done" && root.isConnected) view.onFinished(begun.job);
    });
  }

  function draw() {
    const isBusy = session !== null && ["sending", "finishing", "failed"].includes(session.state);
    panel.hidden = !isBusy;
    dropZone.hidden = isBusy || isReadingFolders;
    const { class_name } = view.data;
    destination.textContent = class_name ? fillText(texts.aim, { class_name }) : texts.aimless;
    if (isReadingFolders) announce(texts.looking);
    else if (session) drawSession(session);
  }

  /** @param {UploadSession} shown */
  function drawSession(shown) {
    const { files, bytes, state, secondsLeft, unreadable } = shown;
    const total = { count: wholeNumber(files.length), bytes: fileSize(bytes) };
    again.hidden = state !== "failed";
    bar.value = shown.fraction;
    figures.textContent = [
      fillText(texts.files, { done: wholeNumber(shown.sentFiles), total: total.count }),
      fillText(texts.bytes, { done: fileSize(shown.sentBytes), total: total.bytes }),
      ...(secondsLeft === null ? [] : [fillText(texts.left, { time: duration(secondsLeft, texts) })]),
    ].join(" · ");
    if (state === "failed") announce(shown.error?.message ?? "", true);
    else if (state === "cancelled") announce(texts.cancelled);
    else if (state === "finishing") announce(texts.finishing);
    else if (state === "sending") announce(shown.waiting ? texts.waiting : fillText(texts.sending, total));
    else {
      const leftOut = unreadable.length
        ? ` ${fillText(texts.left_out, { count: unreadable.length, name: unreadable[0] })}` : "";
      announce(fillText(texts.done, total) + leftOut, unreadable.length > 0);
    }
  }

  dropZone.ondragover = (event) => {
    event.preventDefault();
    dropZone.classList.add("over");
  };
  dropZone.ondragleave = ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node && dropZone.contains(relatedTarget))) dropZone.classList.remove("over");
  };
  dropZone.ondrop = async (event) => {
    event.preventDefault();
    dropZone.classList.remove("over");
    // The list is emptied when this event is over: all is taken out of it before the first wait.
    const entries = Array.from(event.dataTransfer?.items ?? [], (item) => item.webkitGetAsEntry());
    /** @type {NamedFile[]} */
    const found = [];
    isReadingFolders = true;
    draw();
    await Promise.all(entries.map((entry) => entry && collectFiles(entry, found)));
    isReadingFolders = false;
    begin(found);
    draw();
  };
  return view;
}

/**
 * Collect the files of a dropped file or folder.
 * @param {FileSystemEntry} entry
 * @param {NamedFile[]} found
 * @returns {Promise<void>}
 */
async function collectFiles(entry, found) {
  const name = entry.fullPath.replace(/^\//, "");
  if (isIgnored(name)) return;
  if (entry.isFile) {
    /** @type {File | null} */
    const file = await new Promise((resolve) => {
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, () => resolve(null));
    });
    if (file) found.push({ name, file });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) { // a folder is given a hundred entries at a time
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((resolve) => { reader.readEntries(resolve, () => resolve([])); });
    if (!entries.length) return;
    await Promise.all(entries.map((each) => collectFiles(each, found)));
  }
}

/** @param {string} name */
export function isIgnored(name) {
  return name.split("/").some((part) => part.startsWith(".") || IGNORED_NAMES.has(part.toLowerCase()));
}

/** @param {number} value */
function wholeNumber(value) {
  return formatNumber(value, { maximumFractionDigits: 0 });
}

/** @param {number} bytes */
export function fileSize(bytes) {
  const [unit, scale] = bytes >= 1e9 ? ["GB", 1e9] : bytes >= 1e6 ? ["MB", 1e6] : /** @type {const} */ (["kB", 1e3]);
  return `${formatNumber(bytes / scale, { maximumFractionDigits: bytes < 1e7 || bytes >= 1e9 ? 1 : 0 })} ${unit}`;
}

/**
 * @param {number} seconds
 * @param {Pick<UploaderTexts, "seconds" | "minutes" | "hours">} texts
 */
export function duration(seconds, texts) {
  if (seconds < 60) return fillText(texts.seconds, { count: wholeNumber(Math.max(1, seconds)) });
  if (seconds < 3600) return fillText(texts.minutes, { count: wholeNumber(seconds / 60) });
  return fillText(texts.hours, { count: formatNumber(seconds / 3600, { maximumFractionDigits: 1 }) });
}
