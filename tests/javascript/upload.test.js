import assert from "node:assert/strict";
import { test } from "node:test";
import { bundleFiles } from "../../studio/web/collect/frontend/upload_session.js";
import { isIgnored } from "../../studio/web/collect/frontend/uploader.js";

/** @param {number[]} sizes */
const filesOf = (...sizes) => sizes.map((size, at) => ({ name: `${at}`, file: new Blob([new Uint8Array(size)]) }));

test("large files travel alone, small ones together, and none gets lost", () => {
  const MB = 2 ** 20;
  const bundles = bundleFiles(filesOf(10, 2 * MB, 20, MB, MB + 1, 0));
  assert.deepEqual(bundles.map((bundle) => bundle.map(({ name }) => name)), [["1"], ["4"], ["0", "2", "3", "5"]]);
});

test("a bundle of small files has at most 8 MiB", () => {
  const bundles = bundleFiles(filesOf(...Array(20).fill(2 ** 20)));
  assert.deepEqual(bundles.map(({ length }) => length), [8, 8, 4]);
  assert.deepEqual(bundleFiles([]), []);
});

test("what systems leave behind is not uploaded", () => {
  for (const name of [".DS_Store", "cats/.hidden/1.jpg", "__MACOSX/1.jpg", "cats/Thumbs.db", "$RECYCLE.BIN/x"]) {
    assert.equal(isIgnored(name), true, name);
  }
  for (const name of ["cats/1.jpg", "a.b.jpg", "thumbs.db.jpg"]) assert.equal(isIgnored(name), false, name);
});
