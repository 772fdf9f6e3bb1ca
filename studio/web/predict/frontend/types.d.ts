// Types of what the paste field and the live camera get from Python and from the route of predicting.

export interface PasteData {
  largest_bytes: number;
  texts: Record<"paste" | "about" | "button" | "nothing" | "too_large" | "refused" | "name" | "taken", string>;
}

/** Beside these, the texts have one for each DOMException's name that a camera throws. */
export interface LiveCameraData {
  key: string;
  address: string;
  texts: Record<
    "live" | "answers" | "on" | "off" | "which" | "nameless" | "unsure" | "strange" | "speed" | "away" | "insecure"
    | "gone" | "broken",
    string
  >;
}

/** POST answer. doubt: "strange" where the image is out of distribution, another text where the model abstains. */
export interface LivePrediction {
  predictions: { label: string; score: number }[];
  doubt?: string | null;
  error?: string;
}
