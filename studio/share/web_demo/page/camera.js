// What the camera sees, answered image after image for as long as it is on.
import { answerView } from "demo/answer.js";
import { byId } from "demo/dom.js";
import { close, frameOf } from "demo/picture.js";
import { verdict } from "demo/sureness.js";

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 } };
const SETTLED = 4; // so many images in a row say the same before it is read out

// look(image): answers one. took(image): a person keeps what is seen. say(text): read out by screen readers.
export function cameraView(config, { look, live, took, say }) {
  const { texts } = config;
  const [section, video, on, other, shutter, off, fault] =
    ["live", "video", "camera-on", "camera-other", "camera-take", "camera-off", "camera-fault"].map(byId);
  const answer = answerView(config);
  byId("live-answer").replaceChildren(answer.element);
  answer.element.hidden = true;
  let stream = null;
  let facing = "environment";

  on.onclick = turnOn;
  off.onclick = turnOff;
  other.onclick = () => { facing = facing === "environment" ? "user" : "environment"; turnOn(); };
  shutter.onclick = async () => took(await frameOf(video));
  // Out of sight it sees nothing: neither the battery nor the person should wonder.
  document.addEventListener("visibilitychange", () => { if (document.hidden) turnOff(); });

  async function turnOn() {
    turnOff();
    fault.textContent = "";
    if (!navigator.mediaDevices) {
      fault.textContent = texts.camera_insecure;
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { ...WANTED, facingMode: facing } });
    } catch (error) {
      const known = { NotAllowedError: texts.camera_refused, NotFoundError: texts.camera_missing };
      fault.textContent = known[error.name] ?? texts.camera_fault;
      return;
    }
    video.srcObject = stream;
    section.classList.toggle("mirrored", stream.getVideoTracks()[0].getSettings().facingMode === "user");
    await video.play();
    section.hidden = false;
    on.hidden = true;
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
    other.hidden = cameras.length < 2;
    if (live) run(stream).catch((error) => { console.error(error); turnOff(); fault.textContent = texts.camera_fault; });
    shutter.focus({ preventScroll: true });
    section.scrollIntoView({ block: "nearest" });
  }

  function turnOff() {
    if (!stream) return;
    stream.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    section.hidden = true;
    on.hidden = false;
    on.focus();
  }

  async function run(mine) {
    let before = "";
    let times = 0;
    while (stream === mine) {
      const image = await frameOf(video);
      const found = await look(image);
      close(image);
      if (stream !== mine) return;
      const given = verdict(found, config.sureness);
      answer.draw(given);
      answer.element.hidden = false;
      const now = `${given.order[0]} ${given.sure}`;
      times = now === before ? times + 1 : 1;
      before = now;
      if (times === SETTLED) say(answer.sentence(given));
      await new Promise(requestAnimationFrame); // so that the page is drawn, and pressed, in between
    }
  }
}
