// A camera whose image is shown in a component. It is turned off once it has been out of sight for a second.
import { fillText } from "../../share/web_demo/page/dom.js";

/** @import { CameraView } from "./types.js" */

const HIDDEN_MS = 1000;

/**
 * Return functions that turn a view's camera on and off, and resume its image after the element was moved.
 * @param {CameraView} view
 * @param {{
 *   video: HTMLVideoElement,
 *   cameras: HTMLSelectElement,
 *   texts: Record<string, string>,
 *   constraints: MediaTrackConstraints,
 *   onStart?: () => void,
 *   onStop?: () => void,
 * }} options  cameras: to choose one; onStart, onStop: called when it is on, and before it is off
 */
export function cameraStream(view, { video, cameras, texts, constraints, onStart = () => {}, onStop = () => {} }) {
  cameras.onchange = () => turnOn(cameras.value);

  async function turnOn(deviceId = "") {
    turnOff();
    view.starting = true;
    view.draw();
    try {
      const choice = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: "environment" } };
      view.stream = await navigator.mediaDevices.getUserMedia({ video: { ...constraints, ...choice } });
      const [track] = view.stream.getVideoTracks();
      track.onended = () => {
        turnOff();
        view.error = texts.gone;
        view.draw();
      };
      video.srcObject = view.stream;
      const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
      cameras.replaceChildren(...found.map(({ deviceId: value, label }, at) =>
        new Option(label || fillText(texts.nameless, { number: at + 1 }), value)));
      cameras.value = track.getSettings().deviceId ?? "";
      onStart();
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      view.error = texts[name] ?? fillText(texts.broken, { why: message });
    }
    view.starting = false;
    if (!view.element.offsetWidth) turnOff(); // left before the camera had come up
    view.draw();
  }

  function turnOff() {
    onStop();
    view.stream?.getTracks().forEach((track) => {
      track.onended = null;
      track.stop();
    });
    view.stream = video.srcObject = null;
    view.error = "";
    view.draw();
  }

  function resume() {
    if (view.stream) video.play().catch(() => {});
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  new ResizeObserver(() => {
    clearTimeout(timer);
    if (!view.element.offsetWidth) timer = setTimeout(turnOff, HIDDEN_MS);
  }).observe(view.element);
  return { turnOn, turnOff, resume };
}

/** Return whether the browser gives a camera: it does only to pages on the same machine or behind https. */
export function isCameraAvailable() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}
