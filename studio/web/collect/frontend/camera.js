// One view a key, as in uploader.js: neither the image nor a burst that is being sent stops when the page runs
// again. The camera itself is camera_stream.js.
const views = new Map();
const QUALITY = 0.92;
const WANTED = { width: { ideal: 1920 }, height: { ideal: 1080 } };
const SHOWN = 24;
const THUMBNAIL_PX = 96;
const AT_WORK = 3; // so many images are compressed at once; a slow machine takes fewer rather than run full

export default function ({ data, parentElement, setTriggerValue }) {
  const view = views.get(data.key) ?? build(data);
  views.set(data.key, view);
  view.data = data;
  view.finished = (job) => setTriggerValue("finished", job);
  const place = parentElement.querySelector(".place");
  if (view.element.parentNode !== place) {
    place.replaceChildren(view.element);
    view.resume();
  }
  view.draw();
}

function build({ texts, interval_ms: firstInterval }) {
  const view = {
    burst: null, held: null, sendings: [], running: false, sent: 0,
  };
  const button = (text, onclick) => make("button", { type: "button", textContent: text, onclick });

  const video = make("video", { muted: true, playsInline: true, autoplay: true, ariaLabel: texts.live });
  const counter = make("span", { className: "counter", ariaHidden: "true" });
  const stage = make("div", { className: "stage" }, video, counter);
  const power = button(texts.on, () => (view.stream ? stream.turnOff() : stream.turnOn()));
  const cameras = make("select", {});
  const camerasLabel = make("label", {}, texts.which, cameras);
  const every = make("input", { type: "number", min: 100, max: 2000, step: 50, value: firstInterval });
  every.onchange = () => { every.value = interval(); };
  const review = make("input", { type: "checkbox" });
  const settings = make("div", { className: "settings" }, power, camerasLabel,
    make("label", {}, texts.every, every), make("label", {}, review, texts.review));
  const shutter = make("button", { type: "button", className: "shutter" });
  const strip = make("ul", { className: "strip", ariaLabel: texts.strip });
  const send = button("", () => { release(view.held); view.held = null; });
  const discard = button(texts.discard, () => { view.held = null; strip.replaceChildren(); view.draw(); });
  const held = make("div", { className: "row" }, send, discard);
  const again = button(texts.again, () => next());
  const drop = button(texts.discard, () => { view.sendings.shift().cancel(); next(); });
  const failed = make("div", { className: "row" }, again, drop);
  const hint = make("p", { className: "hint", role: "status" });
  const status = make("p", { className: "status", role: "status" });
  view.element = make("section", { className: "camera", ariaLabel: texts.camera },
    hint, stage, shutter, strip, held, status, failed, settings);
  const canvas = document.createElement("canvas");

  function interval() {
    return Math.min(2000, Math.max(100, Math.round(Number(every.value)) || firstInterval));
  }

  // A burst: { class_name, at, frames: [{ name, file }], timer, working }.
  function beginBurst() {
    if (view.burst || shutter.disabled) return;
    if (view.held) release(view.held);
    view.held = null;
    strip.replaceChildren();
    const at = new Date().toISOString().replaceAll(":", "-"); // no system minds it in a file's name
    view.burst = { class_name: view.data.class_name, at, frames: [], count: 0, working: 0, ended: false };
    const burst = view.burst;
    let due = performance.now();
    const tick = () => {
      snap(burst);
      due = Math.max(due + interval(), performance.now());
      burst.timer = setTimeout(tick, due - performance.now());
    };
    tick();
    view.draw();
  }

  function endBurst() {
    const { burst } = view;
    if (!burst) return;
    clearTimeout(burst.timer);
    view.burst = null;
    burst.ended = true;
    settle(burst);
    view.draw();
  }

  function snap(burst) {
    if (video.readyState < 2 || burst.working >= AT_WORK) return;
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const name = `camera-${burst.at}-${String(++burst.count).padStart(4, "0")}.jpg`;
    const frame = { name, file: null };
    burst.frames.push(frame);
    burst.working++;
    canvas.toBlob((blob) => {
      frame.file = blob;
      burst.working--;
      settle(burst);
    }, "image/jpeg", QUALITY);
    strip.append(thumbnail(burst, frame));
    if (!review.checked && strip.childElementCount > SHOWN) strip.firstChild.remove();
    strip.scrollLeft = strip.scrollWidth;
    view.draw();
  }

  function thumbnail(burst, frame) {
    const small = make("canvas", { width: THUMBNAIL_PX * canvas.width / canvas.height, height: THUMBNAIL_PX });
    small.getContext("2d").drawImage(canvas, 0, 0, small.width, small.height);
    const item = make("li", {}, small);
    if (!review.checked) return item;
    const leave = button("×", () => {
      burst.frames.splice(burst.frames.indexOf(frame), 1);
      const beside = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      beside?.querySelector("button").focus();
      view.draw();
    });
    leave.ariaLabel = filled(texts.leave_out, { number: burst.count });
    item.append(leave);
    return item;
  }

  // Once the last image of an ended burst is compressed, it is sent, or held for its owner to look through.
  function settle(burst) {
    if (!burst.ended || burst.working || burst.settled) return;
    burst.settled = true;
    if (review.checked) view.held = burst;
    else release(burst);
    view.draw();
  }

  function release({ frames, class_name }) {
    if (!frames.length) return;
    const aim = { project: view.data.project, class_name, kind: "camera" };
    view.sendings.push(new Sending(frames, aim, texts, () => view.draw()));
    if (view.sendings.length === 1) next();
    if (review.checked) strip.replaceChildren();
  }

  // Bursts are sent one after the other, and stay in memory until the studio has said that it has them.
  async function next() {
    while (view.sendings.length && !view.running) {
      const [sending] = view.sendings;
      view.running = true;
      await sending.run();
      view.running = false;
      if (sending.state === "failed") break; // its owner tries again or discards it
      view.sendings.shift();
      view.sent += sending.sentFiles;
      if (view.element.isConnected) view.finished(sending.job);
    }
    view.draw();
  }

  view.draw = () => {
    const { class_name } = view.data;
    const { burst, sendings: [sending] } = view;
    const possible = Boolean(navigator.mediaDevices?.getUserMedia); // hidden from pages that are not safe
    const failing = sending?.state === "failed";
    hint.textContent = view.fault || (!possible ? texts.insecure : !class_name ? texts.class_first : "");
    hint.classList.toggle("fault", Boolean(view.fault) || !possible);
    settings.hidden = !possible;
    stage.hidden = shutter.hidden = !view.stream;
    power.textContent = view.stream ? texts.off : texts.on;
    power.disabled = cameras.disabled = view.starting;
    camerasLabel.hidden = !view.stream || cameras.length < 2;
    shutter.textContent = class_name ? filled(texts.hold, { class_name }) : texts.hold_any;
    shutter.disabled = !class_name && !burst;
    shutter.classList.toggle("pressed", Boolean(burst));
    counter.textContent = burst ? number(burst.frames.length) : "";
    held.hidden = !view.held;
    if (view.held) send.textContent = filled(texts.send, { count: number(view.held.frames.length) });
    failed.hidden = !failing;
    status.classList.toggle("fault", failing);
    say(failing ? sending.fault.message : sending?.waiting ? texts.waiting
      : sending ? filled(texts.sending, { count: number(sending.files.length), class_name: sending.aim.class_name })
      : view.sent ? filled(texts.sent, { count: number(view.sent) }) : "");
  };

  function say(text) {
    if (status.textContent !== text) status.textContent = text; // a screen reader reads each change
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
  const stream = cameraStream(view, { video, cameras, texts, wanted: WANTED, ending: endBurst });
  return view;
}
