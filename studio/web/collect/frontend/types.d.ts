// Types of what the uploader and the camera get from Python and exchange with the upload routes.

export type SessionTexts = Record<
  "waiting" | "again" | "cancel" | "lost" | "unreadable" | "secret" | "refused",
  string
>;

export type UploaderTexts = SessionTexts & Record<
  "uploader" | "drop" | "about" | "choose_files" | "choose_folder" | "aim" | "aimless" | "looking" | "nothing"
  | "progress" | "sending" | "finishing" | "done" | "left_out" | "cancelled" | "files" | "bytes" | "left" | "seconds"
  | "minutes" | "hours",
  string
>;

/** Beside these, the texts have one for each DOMException's name that a camera throws. */
export type CameraTexts = SessionTexts & Record<
  "camera" | "live" | "on" | "off" | "which" | "nameless" | "every" | "review" | "class_first" | "hold_any" | "hold"
  | "strip" | "leave_out" | "send" | "discard" | "sending" | "sent" | "insecure" | "gone" | "broken",
  string
>;

export interface UploaderData {
  key: string;
  project: number;
  class_name: string | null;
  texts: UploaderTexts;
}

export interface CameraData {
  key: string;
  project: number;
  class_name: string | null;
  interval_ms: number;
  texts: CameraTexts;
}

/** A file under the name that it has in its folder. */
export interface NamedFile {
  name: string;
  file: Blob;
}

/** Where files go: POST finish. class_name: for images in no class folder. */
export interface Destination {
  project: number;
  class_name: string | null;
  kind: "upload" | "camera";
}
