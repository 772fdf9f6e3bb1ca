// One view a key, as in camera.js: the image does not stop when the page runs again. One frame is on its way at a
// time, and none waits: however slow the model is, what it says is of now.
const views = new Map();
const SENT_PX = 640;
const QUALITY = 0.9;
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
  const view = { turn: 0 };

  const video = element("video", { muted: true, playsInline: true, autoplay: true, ariaLabel: texts.live });
  const heading = element("p", { className: "heading" });
  const why = element("p", { className: "quiet" });
  const bars = element("ol", { ariaLabel: texts.answers });
  const speed = element("p", { className: "quiet" });
  // For a screen reader: only a change of the answer, not every percentage.
  const spoken = element("p", { role: "status", style: "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)" });
  const stage = element("div", { className: "stage" }, video, element("div", {}, heading, why, bars, speed));
  const power = button("", () => (view.stream ? stream.turnOff() : stream.turnOn()));
  const cameras = element("select");
  const camerasLabel = element("label", {}, texts.which, cameras);
  const hint = element("p", { className: "fault", role: "status" });
  view.element = element("section", { ariaLabel: texts.live },
    element("div", { className: "row" }, power, camerasLabel), hint, stage, spoken);
  const canvas = document.createElement("canvas");

  function forget() {
    view.turn++;
    for (const each of [heading, why, speed, spoken]) each.textContent = "";
    bars.replaceChildren();
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
        if (!answer.ok) { stream.turnOff(); view.fault = found.error; view.draw(); return; }
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
      const bar = element("i", {});
      bar.style.width = `${100 * each.score}%`;
      const share = each.score.toLocaleString(undefined, { style: "percent", minimumFractionDigits: 1 });
      return element("li", {}, element("span", {}, element("b", { textContent: each.label }), share),
        element("div", { className: "bar", ariaHidden: "true" }, bar));
    }));
    speed.textContent = filled(texts.speed, { count: (1000 / ms).toFixed(1), ms: Math.round(ms) });
  }

  view.draw = () => {
    const possible = Boolean(navigator.mediaDevices?.getUserMedia); // hidden from pages that are not safe
    hint.textContent = view.fault || (possible ? "" : texts.insecure);
    power.hidden = !possible;
    power.textContent = view.stream ? texts.off : texts.on;
    power.disabled = cameras.disabled = view.starting;
    stage.hidden = !view.stream;
    camerasLabel.hidden = !view.stream || cameras.length < 2;
  };

  const stream = cameraStream(view, {
    video, cameras, texts, wanted: { width: { ideal: 1280 } }, begun: () => ask(++view.turn), ending: forget,
  });
  return view;
}
