// The camera: a prediction for frame after frame for as long as it is on.
import { captureFrame, release } from "demo/image_decoding.js";
import { interpret } from "demo/confidence.js";
import { byId } from "demo/dom.js";
import { predictionView } from "demo/prediction_view.js";

/** @import { DecodedImage, ModelOutput, PageConfig } from "./types.js" */

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 } };
const STABLE_FRAMES = 4; // so many frames in a row give the same before it is read out

/**
 * Wire up the camera's section of the page.
 * @param {PageConfig} config
 * @param {{
 *   predict: (image: DecodedImage) => Promise<ModelOutput>,
 *   isLive: boolean,
 *   onCapture: (image: DecodedImage) => void,
 *   announce: (text: string) => void,
 * }} options  isLive: predict while the camera is on; announce: read out by screen readers
 */
export function setUpCamera(config, { predict, isLive, onCapture, announce }) {
  const { texts } = config;
  const section = byId("live", HTMLElement), video = byId("video", HTMLVideoElement);
  const [on, other, shutter, off] = ["camera-on", "camera-other", "camera-take", "camera-off"]
    .map((id) => byId(id, HTMLButtonElement));
  const message = byId("camera-fault", HTMLElement);
  const view = predictionView(config);
  byId("live-answer", HTMLElement).replaceChildren(view.element);
  view.element.hidden = true;
  /** @type {MediaStream | null} */
  let stream = null;
  let facing = "environment";

  on.onclick = turnOn;
  off.onclick = turnOff;
  other.onclick = () => {
    facing = facing === "environment" ? "user" : "environment";
    turnOn();
  };
  shutter.onclick = async () => onCapture(await captureFrame(video));
  // Out of sight it is off: neither the battery nor the person should wonder.
  document.addEventListener("visibilitychange", () => { if (document.hidden) turnOff(); });

  async function turnOn() {
    turnOff();
    message.textContent = "";
    if (!navigator.mediaDevices) {
      message.textContent = texts.camera_insecure;
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { ...VIDEO, facingMode: facing } });
    } catch (error) {
      /** @type {Record<string, string>} */
      const known = { NotAllowedError: texts.camera_refused, NotFoundError: texts.camera_missing };
      message.textContent = known[error instanceof Error ? error.name : ""] ?? texts.camera_fault;
      return;
    }
    video.srcObject = stream;
    section.classList.toggle("mirrored", stream.getVideoTracks()[0].getSettings().facingMode === "user");
    await video.play();
    section.hidden = false;
    on.hidden = true;
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
    other.hidden = cameras.length < 2;
    if (isLive) {
      predictFrames(stream).catch((error) => {
        console.error(error);
        turnOff();
        message.textContent = texts.camera_fault;
      });
    }
    shutter.focus({ preventScroll: true });
    section.scrollIntoView({ block: "nearest" });
  }

  function turnOff() {
    if (!stream) return;
    stream.getTracks().forEach((track) => { track.stop(); });
    stream = video.srcObject = null;
    section.hidden = true;
    on.hidden = false;
    on.focus();
  }

  /** @param {MediaStream} own */
  async function predictFrames(own) {
    let before = "";
    let count = 0;
    while (stream === own) {
      const image = await captureFrame(video);
      const output = await predict(image);
      release(image);
      if (stream !== own) return;
      const prediction = interpret(output, config.sureness);
      view.draw(prediction);
      view.element.hidden = false;
      const now = `${prediction.order[0]} ${prediction.isConfident}`;
      count = now === before ? count + 1 : 1;
      before = now;
      if (count === STABLE_FRAMES) announce(view.summary(prediction));
      await new Promise(requestAnimationFrame); // so that the page is drawn, and pressed, in between
    }
  }
}
