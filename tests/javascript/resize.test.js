// The on-device page's resize against Pillow 13's own results, of random images. Larger ones, and the Pillow that is
// installed, are in tests/e2e/test_web_demo.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Resize } from "../../studio/share/web_demo/page/resize.js";

// RGB in hexadecimal; sizes are width, height.
const CASES = [
  {
    name: "smaller", from: [5, 4], to: [3, 2],
    source: "a8e5b8abeeab14cef599cc052535d5cec0ad06783f60ec83760457a17c472a49ed10c2fa0a67ce0d8f02264785762462c423399232b39168"
      + "ce358d21",
    expected: "80bba548b2916660625f5c9c54699c476c5a",
  },
  {
    name: "larger", from: [3, 2], to: [5, 4],
    source: "b527970bb48a4200a5627b0c90b818268101",
    expected: "b52797715f920bb48a2c489a4200a5a03c74726c722cb56e355c763b207c77662f7386316fb73547832e2d612a627b0c74931190b8185097"
      + "0a268101",
  },
  {
    name: "lower only", from: [2, 9], to: [2, 3],
    source: "5536e4307fa901a76df710c04edc083cbdb5404808b9586fbf8a6343304464f943287f2d2133cee5d95535cc78861fd80e7fa01dd0a1",
    expected: "318c658f60ad709349686d572c9891788694",
  },
  {
    name: "narrower only", from: [7, 3], to: [2, 3],
    source: "5397c6a0adc1367e7e3976aa6b833bad348bb5a93fc4900f8a8987f50f8c3b8efc8c4ce733da7d4597758c5cbdd130e147d9d82f7c5b7010"
      + "2d58b85f48d7de",
    expected: "6090a483716ba568895c8dac7e6fb5538c75",
  },
  {
    name: "much lower, which Pillow 13 does before it makes it narrower", from: [4, 12], to: [3, 2],
    source: "24924b1fbe1ebedebe4b4f57ff8b313a8509618b87183ce5346b49e2c23348df4abd744e5c8bbd04b85d34c7f36d1eb5cdc25ec5599f4e00"
      + "6d2fb109fa75dc800fadcc557469c96f94eb69eebb60083412b52987ef702f53e2eb824bc02064cee95b3927060103514ace681e82642726b0"
      + "83f0478aaed1b2bc0e5d9443c9d372a980672b694c87ccd6d3becc79ce4a3c",
    expected: "8c91686c8e72646f7ea371687d6e848e706f",
  },
];

/** @param {string} rgb */
function toRgba(rgb) {
  const bytes = Buffer.from(rgb, "hex");
  const rgba = new Uint8Array(bytes.length / 3 * 4);
  for (let pixel = 0; pixel < bytes.length / 3; pixel++) {
    rgba.set([...bytes.subarray(pixel * 3, pixel * 3 + 3), pixel % 256], pixel * 4); // the alpha has no say
  }
  return rgba;
}

for (const { name, from: [width, height], to: [toWidth, toHeight], source, expected } of CASES) {
  for (const strip of [1, 2, height]) {
    test(`${name}, in strips of ${strip}`, () => {
      const resize = new Resize(width, height, toWidth, toHeight, 13);
      const rgba = toRgba(source);
      for (let at = 0; at < rgba.length; at += strip * width * 4) resize.addRows(rgba.subarray(at, at + strip * width * 4));
      assert.equal(Buffer.from(resize.pixels()).toString("hex"), expected);
    });
  }
}

test("rows that are missing are an error", () => {
  const resize = new Resize(2, 2, 1, 1, 13);
  resize.addRows(new Uint8Array(8));
  assert.throws(() => resize.pixels(), /expected 2 rows, got 1/);
});
