import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addressWithQuery, isMatch, isSameFilter, pageAddress, readQuery, withoutRun,
} from "../../studio/web/curate/frontend/filters.js";

/** @import { Filter, LabelState, Target } from "../../studio/web/curate/frontend/types.js" */

const HERE = "http://127.0.0.1:8501/curate?project=Birds";

/**
 * @param {LabelState} state
 * @param {number | null} [classId]
 * @returns {Target}
 */
const target = (state, classId = null) => ({ state, class: classId, name: "" });

test("a query in the address comes back as it was, beside what else stands there", () => {
  const query = { filter: { state: "labelled", class: "3", text: "a & b", from: "2024-02-01" }, order: "oldest", like: 0, at: 17 };
  const address = addressWithQuery(query, HERE);
  assert.equal(address.searchParams.get("project"), "Birds");
  assert.deepEqual(readQuery(address.search), query);
});

test("the default stands in no address, and old parameters are taken out", () => {
  const query = { filter: {}, order: "newest", like: 0, at: 0 };
  assert.equal(addressWithQuery(query, `${HERE}&state=rejected&order=oldest&at=3`).href, HERE);
});

test("an order that does not exist, and a similarity without an image, are the default", () => {
  assert.equal(readQuery("?order=nonsense").order, "newest");
  assert.equal(readQuery("?order=alike").order, "newest");
  assert.deepEqual(readQuery("?order=alike&like=8").like, 8);
  assert.equal(readQuery("?order=oldest&like=8").like, 0);
  assert.equal(readQuery("?at=nonsense").at, 0);
  assert.deepEqual(readQuery("?unknown=1&state=").filter, {});
});

test("a page of the index has the filter, the order and the cursor", () => {
  const query = { filter: { text: "a b" }, order: "alike", like: 5, at: 9 };
  assert.equal(pageAddress("/studio/projects/7", query, "", 100),
    "/studio/projects/7/walk?text=a+b&order=alike&limit=100&like=5");
  assert.match(pageAddress("/b", { ...query, order: "newest" }, "c", 1), /^\/b\/walk\?text=a\+b&order=newest&limit=1&after=c$/);
});

test("filters are the same whatever is left out or empty", () => {
  assert.equal(isSameFilter({ state: "labelled" }, { state: "labelled", class: "" }), true);
  assert.equal(isSameFilter({ state: "labelled" }, { state: "rejected" }), false);
  assert.deepEqual(withoutRun({ run: "3", wrong: "1", text: "a" }), { text: "a" });
});

test("images match by state and class", () => {
  const byState = { filter: { state: "labelled" }, order: "newest" };
  assert.equal(isMatch(byState, target("labelled", 2), true), true);
  assert.equal(isMatch(byState, target("rejected"), true), false);
  const byClass = { filter: { class: "2" }, order: "newest" };
  assert.equal(isMatch(byClass, target("labelled", 2), true), true);
  assert.equal(isMatch(byClass, target("labelled", 3), true), false);
  assert.equal(isMatch(byClass, target("unlabelled"), true), false);
});

test("findings: a decided label issue is settled, rejected images leave the image issues", () => {
  const labelIssues = { filter: { found: "doubtful" }, order: "doubtful" };
  assert.equal(isMatch(labelIssues, target("labelled", 1), false), true);
  assert.equal(isMatch(labelIssues, target("labelled", 1), true), false);
  const blurred = { filter: { found: "blurred" }, order: "strongest" };
  assert.equal(isMatch(blurred, target("rejected"), true), false);
  assert.equal(isMatch({ ...blurred, filter: { found: "blurred", state: "rejected" } }, target("rejected"), true), true);
  assert.equal(isMatch({ filter: { copies: "1" }, order: "group" }, target("rejected"), false), false);
});

test("suggestions are for unlabelled images: a labelled one leaves, an unlabelled one stays", () => {
  /** @type {{ filter: Filter, order: string }[]} */
  const queries = [
    { filter: { found: "suggestion" }, order: "suggestion" }, { filter: {}, order: "uncertain" },
    { filter: { suggested: "4" }, order: "newest" },
  ];
  for (const query of queries) {
    assert.equal(isMatch(query, target("labelled", 4), true), false);
    assert.equal(isMatch(query, target("unlabelled"), true), true);
  }
});
