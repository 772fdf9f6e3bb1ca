// Types of what the labelling grid gets from Python and exchanges with the routes of curating.
import type { CurateTexts } from "./texts.js";

/** What Python gives to the component. place: names the project in the browser's storage; base: of its routes. */
export interface CurateData {
  place: string;
  base: string;
  texts: CurateTexts;
}

export type LabelState = "unlabelled" | "labelled" | "rejected";

/** What an image is, or is to be. name: of a class that is only now to be created, else "". */
export interface Target {
  state: LabelState;
  class: number | null;
  name: string;
}

/** A target of several images; ids ascend. */
export interface TargetSet {
  ids: Int32Array;
  target: Target;
}

export interface ClassInfo {
  id: number;
  name: string;
  position: number;
  colour: string;
  hotkey: string;
  count: number;
}

/** GET items: one image. group and keeper are those of near-duplicates, doubt is a label issue, odd are image issues. */
export interface ItemResponse {
  id: number;
  sha?: string;
  name?: string;
  state: LabelState;
  class: number | null;
  suggestion?: [classId: number, probability: number] | null;
  doubt?: [classId: number, score: number] | null;
  odd?: string[] | null;
  group?: number | null;
  keeper?: boolean;
  clash?: [state: LabelState, classId: number | null] | null;
}

/** An item as the cache keeps it. number: of the history, of which it is; fresh: need not be asked for again. */
export interface Item extends ItemResponse {
  number: number;
  fresh: boolean;
  gone?: boolean;
}

export type Change = [id: number, state: LabelState, classId: number | null];

/** GET classes: the classes with their counts, and what can be filtered by. */
export interface Counts {
  number?: number;
  classes: ClassInfo[];
  unlabelled: number;
  labelled: number;
  rejected: number;
  sources?: string[];
  licences?: string[];
  findings: Record<string, number>;
  studies: Record<string, unknown>;
  clashes?: number;
}

/** Images as ranges of ids ("1-5,9") and what they are to be. */
export interface OperationSet {
  images: string;
  state: LabelState;
  class?: number | null;
  class_name?: string;
}

/** POST labels: one operation. A repeated id changes nothing. seen: the number of the history that was known. */
export interface Operation {
  id: string;
  kind: "set" | "undo" | "redo";
  seen?: number;
  sets?: OperationSet[];
  operation?: string;
}

export interface OperationResult {
  id?: string;
  error?: string | null;
  number?: number;
  changes?: Change[] | null;
  clashes?: Change[];
}

/** GET history: one operation. */
export interface HistoryEntry {
  id: string;
  number: number;
  at: string;
  author: string | null;
  text: string;
  undone: boolean;
  can_undo: boolean;
}

export type Filter = Record<string, string>;

/** What the grid shows. like, at: ids of images; chosen: given images instead of a filter's. */
export interface Query {
  filter: Filter;
  order: string;
  like: number;
  at: number;
  chosen?: Int32Array;
}

/** A change of the classes: POST classes. */
export interface ClassChange {
  act: "add" | "rename" | "recolour" | "hotkey" | "reorder" | "merge" | "remove";
  [field: string]: unknown;
}
