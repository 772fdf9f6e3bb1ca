// One prediction as it is shown: the class, the confidence, and the most probable classes as bars.
import { element, fillText } from "demo/dom.js";

/** @import { PageConfig, Prediction } from "./types.js" */

const INITIAL_BARS = 5;

/** @param {PageConfig} config */
export function predictionView({ labels, texts, language }) {
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const heading = element("h2", { className: "said" });
  const bars = element("ol", { className: "bars" });
  const all = element("button", { type: "button", className: "quiet", textContent: texts.all, hidden: true });
  const root = element("div", { className: "answer" }, heading, bars, all);
  let barCount = INITIAL_BARS;
  /** @type {Prediction | null} */
  let last = null;
  all.onclick = () => {
    barCount = labels.length;
    if (last) draw(last);
  };

  /** @param {Prediction} prediction */
  function draw(prediction) {
    last = prediction;
    const { probabilities, order, isConfident, isOutOfDistribution } = prediction;
    heading.textContent = summary(prediction);
    root.classList.toggle("unsure", !isConfident);
    root.dataset.sure = isConfident ? "yes" : isOutOfDistribution ? "strange" : "no";
    // The elements stay as they are where the classes do, so that a live image's bars move rather than jump.
    order.slice(0, barCount).forEach((label, place) => {
      const row = bars.children[place] ?? bars.appendChild(barRow());
      if (!(row instanceof HTMLElement)) return;
      const [name, share, bar] = /** @type {HTMLElement[]} */ ([...row.children]);
      name.textContent = labels[label];
      share.textContent = percent.format(probabilities[label]);
      bar.style.setProperty("--share", `${probabilities[label]}`);
      row.dataset.label = labels[label];
      row.dataset.probability = `${probabilities[label]}`;
    });
    all.hidden = barCount >= labels.length;
  }

  /** @param {Prediction} prediction */
  function summary({ probabilities, order, isConfident, isOutOfDistribution }) {
    const best = { label: labels[order[0]], share: percent.format(probabilities[order[0]]) };
    return fillText(isConfident ? texts.sure : isOutOfDistribution ? texts.strange : texts.unsure, best);
  }

  return { element: root, draw, summary };
}

function barRow() {
  const bar = element("span", { className: "bar", ariaHidden: "true" });
  return element("li", {}, element("span", { className: "label" }), element("span", { className: "share" }), bar);
}
