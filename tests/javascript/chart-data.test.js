import assert from "node:assert/strict";
import { test } from "node:test";

import { findGaps, formatDuration, formatValue, lastIndex } from "../../static/js/chart-data.js";

/** @param {(number | null)[][]} lines */
function chart(...lines) {
  const times = lines[0].map((_, i) => i * 60);
  return {
    times,
    step: 60,
    to: times.length * 60,
    lines: lines.map((values) => ({ values })),
  };
}

test("values have an SI prefix and their unit", () => {
  assert.equal(formatValue(0, "ms"), "0 ms");
  assert.equal(formatValue(12.34, "ms"), "12.3 ms");
  assert.equal(formatValue(1500, "sessions"), "1.5 k sessions");
  assert.equal(formatValue(940_000_000, "bit/s"), "940 M");
  assert.equal(formatValue(9_800_000_000, "bit/s"), "9.8 G");
  assert.equal(formatValue(5e15, ""), "5000 T");
});

test("a missing value is a dash, not zero", () => {
  assert.equal(formatValue(null, "ms"), "–");
  assert.equal(formatValue(undefined, "%"), "–");
});

test("small percentages have a decimal", () => {
  assert.equal(formatValue(0.25, "%"), "0.3 %");
  assert.equal(formatValue(57.6, "%"), "58 %");
});

test("a gap is a period in which no line has a sample", () => {
  assert.deepEqual(findGaps(chart([1, null, null, 2])), [[60, 180]]);
  assert.deepEqual(findGaps(chart([1, null, 2], [1, 5, 2])), []);
});

test("nothing before the first sample is a gap", () => {
  assert.deepEqual(findGaps(chart([null, null, 1, 2])), []);
  assert.deepEqual(findGaps(chart([null, null])), []);
});

test("up to two empty buckets at the end are still being filled", () => {
  assert.deepEqual(findGaps(chart([1, 2, null, null])), []);
  assert.deepEqual(findGaps(chart([1, null, null, null])), [[60, 240]]);
});

test("durations are minutes, then hours and minutes", () => {
  assert.equal(formatDuration(5), "1 min");
  assert.equal(formatDuration(59 * 60), "59 min");
  assert.equal(formatDuration(90 * 60), "1 h 30 min");
});

test("the newest sample of any line is found", () => {
  assert.equal(lastIndex([{ values: [1, null, null] }, { values: [1, 2, null] }]), 1);
  assert.equal(lastIndex([{ values: [null] }]), -1);
  assert.equal(lastIndex([]), -1);
});
