// Label operations and their undo history: set, accept, undo, redo, settle a conflict. Each shows at once, from what is
// known here; the queue carries it to the studio, whose answer then counts.
import { fillText, formatNumber, pluralText } from "../../../share/web_demo/page/dom.js";
import { formatIdRanges, groupByTarget, includesId, newOperationId, parseIdRanges } from "./id_ranges.js";
import { labelIssueOf } from "./tile_state.js";

/** @import { CurateView } from "./curate_view.js" */
/** @import { QueueEntry } from "./label_queue.js" */
/** @import { CurateTexts } from "./texts.js" */
/** @import { Change, Item, ItemResponse, Operation, OperationResult, Target, TargetSet } from "./types.js" */

/**
 * What one undo takes back. operations: ids of those that the next undo or redo takes back; before, after: what the
 * images were and became; at: the image that had the focus.
 * @typedef {{ operations: string[], before: TargetSet[], after: TargetSet[], at: number | undefined }} UndoStep
 */

const MAX_OPERATION_IMAGES = 100_000; // the studio takes twice as many

export class LabelOperations {
  /**
   * @param {CurateView} view
   * @param {CurateTexts["acts"]} texts
   */
  constructor(view, texts) {
    this.view = view;
    this.texts = texts;
    /** @type {UndoStep[]} */
    this.undoStack = [];
    /** @type {UndoStep[]} */
    this.redoStack = [];
    /** @type {Map<string, { resolve: (result: OperationResult) => void, reject: (error: Error) => void }>} */
    this.awaited = new Map();
    view.queue.onAnswer = (entry, result, number) => this.onAnswer(entry, result, number);
  }

  /**
   * Give images a target.
   * @param {Iterable<number>} ids
   * @param {Target} target
   */
  set(ids, target) {
    const sorted = Int32Array.from(ids).sort();
    if (!sorted.length) return;
    this.record([{ ids: sorted, target }]);
    this.view.announce(`${this.nameOf(target)} · ${pluralText(this.texts.images, sorted.length)}`);
  }

  /**
   * Queue one step of the undo history.
   * @param {TargetSet[]} sets
   * @param {number} [seen]  the number of the history that was known, where that is not as usual
   */
  record(sets, seen) {
    const { view } = this;
    /** @type {[number, Target][]} */
    const before = [];
    for (const { ids } of sets) {
      for (const id of ids) {
        const target = view.items.targetOf(id);
        if (target) before.push([id, target]);
      }
    }
    const operations = splitSets(sets).map((part) => {
      const ids = part.flatMap((set) => [...set.ids]);
      /** @type {Operation} */
      const op = {
        id: newOperationId(),
        kind: "set",
        seen: seen ?? view.items.knownNumber(ids, view.poller.number),
        sets: part.map((set) => ({ images: formatIdRanges(set.ids), ...targetToSend(set.target) })),
      };
      view.queue.add(op, part);
      return op.id;
    });
    this.undoStack.push({ operations, before: groupByTarget(before), after: sets, at: view.focusedId });
    this.redoStack = [];
    view.list.onTargetsChanged(sets);
  }

  /** Undo this view's newest step, or, where it has none, this browser's newest operation. */
  undo() {
    this.#move("undo", this.undoStack, this.redoStack);
  }

  redo() {
    this.#move("redo", this.redoStack, this.undoStack);
  }

  /**
   * @param {"undo" | "redo"} kind
   * @param {UndoStep[]} from
   * @param {UndoStep[]} to
   */
  #move(kind, from, to) {
    const { view } = this;
    const step = from.pop();
    if (!step) {
      view.queue.add({ id: newOperationId(), kind }, []);
      return;
    }
    const targets = kind === "undo" ? step.before : step.after;
    // The last of its operations first; what undoes it is what a redo undoes in turn.
    step.operations = step.operations.reverse().map((operation, at) => {
      const id = newOperationId();
      view.queue.add({ id, kind, operation }, at ? [] : targets);
      return id;
    });
    to.push(step);
    view.list.onTargetsChanged(targets);
    if (step.at !== undefined) view.focusId(step.at); // as the cursor in a text goes to what is undone
    view.announce(fillText(this.texts[kind === "undo" ? "undone" : "redone"], { act: this.summary(step.after) }));
  }

  /**
   * Undo an operation of the history; resolves when the studio has answered.
   * @param {string} operation
   */
  async undoOperation(operation) {
    await new Promise((resolve, reject) => {
      const id = newOperationId();
      this.awaited.set(id, { resolve, reject });
      this.view.queue.add({ id, kind: "undo", operation }, []);
    });
    this.forget(operation);
  }

  /**
   * Accept what the studio suggests for these images; return how many there were.
   * @param {Iterable<number>} ids
   * @param {boolean} [withIssues]  also what a label with an issue might be instead
   */
  async accept(ids, withIssues = false) {
    const known = Array.from(ids, (id) => this.view.items.get(id));
    // Not awaited where all is known: then it is done when this returns.
    if (known.every((item) => item !== undefined)) return this.#acceptItems(known, withIssues);
    return this.#acceptItems(await this.view.items.loadAll(ids), withIssues);
  }

  /**
   * @param {(Item | ItemResponse)[]} items
   * @param {boolean} withIssues
   */
  #acceptItems(items, withIssues) {
    /** @type {[number, Target][]} */
    const pairs = [];
    for (const item of items) {
      const suggested = this.suggestedClass(item, withIssues);
      if (suggested) pairs.push([item.id, { state: "labelled", class: suggested.id, name: "" }]);
    }
    if (!pairs.length) {
      this.view.announce(this.texts.no_suggestion);
      return 0;
    }
    const sets = groupByTarget(pairs);
    this.record(sets);
    this.view.announce(fillText(this.texts.accepted, { act: this.summary(sets) }));
    return pairs.length;
  }

  /**
   * @param {Item | ItemResponse} item
   * @param {boolean} withIssues
   */
  suggestedClass(item, withIssues) {
    const { state } = this.view.items.targetOf(item.id) ?? item;
    if (state === "unlabelled") return item.suggestion ? this.view.classOf(item.suggestion[0]) : undefined;
    return withIssues ? labelIssueOf(this.view, item) : undefined;
  }

  /**
   * Reject those of these images that are near-duplicates of another which is kept.
   * @param {Iterable<number>} ids
   */
  async rejectDuplicates(ids) {
    const duplicates = (await this.view.items.loadAll(ids)).filter(({ group, keeper }) => group && !keeper)
      .map(({ id }) => id);
    if (duplicates.length) this.set(duplicates, { state: "rejected", class: null, name: "" });
    else this.view.announce(this.texts.no_copies);
    return duplicates.length;
  }

  /**
   * Settle conflicts: with what counts now, or with what was wanted here.
   * @param {Iterable<number>} ids
   * @param {"theirs" | "own"} choice
   * @param {number} [seen]
   */
  async settleConflicts(ids, choice, seen) {
    /** @type {[number, Target][]} */
    const pairs = [];
    for (const { id, state, class: classId, clash } of await this.view.items.loadAll(ids)) {
      if (!clash) continue;
      pairs.push([id, choice === "own" ? { state: clash[0], class: clash[1], name: "" }
        : { state, class: classId, name: "" }]);
    }
    if (!pairs.length) return 0;
    const sets = groupByTarget(pairs);
    this.record(sets, seen);
    this.view.announce(this.summary(sets));
    return pairs.length;
  }

  /**
   * @param {QueueEntry} entry
   * @param {OperationResult} result
   * @param {number} number
   */
  onAnswer({ op, targets }, result, number) {
    const { view } = this;
    this.resolveAwaited(result);
    if (result.error !== null && result.error !== undefined) {
      this.forget(op.id);
      view.items.invalidate(); // shown as the studio has them
      view.notify(fillText(this.texts.refused, { why: result.error || this.texts.unknown }), [], "error");
    } else {
      this.learnNewClasses(op, result);
      if (result.changes) view.items.apply(result.changes, number, true);
      else if (op.kind === "set") this.assumeTargets(targets, new Set((result.clashes ?? []).map(([id]) => id)), number);
      else view.items.invalidate();
      if (op.kind !== "set" && !targets.length) this.announceUndo(op, result);
      if (result.clashes?.length) this.onConflict(targets, result.clashes, number);
    }
    view.onAnswer(result);
  }

  /**
   * Show conflicts until one of the two is chosen.
   * @param {TargetSet[]} targets  what was wanted here
   * @param {Change[]} conflicts  what others decided
   * @param {number} number
   */
  onConflict(targets, conflicts, number) {
    const { view, texts } = this;
    view.items.apply(conflicts, number);
    for (const [id] of conflicts) {
      const item = view.items.get(id);
      const wanted = targets.find(({ ids }) => includesId(ids, id))?.target;
      if (item && wanted) item.clash = [wanted.state, wanted.class ?? view.classNamed(wanted.name)?.id ?? null];
    }
    const ids = conflicts.map(([id]) => id);
    view.notify(fillText(ids.length === 1 ? texts.clash_one : texts.clash_many, { count: formatNumber(ids.length) }), [
      [texts.keep_theirs, () => this.settleConflicts(ids, "theirs", number)],
      [texts.use_mine, () => this.settleConflicts(ids, "own", number)],
    ], "conflict");
  }

  /**
   * Take over classes that an operation has created.
   * @param {Operation} op
   * @param {OperationResult} result
   */
  learnNewClasses({ sets = [] }, { changes }) {
    for (const { class_name: name, images } of sets) {
      if (!name || !changes) continue;
      const ids = parseIdRanges(images);
      const classId = changes.find(([id, state]) => state === "labelled" && includesId(ids, id))?.[2];
      if (classId !== undefined && classId !== null) this.view.learnClass(classId, name);
    }
  }

  /**
   * Take over the targets of an operation that was answered without its changes.
   * @param {TargetSet[]} targets
   * @param {Set<number>} conflicting
   * @param {number} number
   */
  assumeTargets(targets, conflicting, number) {
    const { items } = this.view;
    for (const { ids, target } of targets) {
      const classId = target.name ? this.view.classNamed(target.name)?.id : target.class;
      if (classId === undefined) items.invalidate();
      else {
        items.apply(Array.from(ids).filter((id) => !conflicting.has(id) && items.get(id))
          .map((id) => [id, target.state, classId]), number, true);
      }
    }
  }

  /**
   * @param {Operation} op
   * @param {OperationResult} result
   */
  announceUndo(op, result) {
    const { texts, view } = this;
    if (!result.number) {
      view.announce(op.kind === "undo" ? texts.nothing_to_undo : texts.nothing_to_redo);
      return;
    }
    const act = result.changes ? pluralText(texts.images, result.changes.length) : texts.much;
    view.announce(fillText(op.kind === "undo" ? texts.undone : texts.redone, { act }));
    if (result.changes) {
      view.list.onTargetsChanged(groupByTarget(result.changes.map(([id, state, classId]) => (
        [id, { state, class: classId, name: "" }]))));
    }
  }

  /** @param {OperationResult} result */
  resolveAwaited(result) {
    const awaited = this.awaited.get(result.id ?? "");
    if (!awaited || !result.id) return;
    this.awaited.delete(result.id);
    if (result.error) awaited.reject(new Error(result.error));
    else awaited.resolve(result);
  }

  /**
   * Drop an operation from the undo history: what was refused never happened.
   * @param {string} id
   */
  forget(id) {
    /** @param {UndoStep} step */
    const stays = ({ operations }) => !operations.includes(id);
    this.undoStack = this.undoStack.filter(stays);
    this.redoStack = this.redoStack.filter(stays);
  }

  /** @param {Target} target */
  nameOf(target) {
    if (target.state !== "labelled") return this.texts[target.state];
    return target.name || this.view.classOf(target.class)?.name || "?";
  }

  /** @param {TargetSet[]} sets */
  summary(sets) {
    const count = sets.reduce((sum, { ids }) => sum + ids.length, 0);
    const names = sets.slice(0, 3).map(({ target }) => this.nameOf(target)).join(", ");
    return `${names}${sets.length > 3 ? ", …" : ""} · ${pluralText(this.texts.images, count)}`;
  }
}

/** @param {Target} target */
function targetToSend(target) {
  if (target.state !== "labelled") return { state: target.state };
  return target.name ? { state: target.state, class_name: target.name } : { state: target.state, class: target.class };
}

/**
 * Split sets so that no operation holds more images than the studio takes.
 * @param {TargetSet[]} sets
 * @param {number} [limit]
 * @returns {TargetSet[][]}
 */
export function splitSets(sets, limit = MAX_OPERATION_IMAGES) {
  /** @type {TargetSet[][]} */
  const parts = [];
  /** @type {TargetSet[]} */
  let part = [];
  let room = limit;
  for (const { ids, target } of sets) {
    for (let at = 0; at < ids.length;) {
      const some = ids.subarray(at, at + room);
      part.push({ ids: some, target });
      at += some.length;
      room -= some.length;
      if (room === 0) {
        parts.push(part);
        part = [];
        room = limit;
      }
    }
  }
  return part.length ? [...parts, part] : parts;
}
