// One view a key, as in camera.js: the picture does not stop when the page runs again. One frame is on its way at a
// time, and none waits: however slow the model is, what it says is of now.
const views = new Map();
const SENT_PX = 640;
const QUALITY = 0.9;
const UNSEEN_MS = 1000;
const AWAY_MS = 1500;
const SMOOTHED = 0.8;

export default function ({ data, parentElement }) {
  const view = views.get(data.key) ?? build(data);
  views.set(data.key, view);
  view.address = data.address;
  const place = parentElement.querySelector(".place");
  if (view.element.parentNode !== place) {
    place.replaceChildren(view.element);
    view.resume();
  }
  view.draw();
}

function build({ texts }) {
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);
  const view = { stream: null, starting: false, fault: "", turn: 0 };

  const video = make("video", { muted: true, playsInline: true, autoplay: true, ariaLabel: texts.live });
  const heading = make("p", { className: "heading" });
  const why = make("p", { className: "quiet" });
  const bars = make("ol", { ariaLabel: texts.answers });
  const speed = make("p", { className: "quiet" });
  // For a screen reader: only a change of the answer, not every percentage.
  const spoken = make("p", { role: "status", style: "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)" });
  const stage = make("div", { className: "stage" }, video, make("div", {}, heading, why, bars, speed));
  const power = make("button", { type: "button", onclick: () => (view.stream ? turnOff() : turnOn()) });
  const cameras = make("select", { onchange: () => turnOn(cameras.value) });
  const camerasLabel = make("label", {}, texts.which, cameras);
  const hint = make("p", { className: "fault", role: "status" });
  view.element = make("section", { ariaLabel: texts.live },
    make("div", { className: "row" }, power, camerasLabel), hint, stage, spoken);
  const canvas = document.createElement("canvas");

  async function turnOn(deviceId = "") {
    turnOff();
    view.starting = true;
    view.draw();
    try {
      const wish = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: "environment" } };
      view.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, ...wish } });
      const [track] = view.stream.getVideoTracks();
      track.onended = () => { turnOff(); view.fault = texts.gone; view.draw(); };
      video.srcObject = view.stream;
      const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
      cameras.replaceChildren(...found.map(({ deviceId: value, label }, at) =>
        make("option", { value, textContent: label || filled(texts.nameless, { number: at + 1 }) })));
      cameras.value = track.getSettings().deviceId;
      ask(++view.turn);
    } catch (error) {
      view.fault = texts[error.name] ?? filled(texts.broken, { why: error.message });
    }
    view.starting = false;
    if (!view.element.offsetWidth) turnOff(); // left before the camera had come up
    view.draw();
  }

  function turnOff() {
    view.turn++;
    view.stream?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
    view.stream = video.srcObject = null;
    view.fault = "";
    for (const element of [heading, why, speed, spoken]) element.textContent = "";
    bars.replaceChildren();
    view.draw();
  }

  async function ask(turn) {
    let each = 0;
    while (turn === view.turn) {
      const began = performance.now();
      const frame = document.hidden ? null : await taken();
      if (!frame) {
        await new Promise((resume) => setTimeout(resume, 50));
        continue;
      }
      try {
        const answer = await fetch(view.address, {
          method: "POST", body: frame, headers: { "X-Studio-Predict": "1", "Content-Type": "image/jpeg" },
        });
        const found = await answer.json();
        if (turn !== view.turn) return;
        if (answer.status === 503) throw new Error();
        if (!answer.ok) { turnOff(); view.fault = found.error; view.draw(); return; }
        const took = performance.now() - began;
        each = each ? SMOOTHED * each + (1 - SMOOTHED) * took : took;
        view.fault = "";
        show(found, each);
      } catch {
        if (turn !== view.turn) return;
        view.fault = texts.away;
        await new Promise((resume) => setTimeout(resume, AWAY_MS));
      }
      view.draw();
    }
  }

  function taken() {
    if (video.readyState < 2) return null;
    const shrunk = Math.min(1, SENT_PX / Math.max(video.videoWidth, video.videoHeight));
    [canvas.width, canvas.height] = [video.videoWidth * shrunk, video.videoHeight * shrunk].map(Math.round);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  }

  function show({ predictions, doubt }, ms) {
    const [{ label }] = predictions;
    const said = doubt ? filled(texts.unsure, { label }) : label;
    heading.textContent = said;
    if (spoken.textContent !== said) spoken.textContent = said;
    why.textContent = doubt === "strange" ? texts.strange : "";
    bars.replaceChildren(...predictions.map((each) => {
      const bar = make("i", {});
      bar.style.width = `${100 * each.score}%`;
      const share = each.score.toLocaleString(undefined, { style: "percent", minimumFractionDigits: 1 });
      return make("li", {}, make("span", {}, make("b", { textContent: each.label }), share),
        make("div", { className: "bar", ariaHidden: "true" }, bar));
    }));
    speed.textContent = filled(texts.speed, { count: (1000 / ms).toFixed(1), ms: Math.round(ms) });
  }

  view.resume = () => { if (view.stream) video.play().catch(() => {}); };

  view.draw = () => {
    const possible = Boolean(navigator.mediaDevices?.getUserMedia); // hidden from pages that are not safe
    hint.textContent = view.fault || (possible ? "" : texts.insecure);
    power.hidden = !possible;
    power.textContent = view.stream ? texts.off : texts.on;
    power.disabled = cameras.disabled = view.starting;
    stage.hidden = !view.stream;
    camerasLabel.hidden = !view.stream || cameras.length < 2;
  };

  let unseen;
  new ResizeObserver(() => {
    clearTimeout(unseen);
    if (!view.element.offsetWidth) unseen = setTimeout(turnOff, UNSEEN_MS);
  }).observe(view.element);
  return view;
}
