// One answer as it is shown: what it is, how sure that is, and the likeliest classes as bars.
import { filled, make } from "demo/dom.js";

const BARS = 5;

export function answerView({ labels, texts, language }) {
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const said = make("h2", { className: "said" });
  const bars = make("ol", { className: "bars" });
  const all = make("button", { type: "button", className: "quiet", textContent: texts.all, hidden: true });
  const element = make("div", { className: "answer" }, said, bars, all);
  let shown = BARS;
  let last = null;
  all.onclick = () => { shown = labels.length; draw(last); };

  function draw(verdict) {
    last = verdict;
    const { probabilities, order, sure, strange } = verdict;
    said.textContent = sentence(verdict);
    element.classList.toggle("unsure", !sure);
    element.dataset.sure = sure ? "yes" : strange ? "strange" : "no";
    // The elements stay as they are where the classes do, so that a live image's bars move rather than jump.
    order.slice(0, shown).forEach((at, place) => {
      const row = bars.children[place] ?? bars.appendChild(barRow());
      row.querySelector(".label").textContent = labels[at];
      row.querySelector(".share").textContent = percent.format(probabilities[at]);
      row.querySelector(".bar").style.setProperty("--share", probabilities[at]);
      row.dataset.label = labels[at];
      row.dataset.probability = probabilities[at];
    });
    all.hidden = shown >= labels.length;
  }

  function sentence({ probabilities, order, sure, strange }) {
    const best = { label: labels[order[0]], share: percent.format(probabilities[order[0]]) };
    return filled(sure ? texts.sure : strange ? texts.strange : texts.unsure, best);
  }

  return { element, draw, sentence };
}

function barRow() {
  const bar = make("span", { className: "bar", ariaHidden: "true" });
  return make("li", {}, make("span", { className: "label" }), make("span", { className: "share" }), bar);
}
