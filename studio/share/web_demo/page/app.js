// The page: a model that answers on images from files, from the clipboard and from the camera.
import { answerView } from "demo/answer.js";
import { cameraView } from "demo/camera.js";
import { byId, filled, make } from "demo/dom.js";
import { feedbackView } from "demo/feedback.js";
import { openNetwork } from "demo/network.js";
import { close, fileOf, imageOf } from "demo/picture.js";
import { openServer } from "demo/server.js";
import { verdict } from "demo/sureness.js";

const config = JSON.parse(byId("config").textContent);
const { texts, model, server } = config;
const megabytes = new Intl.NumberFormat(config.language, { maximumFractionDigits: 1 });
const status = byId("status");
const times = { images: 0, total_ms: 0 };
let last = Promise.resolve(); // the image before is answered
let network = null;

async function open() {
  const bar = byId("loading");
  const told = (done) => {
    bar.value = done / model.size_bytes;
    const [come, all] = [done, model.size_bytes].map((size) => megabytes.format(size / 1e6));
    status.textContent = filled(texts.loading, { done: come, total: all });
  };
  let fault = null;
  let opened = null;
  if (model) {
    bar.hidden = false;
    opened = await openNetwork(config, told).catch((error) => { fault = error; });
    bar.hidden = true;
  }
  opened ??= server ? openServer(server) : null;
  if (fault) console.error(fault);
  status.textContent = opened ? (opened.here ? texts.here : texts.at_server) : filled(texts.fault, { why: fault?.message });
  status.classList.toggle("fault", !opened);
  document.body.dataset.state = opened ? (opened.here ? "here" : "server") : "fault";
  return opened;
}

function begin() {
  const files = byId("files");
  byId("choose").onclick = () => files.click();
  files.onchange = () => { lookAt([...files.files]); files.value = ""; };
  addEventListener("paste", (event) => lookAt([...event.clipboardData.files]));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => { event.preventDefault(); lookAt([...event.dataTransfer.files]); });
  cameraView(config, { look, live: network.here, took: (image) => answerOn(texts.photo, () => image), say });
  byId("ways").hidden = false;
}

// Answers on an image, and keeps count of how long it takes.
async function look(image) {
  const start = performance.now();
  const found = await network.answer(image);
  times.total_ms += performance.now() - start;
  times.images++;
  const mean = times.total_ms / times.images;
  byId("speed").textContent = filled(texts.speed, { ms: Math.round(mean), images: times.images });
  return found;
}

const lookAt = (files) => files.forEach((file) => answerOn(file.name, () => imageOf(file)));

// Answers on an image once those before it are done. opened: returns it, or throws where the browser cannot.
function answerOn(name, opened) {
  last = last.then(async () => {
    let complaint = texts.unreadable;
    try {
      const image = await opened();
      complaint = texts.unanswered;
      await show(image, name);
    } catch (error) {
      console.error(error);
      lament(filled(complaint, { name, why: error.message }));
    }
  });
}

async function show(image, name) {
  const file = await fileOf(image);
  const given = verdict(await look(image), config.sureness);
  close(image);
  const answer = answerView(config);
  answer.draw(given);
  const image = make("img", { src: URL.createObjectURL(file), alt: name });
  const card = make("article", { className: "card" }, image, make("div", {}, answer.element, make("p", { className: "name", textContent: name })));
  card.dataset.name = name;
  if (config.feedback) card.lastChild.append(feedbackView(config, given, file));
  byId("answers").prepend(card);
  say(`${name}: ${answer.sentence(given)}`);
}

function lament(text) {
  byId("answers").prepend(make("p", { className: "fault", textContent: text }));
  say(text);
}

function say(text) {
  byId("said").textContent = text;
}

network = await open();
if (network) begin();
