// Feedback of a visitor on a wrong prediction, sent to the model's owner; with the image only if the visitor agrees.
import { element, messageOf } from "demo/dom.js";

/** @import { PageConfig, Prediction } from "./types.js" */

/**
 * @param {PageConfig & { feedback: string }} config
 * @param {Prediction} prediction
 * @param {Blob} file
 */
export function feedbackForm({ feedback, asks_for_image: asksForImage, labels, texts }, prediction, file) {
  const right = element("select", {}, element("option", { value: "", textContent: texts.none_of_them }),
    ...labels.map((label) => element("option", { value: label, textContent: label })));
  const agreed = element("input", { type: "checkbox" });
  const send = element("button", { type: "submit", textContent: texts.send });
  const status = element("p", { role: "status" });
  const form = element("form", {}, element("label", {}, texts.right, right),
    asksForImage && element("label", { className: "tick" }, agreed, texts.send_image), send);
  form.onsubmit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    const body = new FormData();
    body.set("said", labels[prediction.order[0]]);
    body.set("right", right.value);
    body.set("probabilities", JSON.stringify(prediction.probabilities));
    if (agreed.checked) body.set("image", file);
    try {
      const response = await fetch(feedback, { method: "POST", body });
      if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? texts.not_sent);
      status.textContent = texts.thanks;
      form.remove();
    } catch (error) {
      status.textContent = error instanceof TypeError ? texts.not_sent : messageOf(error);
      send.disabled = false;
    }
  };
  return element("details", { className: "feedback" },
    element("summary", { textContent: texts.wrong }), form, status);
}
