// The panel of a project's runs: their curves, their table, and the results of the one that is opened. Built once a
// project and moved to wherever the page draws it, so that a page that runs again finds it as it was.
import { PALETTE } from "../../components/class_appearance.js";
import { button, element, fillText, messageOf } from "../../../share/web_demo/page/dom.js";
import { CurveStore } from "./curve_store.js";
import { comparisonElements } from "./run_comparison.js";
import { makeRunResults } from "./run_results.js";
import { makeRunTable } from "./run_table.js";
import { makeTrainingCurves } from "./training_curves.js";

/** @import { ComponentArgs } from "../../components/types.js" */
/** @import { RunsTexts } from "./texts.js" */
/** @import { GridFilter, Run, RunAction, RunDetails, RunList, RunsData } from "./types.js" */

const POLL_LIVE_MS = 700, POLL_LIST_MS = 2_000, POLL_IDLE_MS = 15_000, RETRY_MS = 4_000;

export class RunsPanel {
  /** @param {RunsData} data */
  constructor({ place, base, curate, texts }) {
    this.place = place;
    this.base = base;
    this.curate = curate;
    this.texts = texts;
    /** @type {Run[]} */
    this.runs = [];
    /** @type {RunList["columns"]} */
    this.columns = [];
    /** @type {RunList["deleted"]} */
    this.deleted = [];
    /**
     * Ids of the runs whose curves are drawn.
     * @type {Set<number>}
     */
    this.drawn = new Set();
    /** @type {Map<number, string>} */
    this.colours = new Map();
    this.isShown = false;
    /** @type {number | null} */
    this.opened = Number(new URLSearchParams(location.search).get("run")) || null;
    /** @type {number | null} */
    this.compared = null;
    /** @type {Map<number, { key: string, details: RunDetails }>} */
    this.details = new Map();
    /** @type {string | null} */
    this.stamp = null;
    /**
     * The state of each run in which its curves were fetched last.
     * @type {Map<number, string>}
     */
    this.fetchedStates = new Map();
    this.isChosen = false; // whether somebody opened a run after the newest had begun
    this.needsList = false;
    this.isPolling = false;
    this.isAway = false;
    this.listed_ms = Number.NEGATIVE_INFINITY;
    this.listSignature = "";
    this.drawnSignature = "";
    this.comparisonSignature = "";
    /** @type {Set<number>} */
    this.unfinished = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** Called after an action, from which a job may begin. */
    this.onAction = () => {};
    this.store = new CurveStore(base);
    this.curves = makeTrainingCurves({
      texts: texts.curves, store: this.store,
      runs: () => this.runs.filter((run) => this.drawn.has(run.id))
        .map(({ id, title }) => ({ id, title, colour: this.colourOf(id) })).reverse(),
    });
    this.table = makeRunTable({ texts: texts.table, panel: this });
    this.results = makeRunResults({ texts: texts.results, panel: this });
    this.renameDialog = makeRenameDialog(texts.naming, (run, name, note) => this.saveName(run, name, note));
    this.notices = element("div", { className: "notices", role: "status", "aria-live": "polite" });
    this.tensorBoardButton = button(texts.tensorboard.open, () => this.openTensorBoard(), { title: texts.tensorboard.help });
    this.element = element("section", { className: "retraining" }, this.curves.element,
      element("div", { className: "runs-header" }, element("h2", {}, texts.table.runs), this.tensorBoardButton),
      this.table.element, this.results.element, this.notices, this.renameDialog.element);
  }

  /**
   * The page shows this panel.
   * @param {string} stamp  another one where the page knows of something new
   */
  onShow(stamp) {
    this.isShown = true;
    if (this.stamp !== stamp) this.needsList = true;
    this.stamp = stamp;
    this.pollNow();
  }

  onHide() {
    this.isShown = false;
    clearTimeout(this.timer);
  }

  pollNow() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), 0);
  }

  /** Fetch the runs and their curves anew. */
  refreshSoon() {
    this.needsList = true;
    this.pollNow();
  }

  async poll() {
    if (!this.isShown || this.isPolling) return;
    this.isPolling = true;
    let wait = RETRY_MS;
    try {
      await this.refresh();
      wait = this.runs.some(isLive) ? POLL_LIVE_MS : POLL_IDLE_MS;
      this.onConnection(true);
    } catch {
      this.onConnection(false);
    }
    this.isPolling = false;
    if (this.needsList) wait = 0;
    this.timer = setTimeout(() => this.poll(), wait);
  }

  async refresh() {
    // The list is long where there are many runs, and changes seldom; curves grow all the time.
    if (this.needsList || !this.runs.some(isLive) || performance.now() - this.listed_ms > POLL_LIST_MS) {
      this.needsList = false;
      this.onList(await this.get("runs"));
      this.listed_ms = performance.now();
    }
    const drawn = this.runs.filter((run) => this.drawn.has(run.id));
    const due = drawn.filter((run) => isLive(run) || this.fetchedStates.get(run.id) !== run.state);
    const hasGrown = await this.store.refresh(due.map((run) => run.id));
    for (const run of due) this.fetchedStates.set(run.id, run.state);
    const signature = JSON.stringify(drawn.map(({ id, title }) => [id, title]));
    if (hasGrown || signature !== this.drawnSignature) this.curves.draw();
    this.drawnSignature = signature;
    await this.drawResults();
  }

  /** @param {RunList} list */
  onList({ runs, columns, deleted }) {
    const known = new Set(this.runs.map((run) => run.id));
    const isFirst = !known.size;
    const signature = JSON.stringify([runs, columns, deleted]);
    if (signature === this.listSignature) return;
    this.listSignature = signature;
    this.runs = runs;
    this.columns = columns;
    this.deleted = deleted;
    const ids = runs.map((run) => run.id);
    for (const id of [...ids].sort((one, other) => one - other)) {
      if (!this.colours.has(id)) this.colours.set(id, PALETTE[this.colours.size % PALETTE.length]);
    }
    for (const id of this.drawn) if (!ids.includes(id)) this.drawn.delete(id);
    // A new run is drawn over those that are drawn already.
    const added = isFirst ? ids.filter((id, at) => at === 0 || id === this.opened) : ids.filter((id) => !known.has(id));
    for (const id of added) this.drawn.add(id);
    if (!isFirst && added.length) this.isChosen = false;
    const finished = runs.find((run) => run.cells.accuracy && this.unfinished.has(run.id));
    this.unfinished = new Set(runs.filter((run) => !run.cells.accuracy).map((run) => run.id));
    if (finished && !this.isChosen) this.opened = finished.id;
    if (!this.run(this.opened)) this.opened = (runs.find((run) => run.cells.accuracy) ?? runs[0])?.id ?? null;
    if (!this.run(this.compared)) this.compared = null;
    this.table.draw();
    this.element.classList.toggle("empty", !runs.length && !deleted.length);
    this.curves.element.hidden = !runs.length;
    this.tensorBoardButton.hidden = !runs.length;
  }

  async drawResults() {
    const run = this.run(this.opened);
    if (!run) {
      this.results.draw(null, null);
      return;
    }
    const key = `${run.id} ${run.state} ${run.name}`;
    if (this.details.get(run.id)?.key !== key) {
      if (!this.details.has(run.id)) this.results.draw(run, null);
      this.details.set(run.id, { key, details: await this.get(`runs/${run.id}`) });
    }
    if (this.opened !== run.id) return;
    this.results.draw(this.run(run.id), this.details.get(run.id)?.details ?? null);
    await this.drawComparison();
  }

  async drawComparison() {
    const { opened, compared } = this;
    const place = this.results.comparison;
    const mine = this.run(opened), theirs = this.run(compared);
    if (!mine || !theirs || mine === theirs) {
      this.compared = null;
      place.replaceChildren();
      this.comparisonSignature = "";
      return;
    }
    const signature = `${opened} ${compared} ${mine.title} ${theirs.title}`;
    if (this.comparisonSignature === signature) return;
    const comparison = await this.get(`runs/${opened}/differences?from=${compared}`);
    if (this.opened !== opened || this.compared !== compared) return;
    this.comparisonSignature = signature;
    place.replaceChildren(...comparisonElements(comparison, this.texts.difference, (filter) => this.gridAddress(filter)));
  }

  /** @param {number | null} id */
  run(id) {
    return this.runs.find((run) => run.id === id) ?? null;
  }

  /** @param {number} id */
  colourOf(id) {
    return this.colours.get(id) ?? PALETTE[0];
  }

  /** @param {string} key */
  columnLabel(key) {
    return this.columns.find((each) => each.key === key)?.label ?? "";
  }

  /**
   * @param {Run} run
   * @param {string} key
   */
  isDefault(run, key) {
    return this.columns.find((each) => each.key === key)?.default === run.cells[key]?.text;
  }

  /**
   * @param {number} id
   * @param {boolean} on
   */
  setDrawn(id, on) {
    if (on) this.drawn.add(id);
    else this.drawn.delete(id);
    this.table.draw();
    this.curves.draw();
    this.refreshSoon();
  }

  /** @param {number} id */
  open(id) {
    this.opened = id;
    this.isChosen = true;
    this.drawn.add(id);
    const address = new URL(location.href);
    address.searchParams.set("run", `${id}`);
    history.replaceState(history.state, "", address);
    this.table.draw();
    this.results.draw(this.run(id), this.details.get(id)?.details ?? null);
    this.results.title.focus({ preventScroll: true });
    this.refreshSoon();
  }

  /** @param {number | null} id */
  compareWith(id) {
    this.compared = id;
    if (id) this.drawn.add(id);
    this.table.draw();
    this.drawComparison().catch(() => this.onConnection(false));
    this.refreshSoon();
  }

  /**
   * @param {Run} run
   * @param {string} name
   * @param {string} note
   */
  async saveName(run, name, note) {
    if (name !== run.name) await this.act("rename", run.id, name);
    if (note !== run.note) await this.act("annotate", run.id, note);
  }

  /**
   * Let the studio do something with a run, and show a notice about it.
   * @param {RunAction} action
   * @param {number} id
   * @param {string} [text]
   */
  async act(action, id, text = "") {
    const title = this.run(id)?.title ?? "";
    const { acts } = this.texts;
    try {
      this.onList(await this.post("runs", { act: action, runs: [id], text }));
      if (action === "delete") {
        this.details.delete(id);
        this.notify(fillText(acts.deleted, { run: title }), acts.undo, () => this.act("bring_back", id));
      } else if (action === "rerun") this.notify(fillText(acts.rerun, { run: title }));
      this.onAction();
    } catch (error) {
      this.notify(messageOf(error) || acts.away);
    }
    this.refreshSoon();
  }

  async openTensorBoard() {
    const { texts, tensorBoardButton } = this;
    // Opened at once: browsers block a window that opens only when an answer has come.
    const tab = open("about:blank", "_blank");
    tensorBoardButton.disabled = true;
    tensorBoardButton.textContent = texts.tensorboard.starting;
    try {
      const { address } = await this.post("tensorboard", {});
      if (tab) tab.location = address;
      else this.notify(fillText(texts.tensorboard.at, { address }));
    } catch (error) {
      tab?.close();
      this.notify(messageOf(error) || texts.acts.away);
    }
    tensorBoardButton.disabled = false;
    tensorBoardButton.textContent = texts.tensorboard.open;
  }

  /**
   * Return the address of the labelling grid with a filter.
   * @param {GridFilter} filter
   */
  gridAddress(filter) {
    return `${this.curate}&${new URLSearchParams(Object.entries(filter).map(([name, value]) => [name, `${value}`]))}`;
  }

  /** @param {string} path */
  get(path) {
    return this.fetch(path, {});
  }

  /**
   * @param {string} path
   * @param {unknown} body
   */
  post(path, body) {
    return this.fetch(path, {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Studio-Retrain": "1" },
    });
  }

  /**
   * Return a route's JSON; reject with an Error whose message is for people, or empty where nobody answered.
   * @param {string} path
   * @param {RequestInit} options
   */
  async fetch(path, options) {
    const response = await fetch(`${this.base}/${path}`, options).catch(() => null);
    const answer = await response?.json().catch(() => null);
    if (!response?.ok || !answer) throw new Error(answer?.error ?? "");
    return answer;
  }

  /**
   * Show a notice in the place of the last one.
   * @param {string} text
   * @param {string} [label]  of a button
   * @param {() => unknown} [action]
   */
  notify(text, label = "", action = () => {}) {
    const notice = element("div", { className: "notice" }, element("p", {}, text));
    if (label) {
      notice.append(button(label, () => {
        notice.remove();
        action();
      }));
    }
    notice.append(button("✕", () => notice.remove(), { className: "quiet", "aria-label": this.texts.acts.close }));
    this.notices.replaceChildren(notice);
  }

  /** @param {boolean} isConnected */
  onConnection(isConnected) {
    if (isConnected !== this.isAway) return;
    this.isAway = !isConnected;
    if (this.isAway) this.notify(this.texts.acts.away);
    else this.notices.replaceChildren();
  }
}

/** @param {Run} run */
function isLive({ state }) {
  return state === "queued" || state === "running";
}

/**
 * The dialog in which a run gets a name and a note.
 * @param {RunsTexts["naming"]} texts
 * @param {(run: Run, name: string, note: string) => void} onSave
 */
function makeRenameDialog(texts, onSave) {
  const name = element("input", { type: "text", maxLength: 80 });
  const note = element("textarea", { rows: 4, maxLength: 2000 });
  const title = element("h2");
  /** @type {Run | null} */
  let run = null;
  const footer = element("footer");
  const form = element("form", {
    method: "dialog",
    onsubmit: () => { if (run) onSave(run, name.value.trim(), note.value.trim()); },
  }, title, element("label", {}, element("span", {}, texts.name), name),
  element("label", {}, element("span", {}, texts.note), note), footer);
  const dialog = element("dialog", { className: "rename-dialog", "aria-label": texts.rename }, form);
  footer.append(button(texts.cancel, () => dialog.close()),
    element("button", { type: "submit", className: "primary" }, texts.save));
  dialog.onkeydown = (event) => event.stopPropagation(); // keys typed here are not the page's
  return {
    element: dialog,
    /** @param {Run} renamed */
    open(renamed) {
      run = renamed;
      title.textContent = renamed.number;
      name.placeholder = renamed.number;
      name.value = renamed.name;
      note.value = renamed.note;
      dialog.showModal();
      name.focus();
    },
  };
}

/** @type {RunsPanel | null} */
let current = null;

/** @param {ComponentArgs<RunsData>} args */
export default function ({ data, parentElement, setTriggerValue }) {
  if (current?.place !== data.place) {
    current?.onHide();
    current = new RunsPanel(data);
  }
  const panel = current;
  // The page has to run again where a job begins that it must watch.
  panel.onAction = () => setTriggerValue("acted", Date.now());
  const home = parentElement.querySelector(".home");
  if (home && panel.element.parentNode !== home) home.replaceChildren(panel.element);
  panel.onShow(data.stamp);
  return () => panel.onHide();
}
