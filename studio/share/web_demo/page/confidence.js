// A model's output as a prediction: calibrated, in order, and whether it is enough to name a class.

/** @import { ConfidenceSettings, ModelOutput, Prediction } from "./types.js" */

/**
 * Calibrate and order a model's output, and decide whether to abstain.
 * @param {ModelOutput} output
 * @param {ConfidenceSettings} settings
 * @returns {Prediction}
 */
export function interpret({ probabilities, oodScore }, settings) {
  const { temperature, least_probability: minProbability, most_strangeness: maxOodScore } = settings;
  const calibrated = temperatureScaled(probabilities, temperature);
  const order = calibrated.map((_p, label) => label).sort((a, b) => calibrated[b] - calibrated[a]);
  // Not a number is out of distribution, too.
  const isOutOfDistribution = maxOodScore !== null && oodScore !== null && !(oodScore <= maxOodScore);
  const isConfident = !isOutOfDistribution && calibrated[order[0]] >= minProbability;
  return { probabilities: calibrated, order, isConfident, isOutOfDistribution };
}

/**
 * Return the softmax of the logits over a temperature, computed from the softmax of the logits.
 * @param {number[]} probabilities
 * @param {number} temperature
 */
export function temperatureScaled(probabilities, temperature) {
  const powers = probabilities.map((p) => p ** (1 / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
