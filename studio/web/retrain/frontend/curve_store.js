// The points of runs' curves as they have come so far. A point may come twice, after a run was taken up again: it is kept
// by its split and step.
const CURVE_SPLITS = ["training", "validation"];
const MOST_AT_ONCE = 100; // runs in one question

class CurveStore {
  constructor(base) {
    Object.assign(this, { base, runs: new Map() });
  }

  // Points of a run and a split: { steps, seconds, accuracy, cross_entropy }, lists of equal length by rising step.
  of(run, split) {
    return this.runs.get(run)?.[split] ?? EMPTY_CURVE;
  }

  // Asks for what is new of these runs; says whether anything was.
  async refresh(runs) {
    if (!runs.length) return false;
    if (runs.length > MOST_AT_ONCE) await this.refresh(runs.slice(MOST_AT_ONCE));
    // The last step is asked for again: one split's point may have been written before the other's.
    const asked = runs.slice(0, MOST_AT_ONCE).map((run) => `${run}:${Math.max(0, this.lastStep(run) - 1)}`).join(",");
    const answer = await fetch(`${this.base}/curves?after=${asked}`);
    if (!answer.ok) throw new Error(answer.status);
    const { curves } = await answer.json();
    let grown = false;
    for (const [run, splits] of Object.entries(curves)) {
      for (const [split, points] of Object.entries(splits)) grown = this.add(Number(run), split, points) || grown;
    }
    return grown;
  }

  // points: [[step, accuracy, cross_entropy, seconds or null], …] by rising step.
  add(run, split, points) {
    if (!this.runs.has(run)) this.runs.set(run, Object.fromEntries(CURVE_SPLITS.map((each) => [each, emptyCurve()])));
    const curve = this.runs.get(run)[split];
    let grown = false;
    for (const [step, accuracy, cross_entropy, seconds] of points) {
      if (step <= (curve.steps.at(-1) ?? 0)) continue;
      curve.steps.push(step);
      curve.accuracy.push(accuracy);
      curve.cross_entropy.push(cross_entropy);
      curve.seconds.push(seconds);
      grown = true;
    }
    return grown;
  }

  lastStep(run) {
    return Math.max(0, ...CURVE_SPLITS.map((split) => this.of(run, split).steps.at(-1) ?? 0));
  }
}

function emptyCurve() {
  return { steps: [], seconds: [], accuracy: [], cross_entropy: [] };
}

const EMPTY_CURVE = emptyCurve();
