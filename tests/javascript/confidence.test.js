import assert from "node:assert/strict";
import { test } from "node:test";
import { interpret, temperatureScaled } from "../../studio/share/web_demo/page/confidence.js";

const SETTINGS = { temperature: 1, least_probability: 0.6, most_strangeness: 10 };

test("temperature scaling of a softmax is the softmax of the scaled logits", () => {
  const logits = [2, 0.5, -1];
  const softmax = (/** @type {number[]} */ values) => {
    const powers = values.map(Math.exp);
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  };
  const scaled = temperatureScaled(softmax(logits), 1.7);
  softmax(logits.map((logit) => logit / 1.7)).forEach((expected, at) => {
    assert.ok(Math.abs(scaled[at] - expected) < 1e-12);
  });
});

test("classes are ordered by probability, and the least probability decides on abstention", () => {
  const sure = interpret({ probabilities: [0.1, 0.7, 0.2], oodScore: 3 }, SETTINGS);
  assert.deepEqual(sure.order, [1, 2, 0]);
  assert.equal(sure.isConfident, true);
  assert.equal(interpret({ probabilities: [0.3, 0.5, 0.2], oodScore: 3 }, SETTINGS).isConfident, false);
});

test("what is out of distribution is never confident; a score that is no number is out of distribution", () => {
  for (const oodScore of [10.1, Number.NaN, Number.POSITIVE_INFINITY]) {
    const { isConfident, isOutOfDistribution } = interpret({ probabilities: [1, 0], oodScore }, SETTINGS);
    assert.deepEqual([isConfident, isOutOfDistribution], [false, true]);
  }
});

test("a model without the score, and a limit that was not measured, say nothing", () => {
  assert.equal(interpret({ probabilities: [1, 0], oodScore: null }, SETTINGS).isOutOfDistribution, false);
  const unmeasured = { ...SETTINGS, most_strangeness: null };
  assert.equal(interpret({ probabilities: [1, 0], oodScore: 99 }, unmeasured).isOutOfDistribution, false);
});
