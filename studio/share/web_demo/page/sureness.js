// What the model's numbers mean: calibrated, in order, and whether they are enough to say anything.

// probabilities: as the model gives them. strangeness: how far the image is from all it learned on, or null.
// sureness: {temperature, least_probability, most_strangeness}; the last is null where it was not measured.
// Returns {probabilities, order, sure, strange}: order is the classes' numbers, likeliest first.
export function verdict({ probabilities, strangeness }, { temperature, least_probability: least, most_strangeness: most }) {
  const calibrated = cooled(probabilities, temperature);
  const order = calibrated.map((_p, at) => at).sort((a, b) => calibrated[b] - calibrated[a]);
  const strange = most !== null && strangeness !== null && !(strangeness <= most); // what is no number is strange too
  const sure = !strange && calibrated[order[0]] >= least;
  return { probabilities: calibrated, order, sure, strange };
}

// The softmax of the logits over a temperature, out of the softmax of the logits.
function cooled(probabilities, temperature) {
  const powers = probabilities.map((p) => p ** (1 / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
