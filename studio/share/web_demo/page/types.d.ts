// Types of the DOM helper, and of what a server writes into the on-device page and answers to it.

/** What may be given as an element's property. Attributes have a hyphen in their name. */
export type Properties<E> = {
  [Name in keyof E]?: E[Name] extends string | null ? string | number : E[Name];
} & { [attribute: `${string}-${string}`]: unknown };

export type Child = Node | string | null | undefined | false;

export interface Plural {
  one: string;
  many: string;
}

/** How an image is made into the network's input. pillow: the major version whose resize is followed. */
export interface Preprocessing {
  width_px: number;
  height_px: number;
  pillow: number;
}

/** Calibration and abstention; most_strangeness is the largest out-of-distribution score, null if not measured. */
export interface ConfidenceSettings {
  temperature: number;
  least_probability: number;
  most_strangeness: number | null;
}

/** What the server writes into the page as JSON. */
export interface PageConfig {
  labels: string[];
  preprocessing: Preprocessing;
  sureness: ConfidenceSettings;
  model: { address: string; size_bytes: number } | null;
  runtime: string;
  server: string | null;
  feedback: string | null;
  asks_for_image: boolean;
  language: string;
  texts: Record<string, string>;
}

/** A model's output for one image. */
export interface ModelOutput {
  probabilities: number[];
  oodScore: number | null;
}

/** Calibrated probabilities; order holds the classes' indices, the most probable first. */
export interface Prediction {
  probabilities: number[];
  order: number[];
  isConfident: boolean;
  isOutOfDistribution: boolean;
}

/** A decoded image, upright; file is null for a frame of a camera. */
export interface DecodedImage {
  source: ImageBitmap | HTMLImageElement;
  width: number;
  height: number;
  file: File | null;
}

/** A model that can be asked, in this browser or at a server. */
export interface Model {
  predict(image: DecodedImage): Promise<ModelOutput>;
  runsHere: boolean;
}
