// A camera with the predictions for its frames. One view a key, as in the collecting camera: the image does not stop when
// the page runs again. One frame is on its way at a time, and none waits: however slow the model is, what it predicts is
// of now.
import { cameraStream, isCameraAvailable } from "../../components/camera_stream.js";
import { button, element, fillText } from "../../../share/web_demo/page/dom.js";

/** @import { CameraView, ComponentArgs } from "../../components/types.js" */
/** @import { LiveCameraData, LivePrediction } from "./types.js" */

/** @type {Map<string, ReturnType<typeof makeLiveCamera>>} */
const views = new Map();
const FRAME_PX = 640;
const JPEG_QUALITY = 0.9;
const NO_FRAME_MS = 50, RETRY_MS = 1500;
const TIME_SMOOTHING = 0.8;
const HIDDEN_STYLE = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";

/** @param {ComponentArgs<LiveCameraData>} args */
export default function ({ data, parentElement }) {
  const view = views.get(data.key) ?? makeLiveCamera(data);
  views.set(data.key, view);
  view.address = data.address;
  const place = parentElement.querySelector(".place");
  if (place && view.element.parentNode !== place) {
    place.replaceChildren(view.element);
    view.resume();
  }
  view.draw();
}

/** @param {LiveCameraData} data */
function makeLiveCamera({ texts, address }) {
  let generation = 0; // of the loop that predicts: an older one ends
  const video = element("video", { muted: true, playsInline: true, autoplay: true, ariaLabel: texts.live });
  const heading = element("p", { className: "heading" });
  const reason = element("p", { className: "quiet" });
  const bars = element("ol", { ariaLabel: texts.answers });
  const speed = element("p", { className: "quiet" });
  // For a screen reader: only a change of the class, not every percentage.
  const spoken = element("p", { role: "status" });
  spoken.style.cssText = HIDDEN_STYLE;
  const stage = element("div", { className: "stage" }, video, element("div", {}, heading, reason, bars, speed));
  const power = button("", () => (view.stream ? stream.turnOff() : stream.turnOn()));
  const cameras = element("select");
  const camerasLabel = element("label", {}, texts.which, cameras);
  const hint = element("p", { className: "error", role: "status" });
  const root = element("section", { ariaLabel: texts.live },
    element("div", { className: "row" }, power, camerasLabel), hint, stage, spoken);
  const canvas = element("canvas");
  /** @type {CameraView & { address: string, resume: () => void }} */
  const view = {
    address, element: root, stream: null, starting: false, error: "", draw, resume: () => stream.resume(),
  };

  function clear() {
    generation++;
    for (const each of [heading, reason, speed, spoken]) each.textContent = "";
    bars.replaceChildren();
  }

  /** @param {number} own */
  async function predictFrames(own) {
    let mean_ms = 0;
    while (own === generation) {
      const begun = performance.now();
      const frame = document.hidden ? null : await captureFrame();
      if (!frame) {
        await sleep(NO_FRAME_MS);
        continue;
      }
      try {
        const response = await fetch(view.address, {
          method: "POST", body: frame, headers: { "X-Studio-Predict": "1", "Content-Type": "image/jpeg" },
        });
        /** @type {LivePrediction} */
        const prediction = await response.json();
        if (own !== generation) return;
        if (response.status === 503) throw new Error("the studio is busy");
        if (!response.ok) {
          stream.turnOff();
          view.error = prediction.error ?? "";
          draw();
          return;
        }
        const took_ms = performance.now() - begun;
        mean_ms = mean_ms ? TIME_SMOOTHING * mean_ms + (1 - TIME_SMOOTHING) * took_ms : took_ms;
        view.error = "";
        show(prediction, mean_ms);
      } catch {
        if (own !== generation) return;
        view.error = texts.away;
        await sleep(RETRY_MS);
      }
      draw();
    }
  }

  /** @returns {Promise<Blob | null>} */
  async function captureFrame() {
    if (video.readyState < 2) return null;
    const shrunk = Math.min(1, FRAME_PX / Math.max(video.videoWidth, video.videoHeight));
    [canvas.width, canvas.height] = [video.videoWidth * shrunk, video.videoHeight * shrunk].map(Math.round);
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY); });
  }

  /**
   * @param {LivePrediction} prediction
   * @param {number} ms  an image
   */
  function show({ predictions, doubt }, ms) {
    const [{ label }] = predictions;
    const text = doubt ? fillText(texts.unsure, { label }) : label;
    heading.textContent = text;
    if (spoken.textContent !== text) spoken.textContent = text;
    reason.textContent = doubt === "strange" ? texts.strange : "";
    bars.replaceChildren(...predictions.map((each) => {
      const bar = element("i");
      bar.style.width = `${100 * each.score}%`;
      const share = each.score.toLocaleString(undefined, { style: "percent", minimumFractionDigits: 1 });
      return element("li", {}, element("span", {}, element("b", {}, each.label), share),
        element("div", { className: "bar", ariaHidden: "true" }, bar));
    }));
    speed.textContent = fillText(texts.speed, { count: (1000 / ms).toFixed(1), ms: Math.round(ms) });
  }

  function draw() {
    const isAvailable = isCameraAvailable();
    hint.textContent = view.error || (isAvailable ? "" : texts.insecure);
    power.hidden = !isAvailable;
    power.textContent = view.stream ? texts.off : texts.on;
    power.disabled = cameras.disabled = view.starting;
    stage.hidden = !view.stream;
    camerasLabel.hidden = !view.stream || cameras.length < 2;
  }

  const stream = cameraStream(view, {
    video, cameras, texts, constraints: { width: { ideal: 1280 } },
    onStart: () => { predictFrames(++generation); }, onStop: clear,
  });
  return view;
}

/** @param {number} wait_ms */
function sleep(wait_ms) {
  return new Promise((resolve) => { setTimeout(resolve, wait_ms); });
}
