// A camera whose image is shown in a component. Python puts this before the component's own script, and after one
// with `filled`: together they are one module. The camera is turned off once it has been out of sight for a second.
const UNSEEN_MS = 1000;

// view: gets `stream`, `starting` and `fault`, and has `element` and `draw()`. video: where the image is; cameras: a
// select, for which one. wanted: what is asked of the image. begun(), ending(): what else happens when it is on, and
// before it is off.
function cameraStream(view, { video, cameras, texts, wanted, begun = () => {}, ending = () => {} }) {
  Object.assign(view, { stream: null, starting: false, fault: "" });
  cameras.onchange = () => turnOn(cameras.value);

  async function turnOn(deviceId = "") {
    turnOff();
    view.starting = true;
    view.draw();
    try {
      const wish = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: "environment" } };
      view.stream = await navigator.mediaDevices.getUserMedia({ video: { ...wanted, ...wish } });
      const [track] = view.stream.getVideoTracks();
      track.onended = () => { turnOff(); view.fault = texts.gone; view.draw(); };
      video.srcObject = view.stream;
      const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
      cameras.replaceChildren(...found.map(({ deviceId: value, label }, at) =>
        new Option(label || filled(texts.nameless, { number: at + 1 }), value)));
      cameras.value = track.getSettings().deviceId;
      begun();
    } catch (error) {
      view.fault = texts[error.name] ?? filled(texts.broken, { why: error.message });
    }
    view.starting = false;
    if (!view.element.offsetWidth) turnOff(); // left before the camera had come up
    view.draw();
  }

  function turnOff() {
    ending();
    view.stream?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
    view.stream = video.srcObject = null;
    view.fault = "";
    view.draw();
  }

  view.resume = () => { if (view.stream) video.play().catch(() => {}); };

  let unseen;
  new ResizeObserver(() => {
    clearTimeout(unseen);
    if (!view.element.offsetWidth) unseen = setTimeout(turnOff, UNSEEN_MS);
  }).observe(view.element);
  return { turnOn, turnOff };
}
