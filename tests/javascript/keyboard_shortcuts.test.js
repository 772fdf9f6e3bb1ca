import assert from "node:assert/strict";
import { test } from "node:test";
import { matchingClasses } from "../../studio/web/curate/frontend/class_picker.js";
import { classKeys, keyOfClass, steppedPosition } from "../../studio/web/curate/frontend/keyboard_shortcuts.js";

/**
 * @param {number} id
 * @param {string} name
 * @param {string} [hotkey]
 */
const classInfo = (id, name, hotkey = "") => ({ id, name, position: id, colour: "", hotkey, count: 0 });

test("a class has its own key, or its digit where no other class has taken that", () => {
  const classes = [classInfo(1, "fox"), classInfo(2, "owl", "1"), classInfo(3, "bee", "Q")];
  assert.deepEqual([...classKeys(classes)].map(([key, { name }]) => [key, name]), [["1", "owl"], ["q", "bee"]]);
  assert.deepEqual(classes.map((each) => keyOfClass(classes, each)), ["", "1", "q"]);
});

test("only the first nine classes have a digit", () => {
  const classes = Array.from({ length: 12 }, (_each, at) => classInfo(at, `class ${at}`));
  assert.deepEqual([...classKeys(classes).keys()], ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
});

test("up and down stay in their column; at the ends they go to the end of the row or nowhere", () => {
  const grid = { columns: 4, count: 10, rows: 3, rowOf: (/** @type {number} */ at) => Math.floor(at / 4) };
  const step = (/** @type {number} */ focus, /** @type {number} */ by) => steppedPosition({ ...grid, focus }, by);
  assert.equal(step(1, 4), 5);
  assert.equal(step(2, -4), 2); // in the first row
  assert.equal(step(7, 4), 9); // there is none below: the last one
  assert.equal(step(9, 4), 9); // in the last row
  assert.equal(step(6, -8), 2); // a page up: the first row, in its column
  assert.equal(step(9, 1), 10); // the grid stops it
});

test("classes are found by what is typed, the best first", () => {
  const classes = [classInfo(1, "red fox"), classInfo(2, "Fox"), classInfo(3, "foxglove"), classInfo(4, "owl")];
  assert.deepEqual(matchingClasses(classes, "FOX").map(({ name }) => name), ["Fox", "foxglove", "red fox"]);
  assert.deepEqual(matchingClasses(classes, "  arctic   fox ").map(({ known, name }) => [known, name]), [[null, "arctic fox"]]);
  assert.deepEqual(matchingClasses(classes, "gl").map(({ known, name }) => [known?.id, name]), [[3, "foxglove"], [undefined, "gl"]]);
  assert.equal(matchingClasses(classes, "").length, 4);
  assert.equal(matchingClasses([classInfo(1, "Café")], "cafe\u0301")[0].known?.id, 1); // composed and decomposed
});
