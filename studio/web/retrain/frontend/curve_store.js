// The points of runs' curves as they have come so far. A point may come twice, after a run was resumed: it is kept once,
// by its split and step.

/** @import { Curve, CurvePoint, Split } from "./types.js" */

/** @type {Split[]} */
export const SPLITS = ["training", "validation"];
const MAX_RUNS_A_REQUEST = 100;

export class CurveStore {
  /** @param {string} base  the address of the project's routes */
  constructor(base) {
    this.base = base;
    /** @type {Map<number, Record<Split, Curve>>} */
    this.curves = new Map();
  }

  /**
   * @param {number} run
   * @param {Split} split
   */
  curveOf(run, split) {
    return this.curves.get(run)?.[split] ?? EMPTY_CURVE;
  }

  /**
   * Fetch the new points of these runs; return whether there were any.
   * @param {number[]} runs
   * @returns {Promise<boolean>}
   */
  async refresh(runs) {
    if (!runs.length) return false;
    if (runs.length > MAX_RUNS_A_REQUEST) await this.refresh(runs.slice(MAX_RUNS_A_REQUEST));
    // The last step is asked for again: one split's point may have been written before the other's.
    const after = runs.slice(0, MAX_RUNS_A_REQUEST).map((run) => `${run}:${Math.max(0, this.lastStep(run) - 1)}`).join(",");
    const response = await fetch(`${this.base}/curves?after=${after}`);
    if (!response.ok) throw new Error(`${response.status}`);
    /** @type {{ curves: Record<string, Record<Split, CurvePoint[]>> }} */
    const { curves } = await response.json();
    let hasGrown = false;
    for (const [run, splits] of Object.entries(curves)) {
      for (const split of SPLITS) if (splits[split]) hasGrown = this.add(Number(run), split, splits[split]) || hasGrown;
    }
    return hasGrown;
  }

  /**
   * Add points by rising step; return whether any were new.
   * @param {number} run
   * @param {Split} split
   * @param {CurvePoint[]} points
   */
  add(run, split, points) {
    const curves = this.curves.get(run) ?? { training: emptyCurve(), validation: emptyCurve() };
    this.curves.set(run, curves);
    const curve = curves[split];
    let hasGrown = false;
    for (const [step, accuracy, crossEntropy, seconds] of points) {
      if (step <= lastOf(curve.steps)) continue;
      curve.steps.push(step);
      curve.accuracy.push(accuracy);
      curve.cross_entropy.push(crossEntropy);
      curve.seconds.push(seconds);
      hasGrown = true;
    }
    return hasGrown;
  }

  /** @param {number} run */
  lastStep(run) {
    return Math.max(...SPLITS.map((split) => lastOf(this.curveOf(run, split).steps)));
  }
}

/** @returns {Curve} */
function emptyCurve() {
  return { steps: [], seconds: [], accuracy: [], cross_entropy: [] };
}

/** @param {number[]} steps */
function lastOf(steps) {
  return steps[steps.length - 1] ?? 0;
}

const EMPTY_CURVE = emptyCurve();
