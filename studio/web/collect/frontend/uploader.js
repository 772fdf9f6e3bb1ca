// One view a key, built once and moved to wherever the page draws it: a page that runs again, or is left and come
// back to, finds the sending as it was.
const views = new Map();

export default function ({ data, parentElement, setTriggerValue }) {
  const view = views.get(data.key) ?? build(data);
  views.set(data.key, view);
  view.data = data;
  view.finished = (job) => setTriggerValue("finished", job);
  const place = parentElement.querySelector(".place");
  if (view.element.parentNode !== place) place.replaceChildren(view.element);
  view.draw();
}

function build({ texts }) {
  const view = { sending: null, looking: false };
  const chooser = (text, properties) => {
    const input = make("input", { type: "file", multiple: true, ...properties });
    input.onchange = () => {
      const files = Array.from(input.files, (file) => ({ name: file.webkitRelativePath || file.name, file }));
      input.value = ""; // so that the same files can be chosen again
      begin(files.filter(({ name }) => !isLitter(name)));
    };
    return make("label", { className: "button" }, text, input);
  };
  const button = (text, onclick) => make("button", { type: "button", textContent: text, onclick });

  const choosers = [chooser(texts.choose_files, {})];
  if ("webkitdirectory" in HTMLInputElement.prototype) {
    choosers.push(chooser(texts.choose_folder, { webkitdirectory: true }));
  }
  const aim = make("p", { className: "aim" });
  const drop = make("div", { className: "drop" },
    make("p", { className: "lead", textContent: texts.drop }),
    make("p", { className: "about", textContent: texts.about }),
    make("div", { className: "row" }, ...choosers), aim);
  const bar = make("progress", { max: 1, ariaLabel: texts.progress });
  const about = make("p", { className: "figures" });
  const again = button(texts.again, () => view.sending.run());
  const cancel = button(texts.cancel, () => view.sending.cancel());
  const panel = make("div", { className: "panel" }, bar, about, make("div", { className: "row" }, again, cancel));
  const status = make("p", { className: "status", role: "status" });
  view.element = make("section", { className: "uploader", ariaLabel: texts.uploader }, status, panel, drop);

  function say(text, isFault = false) {
    if (status.textContent !== text) status.textContent = text; // a screen reader reads each change
    status.classList.toggle("fault", isFault);
  }

  function begin(files) {
    if (!files.length) {
      say(texts.nothing, true);
      return;
    }
    files.sort((one, other) => (one.name < other.name ? -1 : 1));
    const { project, class_name } = view.data;
    view.sending = new Sending(files, { project, class_name, kind: "upload" }, texts, soon);
    view.sending.run().then(() => {
      if (view.sending.state === "done" && view.element.isConnected) view.finished(view.sending.job);
    });
  }

  // Hundreds of changes a second become four drawings.
  let timer;
  function soon() {
    timer ??= setTimeout(() => { timer = undefined; view.draw(); }, 250);
  }

  view.draw = () => {
    const { sending } = view;
    const busy = sending && ["sending", "finishing", "failed"].includes(sending.state);
    panel.hidden = !busy;
    drop.hidden = Boolean(busy) || view.looking;
    aim.textContent = view.data.class_name
      ? filled(texts.aim, { class_name: view.data.class_name }) : texts.aimless;
    if (view.looking) {
      say(texts.looking);
      return;
    }
    if (!sending) return;
    const files = { count: number(sending.files.length), bytes: size(sending.bytes) };
    again.hidden = sending.state !== "failed";
    bar.value = sending.fraction;
    about.textContent = [
      filled(texts.files, { done: number(sending.sentFiles), total: number(sending.files.length) }),
      filled(texts.bytes, { done: size(sending.sentBytes), total: size(sending.bytes) }),
      ...(sending.secondsLeft === null ? [] : [filled(texts.left, { time: duration(sending.secondsLeft, texts) })]),
    ].join(" · ");
    if (sending.state === "failed") say(sending.fault.message, true);
    else if (sending.state === "cancelled") say(texts.cancelled);
    else if (sending.state === "finishing") say(texts.finishing);
    else if (sending.state === "sending") say(sending.waiting ? texts.waiting : filled(texts.sending, files));
    else {
      const left = sending.unreadable;
      const more = left.length ? ` ${filled(texts.left_out, { count: left.length, name: left[0] })}` : "";
      say(filled(texts.done, files) + more, left.length > 0);
    }
  };

  drop.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  drop.ondragleave = (event) => {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
  };
  drop.ondrop = async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    // The list is emptied when this event is over: all is taken out of it before the first wait.
    const entries = Array.from(event.dataTransfer.items, (item) => item.webkitGetAsEntry()).filter(Boolean);
    const found = [];
    view.looking = true;
    view.draw();
    await Promise.all(entries.map((entry) => walk(entry, found)));
    view.looking = false;
    begin(found);
    view.draw();
  };
  return view;
}

async function walk(entry, found) {
  const name = entry.fullPath.replace(/^\//, "");
  if (isLitter(name)) return;
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file) found.push({ name, file });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a folder is given a hundred entries at a time
    const inside = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!inside.length) return;
    await Promise.all(inside.map((each) => walk(each, found)));
  }
}

const LITTER = new Set(["__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin"]);

function isLitter(name) {
  return name.split("/").some((part) => part.startsWith(".") || LITTER.has(part.toLowerCase()));
}
