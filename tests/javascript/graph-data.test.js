import assert from "node:assert/strict";
import { test } from "node:test";

import { directEdges, graphShape, panIntoView, sizeOf } from "../../static/js/graph-data.js";

/** @param {string} id @param {number} rank */
const node = (id, rank) => ({ id, rank, kind: "device", label: id });

test("a node is wide enough for its label, and never narrow", () => {
  assert.deepEqual(sizeOf({ kind: "device", label: "cr1" }), [64, 26]);
  assert.deepEqual(sizeOf({ kind: "site", label: "cr1" }), [64, 34]);
  assert.deepEqual(sizeOf({ kind: "group", label: "one of many" }), [34, 22]);
  const [width] = sizeOf({ kind: "device", label: "a-router-with-a-long-name" });
  assert.equal(Math.round(width), 187);
});

test("edges point from the lower rank to the higher", () => {
  const nodes = [node("core", 0), node("agg", 1)];
  const edges = [
    { id: "1", source: "agg", target: "core" },
    { id: "2", source: "core", target: "agg" },
  ];
  assert.deepEqual(directEdges(nodes, edges), [
    { id: "1", from: "core", to: "agg" },
    { id: "2", from: "core", to: "agg" },
  ]);
});

test("a dependency keeps its direction, whatever the ranks", () => {
  const nodes = [node("core", 0), node("agg", 1)];
  const edges = [{ id: "1", source: "agg", target: "core", kind: "dependency" }];
  assert.deepEqual(directEdges(nodes, edges), [{ id: "1", from: "agg", to: "core" }]);
});

test("edges of unknown nodes are dropped", () => {
  const edges = [{ id: "1", source: "core", target: "gone" }];
  assert.deepEqual(directEdges([node("core", 0)], edges), []);
});

test("the shape changes with nodes and edges, not with their state", () => {
  const one = { nodes: [{ id: "a", look: "ok" }], edges: [{ id: "e" }] };
  const other = { nodes: [{ id: "a", look: "warn" }], edges: [{ id: "e" }] };
  assert.equal(graphShape(one), graphShape(other));
  assert.notEqual(graphShape(one), graphShape({ nodes: [{ id: "a" }], edges: [] }));
});

test("a graph that fits is not panned; a larger one covers the view", () => {
  assert.equal(panIntoView(100, 200, 300), 0);
  assert.equal(panIntoView(40, 900, 300), -28);
  assert.equal(panIntoView(-700, 200, 300), 88);
  assert.equal(panIntoView(-100, 900, 300), 0);
});
