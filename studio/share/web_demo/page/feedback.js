// A visitor's word that an answer is wrong, sent to whoever shares the model; with the image only if they agree.
import { make } from "demo/dom.js";

export function feedbackView({ feedback, asks_for_image: asksForImage, labels, texts }, verdict, file) {
  const right = make("select", {}, make("option", { value: "", textContent: texts.none_of_them }),
    ...labels.map((label) => make("option", { value: label, textContent: label })));
  const agreed = make("input", { type: "checkbox" });
  const send = make("button", { type: "submit", textContent: texts.send });
  const told = make("p", { role: "status" });
  const form = make("form", {}, make("label", {}, texts.right, right),
    ...(asksForImage ? [make("label", { className: "tick" }, agreed, texts.send_image)] : []), send);
  form.onsubmit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    const body = new FormData();
    body.set("said", labels[verdict.order[0]]);
    body.set("right", right.value);
    body.set("probabilities", JSON.stringify(verdict.probabilities));
    if (agreed.checked) body.set("image", file);
    try {
      const reply = await fetch(feedback, { method: "POST", body });
      if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).error ?? texts.not_sent);
      told.textContent = texts.thanks;
      form.remove();
    } catch (error) {
      told.textContent = error instanceof TypeError ? texts.not_sent : error.message;
      send.disabled = false;
    }
  };
  return make("details", { className: "feedback" },
    make("summary", { textContent: texts.wrong }), form, told);
}
