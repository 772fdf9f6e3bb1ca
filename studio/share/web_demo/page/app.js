// The page: a model that predicts the class of images from files, from the clipboard and from the camera.
import { setUpCamera } from "demo/camera.js";
import { interpret } from "demo/confidence.js";
import { byId, element, fillText, messageOf } from "demo/dom.js";
import { feedbackForm } from "demo/feedback.js";
import { decodeFile, fileOf, release } from "demo/image_decoding.js";
import { loadModel, remoteModel } from "demo/model.js";
import { predictionView } from "demo/prediction_view.js";

/** @import { DecodedImage, Model, PageConfig } from "./types.js" */

/** @type {PageConfig} */
const config = JSON.parse(byId("config", HTMLElement).textContent ?? "");
const { texts, server, feedback } = config;
const megabytes = new Intl.NumberFormat(config.language, { maximumFractionDigits: 1 });
const status = byId("status", HTMLElement);
const times = { images: 0, total_ms: 0 };
/** @type {Promise<void>} */
let previous = Promise.resolve(); // the image before has its prediction

async function openModel() {
  const bar = byId("loading", HTMLProgressElement);
  const { model } = config;
  /** @type {unknown} */
  let failure;
  /** @type {Model | null} */
  let opened = null;
  if (model) {
    bar.hidden = false;
    opened = await loadModel({ ...config, model }, (done) => {
      bar.value = done / model.size_bytes;
      const [come, all] = [done, model.size_bytes].map((size) => megabytes.format(size / 1e6));
      status.textContent = fillText(texts.loading, { done: come, total: all });
    }).catch((error) => {
      failure = error;
      return null;
    });
    bar.hidden = true;
  }
  opened ??= server ? remoteModel(server) : null;
  if (failure) console.error(failure);
  status.textContent = opened ? (opened.runsHere ? texts.here : texts.at_server)
    : fillText(texts.fault, { why: messageOf(failure) });
  status.classList.toggle("fault", !opened);
  document.body.dataset.state = opened ? (opened.runsHere ? "here" : "server") : "fault";
  return opened;
}

/** @param {Model} model */
function start(model) {
  const files = byId("files", HTMLInputElement);

  /**
   * Predict the class of an image, and show the mean time.
   * @param {DecodedImage} image
   */
  async function predict(image) {
    const begun = performance.now();
    const output = await model.predict(image);
    times.total_ms += performance.now() - begun;
    times.images++;
    const mean = times.total_ms / times.images;
    byId("speed", HTMLElement).textContent = fillText(texts.speed, { ms: Math.round(mean), images: times.images });
    return output;
  }

  /**
   * Show the prediction for an image once those before it are done.
   * @param {string} name
   * @param {() => DecodedImage | Promise<DecodedImage>} decode  throws where the browser cannot
   */
  function enqueue(name, decode) {
    previous = previous.then(async () => {
      let complaint = texts.unreadable;
      try {
        const image = await decode();
        complaint = texts.unanswered;
        await show(image, name);
      } catch (error) {
        console.error(error);
        showError(fillText(complaint, { name, why: messageOf(error) }));
      }
    });
  }

  /**
   * @param {DecodedImage} image
   * @param {string} name
   */
  async function show(image, name) {
    const file = await fileOf(image);
    const prediction = interpret(await predict(image), config.sureness);
    release(image);
    const view = predictionView(config);
    view.draw(prediction);
    const shown = element("img", { src: URL.createObjectURL(file), alt: name });
    const beside = element("div", {}, view.element, element("p", { className: "name", textContent: name }));
    const card = element("article", { className: "card" }, shown, beside);
    card.dataset.name = name;
    if (feedback) beside.append(feedbackForm({ ...config, feedback }, prediction, file));
    byId("answers", HTMLElement).prepend(card);
    announce(`${name}: ${view.summary(prediction)}`);
  }

  /** @param {Iterable<File>} given */
  const enqueueFiles = (given) => [...given].forEach((file) => { enqueue(file.name, () => decodeFile(file)); });
  byId("choose", HTMLButtonElement).onclick = () => files.click();
  files.onchange = () => {
    enqueueFiles(files.files ?? []);
    files.value = "";
  };
  addEventListener("paste", (event) => enqueueFiles(event.clipboardData?.files ?? []));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    enqueueFiles(event.dataTransfer?.files ?? []);
  });
  setUpCamera(config, {
    predict, isLive: model.runsHere, onCapture: (image) => enqueue(texts.photo, () => image), announce,
  });
  byId("ways", HTMLElement).hidden = false;
}

/** @param {string} text */
function showError(text) {
  byId("answers", HTMLElement).prepend(element("p", { className: "fault", textContent: text }));
  announce(text);
}

/** @param {string} text */
function announce(text) {
  byId("said", HTMLElement).textContent = text;
}

const opened = await openModel();
if (opened) start(opened);
