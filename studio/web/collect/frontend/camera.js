// Images from a camera, many while a button is held. One view a key, as in uploader.js: neither the camera's image nor a
// burst that is being sent stops when the page runs again.
import { cameraStream, isCameraAvailable } from "../../components/camera_stream.js";
import { button, element, fillText, formatNumber } from "../../../share/web_demo/page/dom.js";
import { UploadSession } from "./upload_session.js";

/** @import { CameraView, ComponentArgs } from "../../components/types.js" */
/** @import { CameraData } from "./types.js" */

/** @typedef {{ name: string, file: Blob | null }} Frame */
/**
 * The images of one hold of the button. encoding: how many are being compressed.
 * @typedef {{
 *   className: string, at: string, frames: Frame[], count: number, encoding: number, hasEnded: boolean,
 *   isSettled: boolean, timer?: ReturnType<typeof setTimeout>,
 * }} Burst
 */

/** @type {Map<string, ReturnType<typeof makeCamera>>} */
const views = new Map();
const JPEG_QUALITY = 0.92;
const CONSTRAINTS = { width: { ideal: 1920 }, height: { ideal: 1080 } };
const STRIP_IMAGES = 24;
const THUMBNAIL_PX = 96;
const INTERVAL_MS = { min: 100, max: 2000, step: 50 };
const MAX_ENCODING = 3; // so many images are compressed at once; a slow machine takes fewer rather than run full

/** @param {ComponentArgs<CameraData>} args */
export default function ({ data, parentElement, setTriggerValue }) {
  const view = views.get(data.key) ?? makeCamera(data);
  views.set(data.key, view);
  view.data = data;
  view.onFinished = (job) => setTriggerValue("finished", job);
  const place = parentElement.querySelector(".place");
  if (place && view.element.parentNode !== place) {
    place.replaceChildren(view.element);
    view.resume();
  }
  view.draw();
}

/** @param {CameraData} data */
function makeCamera(data) {
  const { texts, interval_ms: firstInterval } = data;
  /** @type {Burst | null} */
  let burst = null;
  /**
   * A burst that waits to be looked through.
   * @type {Burst | null}
   */
  let heldBurst = null;
  /** @type {UploadSession[]} */
  const sessions = [];
  let isSending = false, sentFiles = 0;

  const video = element("video", { muted: true, playsInline: true, autoplay: true, ariaLabel: texts.live });
  const counter = element("span", { className: "counter", ariaHidden: "true" });
  const stage = element("div", { className: "stage" }, video, counter);
  const power = button(texts.on, () => (view.stream ? stream.turnOff() : stream.turnOn()));
  const cameras = element("select");
  const camerasLabel = element("label", {}, texts.which, cameras);
  const every = element("input", { type: "number", ...INTERVAL_MS, value: firstInterval });
  every.onchange = () => { every.value = `${interval()}`; };
  const review = element("input", { type: "checkbox" });
  const settings = element("div", { className: "settings" }, power, camerasLabel,
    element("label", {}, texts.every, every), element("label", {}, review, texts.review));
  const shutter = element("button", { type: "button", className: "shutter" });
  const strip = element("ul", { className: "strip", ariaLabel: texts.strip });
  const send = button("", () => {
    if (heldBurst) enqueue(heldBurst);
    heldBurst = null;
  });
  const discard = button(texts.discard, () => {
    heldBurst = null;
    strip.replaceChildren();
    draw();
  });
  const heldButtons = element("div", { className: "row" }, send, discard);
  const again = button(texts.again, () => sendNext());
  const drop = button(texts.discard, () => {
    sessions.shift()?.cancel();
    sendNext();
  });
  const failedButtons = element("div", { className: "row" }, again, drop);
  const hint = element("p", { className: "hint", role: "status" });
  const status = element("p", { className: "status", role: "status" });
  const root = element("section", { className: "camera", ariaLabel: texts.camera },
    hint, stage, shutter, strip, heldButtons, status, failedButtons, settings);
  const canvas = element("canvas");
  /** @type {CameraView & { data: CameraData, resume: () => void, onFinished: (job: number | null) => void }} */
  const view = {
    data, element: root, stream: null, starting: false, error: "", draw, resume: () => stream.resume(), onFinished: () => {},
  };

  function interval() {
    return Math.min(INTERVAL_MS.max, Math.max(INTERVAL_MS.min, Math.round(Number(every.value)) || firstInterval));
  }

  function beginBurst() {
    if (burst || shutter.disabled) return;
    if (heldBurst) enqueue(heldBurst);
    heldBurst = null;
    strip.replaceChildren();
    const at = new Date().toISOString().replaceAll(":", "-"); // allowed in file names on all systems
    /** @type {Burst} */
    const begun = {
      className: view.data.class_name ?? "", at, frames: [], count: 0, encoding: 0, hasEnded: false, isSettled: false,
    };
    burst = begun;
    let due = performance.now();
    const tick = () => {
      takeFrame(begun);
      due = Math.max(due + interval(), performance.now());
      begun.timer = setTimeout(tick, due - performance.now());
    };
    tick();
    draw();
  }

  function endBurst() {
    if (!burst) return;
    const ended = burst;
    clearTimeout(ended.timer);
    burst = null;
    ended.hasEnded = true;
    settle(ended);
    draw();
  }

  /** @param {Burst} current */
  function takeFrame(current) {
    if (video.readyState < 2 || current.encoding >= MAX_ENCODING) return;
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    current.count++;
    /** @type {Frame} */
    const frame = { name: `camera-${current.at}-${`${current.count}`.padStart(4, "0")}.jpg`, file: null };
    current.frames.push(frame);
    current.encoding++;
    canvas.toBlob((blob) => {
      frame.file = blob;
      current.encoding--;
      settle(current);
    }, "image/jpeg", JPEG_QUALITY);
    strip.append(thumbnail(current, frame));
    if (!review.checked && strip.childElementCount > STRIP_IMAGES) strip.firstChild?.remove();
    strip.scrollLeft = strip.scrollWidth;
    draw();
  }

  /**
   * @param {Burst} current
   * @param {Frame} frame
   */
  function thumbnail(current, frame) {
    const small = element("canvas", { width: THUMBNAIL_PX * canvas.width / canvas.height, height: THUMBNAIL_PX });
    small.getContext("2d")?.drawImage(canvas, 0, 0, small.width, small.height);
    const item = element("li", {}, small);
    if (!review.checked) return item;
    item.append(button("×", () => {
      current.frames.splice(current.frames.indexOf(frame), 1);
      const neighbour = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      neighbour?.querySelector("button")?.focus();
      draw();
    }, { ariaLabel: fillText(texts.leave_out, { number: current.count }) }));
    return item;
  }

  /**
   * Send an ended burst once its last image is compressed, or hold it to be looked through.
   * @param {Burst} ended
   */
  function settle(ended) {
    if (!ended.hasEnded || ended.encoding || ended.isSettled) return;
    ended.isSettled = true;
    if (review.checked) heldBurst = ended;
    else enqueue(ended);
    draw();
  }

  /** @param {Burst} ended */
  function enqueue({ frames, className }) {
    const files = frames.flatMap(({ name, file }) => (file ? [{ name, file }] : []));
    if (!files.length) return;
    const destination = { project: view.data.project, class_name: className, kind: /** @type {const} */ ("camera") };
    sessions.push(new UploadSession(files, destination, texts, draw));
    if (sessions.length === 1) sendNext();
    if (review.checked) strip.replaceChildren();
  }

  /** Send bursts one after the other; each stays in memory until the studio has answered that it has it. */
  async function sendNext() {
    while (sessions.length && !isSending) {
      const [session] = sessions;
      isSending = true;
      await session.run();
      isSending = false;
      if (session.state === "failed") break; // a person tries again or discards it
      sessions.shift();
      sentFiles += session.sentFiles;
      if (root.isConnected) view.onFinished(session.job);
    }
    draw();
  }

  function draw() {
    const { class_name } = view.data;
    const [session] = sessions;
    const isAvailable = isCameraAvailable();
    const hasFailed = session?.state === "failed";
    hint.textContent = view.error || (!isAvailable ? texts.insecure : !class_name ? texts.class_first : "");
    hint.classList.toggle("error", Boolean(view.error) || !isAvailable);
    settings.hidden = !isAvailable;
    stage.hidden = shutter.hidden = !view.stream;
    power.textContent = view.stream ? texts.off : texts.on;
    power.disabled = cameras.disabled = view.starting;
    camerasLabel.hidden = !view.stream || cameras.length < 2;
    shutter.textContent = class_name ? fillText(texts.hold, { class_name }) : texts.hold_any;
    shutter.disabled = !class_name && !burst;
    shutter.classList.toggle("pressed", Boolean(burst));
    counter.textContent = burst ? formatNumber(burst.frames.length) : "";
    heldButtons.hidden = !heldBurst;
    if (heldBurst) send.textContent = fillText(texts.send, { count: formatNumber(heldBurst.frames.length) });
    failedButtons.hidden = !hasFailed;
    status.classList.toggle("error", hasFailed);
    const text = statusText(session);
    if (status.textContent !== text) status.textContent = text; // a screen reader reads each change
  }

  /** @param {UploadSession | undefined} session */
  function statusText(session) {
    if (session?.state === "failed") return session.error?.message ?? "";
    if (session?.waiting) return texts.waiting;
    if (session) {
      const { files, destination } = session;
      return fillText(texts.sending, { count: formatNumber(files.length), class_name: destination.class_name });
    }
    return sentFiles ? fillText(texts.sent, { count: formatNumber(sentFiles) }) : "";
  }

  shutter.onpointerdown = (event) => {
    if (event.button !== 0) return;
    shutter.setPointerCapture(event.pointerId); // the hold lasts though the finger slips off
    beginBurst();
  };
  shutter.onpointerup = shutter.onlostpointercapture = shutter.onblur = endBurst;
  shutter.oncontextmenu = (event) => event.preventDefault(); // what a long touch means elsewhere
  shutter.onkeydown = (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) beginBurst();
  };
  shutter.onkeyup = (event) => {
    event.preventDefault();
    endBurst();
  };
  shutter.onclick = (event) => {
    if (event.detail) return;
    beginBurst(); // pressed by a screen reader, which cannot hold: one image
    endBurst();
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden) endBurst(); });
  const stream = cameraStream(view, { video, cameras, texts, constraints: CONSTRAINTS, onStop: endBurst });
  return view;
}
