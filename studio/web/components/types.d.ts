// Types of what Streamlit hands to a component, and of what several components get from the studio.

/** The argument of a component's default export; Data is what Python gives as `data`. */
export interface ComponentArgs<Data> {
  data: Data;
  parentElement: HTMLElement | ShadowRoot;
  setStateValue(name: string, value: unknown): void;
  setTriggerValue(name: string, value: unknown): void;
}

/** A row of an image's metadata or provenance, as the detail routes give it. */
export interface MetadataRow {
  label: string;
  text: string;
  address?: string | null;
}

/** An image of the image grid, as Python's `Tile`. */
export interface GridImage {
  id: number;
  thumbnail: string;
  address: string;
  details: string;
  name: string;
}

export interface ImageGridData {
  images: GridImage[];
  texts: Record<
    "grid" | "all" | "none" | "selected" | "help" | "close" | "places" | "loading" | "lost",
    string
  >;
}

/** A component with a camera. */
export interface CameraView {
  element: HTMLElement;
  stream: MediaStream | null;
  starting: boolean;
  error: string;
  draw(): void;
}
