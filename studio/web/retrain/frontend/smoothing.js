// TensorBoard's smoothing of curves.

/**
 * Smooth values with an exponential moving average, started from 0 and divided by the weight that it has gathered so far,
 * so that the first values are not drawn towards 0 (tf_smoothing in TensorBoard's line-chart; the correction is that of
 * Kingma & Ba, "Adam", 2015, section 3). The division leaves rounding on runs that never change, which a chart that fits
 * its axis would show as noise: those are returned as they are.
 * @param {number[]} values
 * @param {number} weight  0 to below 1
 */
export function smooth(values, weight) {
  if (weight <= 0 || values.every((value) => value === values[0])) return values.slice();
  let last = 0, gathered = 1;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    last = last * weight + (1 - weight) * value;
    gathered *= weight;
    return last / (1 - gathered);
  });
}
