// Types of what the panel of runs gets from Python and exchanges with the routes of retraining.
import type { RunsTexts } from "./texts.js";

/** What Python gives to the component. curate: the address of the Curate page; stamp: changes with a run's state. */
export interface RunsData {
  place: string;
  base: string;
  curate: string;
  texts: RunsTexts;
  stamp: string;
}

export type Split = "training" | "validation";
export type Measure = "accuracy" | "cross_entropy";

/** GET runs: one run. cells: by column, its text and what to sort by; best: the best of all runs. */
export interface Run {
  id: number;
  title: string;
  number: string;
  name: string;
  note: string;
  state: string;
  state_text: string;
  origin?: string;
  error?: string | null;
  cells: Record<string, { text: string; sort: number | string | null; best?: boolean } | undefined>;
}

export interface Column {
  key: string;
  label: string;
  default?: string;
}

/** GET runs, and the answer to POST runs. */
export interface RunList {
  runs: Run[];
  columns: Column[];
  deleted: { id: number; title: string }[];
}

export type RunAction = "rename" | "annotate" | "delete" | "bring_back" | "rerun";

/** Points of a run and a split by rising step: lists of equal length. */
export interface Curve {
  steps: number[];
  seconds: (number | null)[];
  accuracy: number[];
  cross_entropy: number[];
}

export type CurvePoint = [step: number, accuracy: number, crossEntropy: number, seconds: number | null];

/** A filter of the labelling grid, as parameters of its address. */
export type GridFilter = Record<string, string | number>;

export type Interval = [low: number, high: number];

export interface ClassScore {
  label: string;
  precision: number | null;
  recall: number | null;
  f1: number | null;
  average_precision: number | null;
  count: number;
}

export interface PrecisionRecallCurve {
  label: string;
  average_precision: number | null;
  recalls: number[];
  precisions: number[];
}

export interface CalibrationBin {
  low: number;
  high: number;
  confidence: number;
  accuracy: number;
  n: number;
}

export interface Evaluation {
  n: number;
  accuracy: number | null;
  interval: Interval | null;
  without_copies?: { n: number; accuracy: number | null; interval: Interval | null } | null;
  calibration?: { expected_error: number; bins: CalibrationBin[] } | null;
  scores: ClassScore[];
  classes: string[];
  confusion: number[][];
  precision_recall?: PrecisionRecallCurve[] | null;
}

export interface WrongPrediction {
  image: number;
  sha: string;
  name: string;
  true: string;
  predicted: string;
  score: number;
  true_score?: number | null;
}

export interface Slice {
  name: string;
  n: number;
  accuracy: number | null;
  interval: Interval | null;
}

/** GET runs/{id}: the results of one run. */
export interface RunDetails {
  warnings?: string[];
  evaluation?: Evaluation | null;
  wrong: WrongPrediction[];
  wrong_count: number;
  slices?: Slice[] | null;
  facts?: [name: string, value: string][] | null;
}

/** A value of two runs. better: null where neither is. */
export interface ComparedRow {
  label: string;
  mine: string;
  theirs: string;
  differs?: boolean;
  change?: string | null;
  better?: boolean | null;
}

export interface ComparedClass {
  label: string;
  recall?: number | null;
  recall_before?: number | null;
  precision?: number | null;
  precision_before?: number | null;
}

export interface ImageChange {
  kind: "added" | "removed" | "relabelled" | "moved" | "mended" | "broken";
  count: number;
  of_class: [label: string, count: number][];
  asking?: GridFilter | null;
}

/** GET runs/{id}/differences: mine and theirs are the runs' titles. */
export interface RunComparison {
  mine: string;
  theirs: string;
  settings: ComparedRow[];
  results: ComparedRow[];
  classes: ComparedClass[];
  images: ImageChange[];
}
