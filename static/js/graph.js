// Dependency graphs: Cytoscape draws what dagre lays out. State is colour, outline and word; the list beside says the same.

import { Graph, layout as dagreLayout } from "../vendor/dagre.esm.js";
import { ink, onTheme } from "./ink.js";

const REFRESH_MS = 15_000;
// Below this a name of 11 px is smaller than a reader's patience.
const READABLE = 0.75;
const OUTLINES = {
  critical: "solid",
  warn: "solid",
  blind: "dotted",
  unknown: "dotted",
  root: "solid",
  held: "dashed",
  ok: "solid",
};

// Cytoscape adds an inline style sheet unless one of this name is there; ours stands in static/css/graph.css.
const marker = document.createElement("link");
marker.id = "__________cytoscape_stylesheet";
document.head.append(marker);

const { default: cytoscape } = await import("../vendor/cytoscape.esm.min.mjs");

const inkOf = (look) =>
  ink(
    {
      critical: "critical",
      root: "critical",
      warn: "warn",
      blind: "blind",
      held: "suppressed",
      unknown: "text-3",
    }[look] ?? "control-line",
  );

function sizeOf(node) {
  if (node.kind === "group") return [34, 22];
  return [Math.max(64, node.label.length * 6.6 + 22), node.kind === "site" ? 34 : 26];
}

// Rank by role: edges run from the middle of the network outwards, so that what depends stands below.
function place(nodes, edges) {
  const graph = new Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 18, ranksep: 44, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  const rank = new Map(nodes.map((node) => [node.id, node.rank]));
  for (const node of nodes) {
    const [width, height] = sizeOf(node);
    graph.setNode(node.id, node.kind === "box" ? {} : { width, height });
  }
  for (const node of nodes) {
    if (node.parent && graph.hasNode(node.parent)) graph.setParent(node.id, node.parent);
  }
  for (const edge of edges) {
    if (!graph.hasNode(edge.source) || !graph.hasNode(edge.target)) continue;
    const isDown = edge.kind === "lean" || rank.get(edge.source) <= rank.get(edge.target);
    const [from, to] = isDown ? [edge.source, edge.target] : [edge.target, edge.source];
    graph.setEdge(from, to, {}, edge.id);
  }
  dagreLayout(graph);
  return new Map(graph.nodes().map((id) => [id, graph.node(id)]));
}

function sheet() {
  const label = {
    "font-family": getComputedStyle(document.body).fontFamily,
    "font-size": 11,
    color: ink("text-2"),
    "text-wrap": "none",
  };
  return [
    {
      selector: "node",
      style: {
        ...label,
        shape: "round-rectangle",
        width: "data(width)",
        height: "data(height)",
        label: "data(label)",
        "text-valign": "center",
        "background-color": ink("surface"),
        "border-width": 1.5,
        "border-color": ink("control-line"),
        "font-weight": 500,
        "corner-radius": 4,
      },
    },
    {
      selector: ":parent",
      style: {
        label: "data(label)",
        "text-valign": "top",
        "text-halign": "center",
        "font-weight": 600,
        color: ink("text-3"),
        "background-color": ink("surface-well"),
        "border-color": ink("line"),
        "border-width": 1,
        padding: 10,
        shape: "round-rectangle",
        "corner-radius": 6,
        "text-margin-y": -2,
      },
    },
    {
      selector: "node[kind = 'outside']",
      style: { "border-style": "dotted", color: ink("text-3"), "font-weight": 400 },
    },
    {
      selector: "node[kind = 'group']",
      style: {
        shape: "diamond",
        "font-size": 10,
        "background-color": ink("surface-hover"),
        height: 30,
        width: 46,
      },
    },
    ...["critical", "warn", "blind", "unknown", "held"].map((look) => ({
      selector: `node[look = '${look}']`,
      style: {
        "border-color": inkOf(look),
        "border-style": OUTLINES[look],
        "border-width": 2,
        ...(look === "critical"
          ? { "background-color": ink("critical-wash"), color: ink("critical") }
          : {}),
        ...(look === "blind" ? { "background-color": ink("blind-wash"), color: ink("blind") } : {}),
      },
    })),
    {
      selector: "node[look = 'root']",
      style: {
        "background-color": ink("critical"),
        "border-color": ink("critical"),
        color: ink("on-critical"),
        "font-weight": 600,
      },
    },
    { selector: "node[note = 'far']", style: { color: ink("text-3") } },
    {
      selector: "edge",
      style: {
        width: 1.5,
        "line-color": ink("control-line"),
        "curve-style": "bezier",
        "font-size": 10,
        "font-family": label["font-family"],
        color: ink("text-3"),
        "text-background-color": ink("surface"),
        "text-background-opacity": 1,
        "text-background-padding": 2,
      },
    },
    {
      selector: "edge[kind = 'lean']",
      style: {
        "line-style": "dashed",
        "target-arrow-shape": "triangle",
        "target-arrow-color": ink("text-3"),
        "line-color": ink("text-3"),
        width: 1,
        "arrow-scale": 0.7,
      },
    },
    {
      selector: "edge[look = 'held']",
      style: { "line-style": "dashed", "line-color": ink("suppressed") },
    },
    {
      selector: "edge[look = 'blind']",
      style: { "line-style": "dotted", "line-color": ink("blind") },
    },
    { selector: "edge[look = 'warn']", style: { "line-color": ink("warn"), width: 2.5 } },
    {
      selector: "edge[look = 'critical'], edge[look = 'root']",
      style: {
        "line-color": ink("critical"),
        "line-style": "dashed",
        width: 2.5,
        label: "data(label)",
        color: ink("critical"),
        "font-weight": 600,
        "z-index": 9,
      },
    },
    { selector: "edge[look = 'root']", style: { width: 4 } },
    {
      selector: "node:active, node.here",
      style: { "overlay-opacity": 0, "border-color": ink("accent"), "border-width": 2.5 },
    },
  ];
}

class Drawing {
  constructor(box) {
    this.box = box;
    this.load();
    this.timer = setInterval(() => {
      if (!box.isConnected) return this.end();
      if (!document.hidden) this.load();
    }, REFRESH_MS);
    this.sizes = new ResizeObserver(() => this.graph?.resize());
    this.sizes.observe(box);
  }

  end() {
    clearInterval(this.timer);
    this.sizes.disconnect();
    this.graph?.destroy();
    drawings.delete(this.box);
  }

  async load() {
    try {
      const answer = await fetch(this.box.dataset.graph, {
        headers: { Accept: "application/json" },
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const picture = await answer.json();
      const shape = JSON.stringify([
        picture.nodes.map((n) => n.id),
        picture.edges.map((e) => e.id),
      ]);
      if (shape === this.shape) this.recolour(picture);
      else this.draw(picture, shape);
    } catch {
      if (!this.graph) this.say(this.box.dataset.failed);
    }
  }

  say(text) {
    const line = document.createElement("p");
    line.className = "dim hint-text";
    line.textContent = text;
    this.box.replaceChildren(line);
  }

  draw(picture, shape) {
    this.shape = shape;
    this.box.classList.toggle("is-empty", !picture.nodes.length);
    if (!picture.nodes.length) return this.say(this.box.dataset.empty);
    // A small drawing has no room for the boxes of sites.
    const isSmall = !this.box.classList.contains("is-tall");
    const nodes = isSmall ? picture.nodes.filter((n) => n.kind !== "box") : picture.nodes;
    const places = place(nodes, picture.edges);
    const parents = new Set(nodes.filter((n) => n.kind === "box").map((n) => n.id));
    const elements = [
      ...nodes.map((node) => {
        const [width, height] = sizeOf(node);
        const parent = parents.has(node.parent) ? node.parent : undefined;
        const at = node.kind === "box" ? null : places.get(node.id);
        return {
          group: "nodes",
          data: { ...node, parent, width, height },
          ...(at ? { position: { x: at.x, y: at.y } } : {}),
        };
      }),
      ...picture.edges.map((edge) => ({ group: "edges", data: edge })),
    ];
    this.graph?.destroy();
    this.box.replaceChildren();
    this.graph = cytoscape({
      container: this.box,
      elements,
      style: sheet(),
      layout: { name: "preset", fit: true, padding: 12 },
      minZoom: 0.15,
      maxZoom: 2.5,
      autoungrabify: true,
      boxSelectionEnabled: false,
    });
    if (this.graph.zoom() > 1.15) {
      this.graph.zoom(1.15);
      this.graph.center();
    }
    if (!isSmall) this.comeNear();
    this.graph.on("tap", "node", (event) => {
      const { url } = event.target.data();
      if (url) location.assign(url);
    });
    this.graph.on("mouseover", "node", (event) => {
      this.box.classList.toggle("can-open", Boolean(event.target.data("url")));
      event.target.addClass("here");
    });
    this.graph.on("mouseout", "node", (event) => {
      this.box.classList.remove("can-open");
      event.target.removeClass("here");
    });
  }

  // Names that nobody can read say nothing: start at what is broken, or at the core. A wallboard, which nobody can move, shows all.
  comeNear() {
    if (this.graph.zoom() >= READABLE || document.body.classList.contains("kiosk")) return;
    const wire = this.graph
      .edges("[look = 'root']")
      .union(this.graph.edges("[look = 'critical']"))
      .first();
    const broken = wire.length
      ? wire.connectedNodes()
      : this.graph.nodes("[look = 'root'], [look = 'critical']").first();
    const first = broken.length ? broken : this.graph.nodes("[rank <= 1]").first();
    this.graph.zoom(READABLE);
    this.graph.center(first.length ? first : undefined);
    // Nothing is gained by looking past the edge of the drawing.
    const { x1, x2, y1, y2 } = this.graph.elements().renderedBoundingBox();
    const inward = (low, high, size) =>
      high - low < size ? 0 : low > 12 ? 12 - low : high < size - 12 ? size - 12 - high : 0;
    this.graph.panBy({
      x: inward(x1, x2, this.graph.width()),
      y: inward(y1, y2, this.graph.height()),
    });
  }

  recolour(picture) {
    this.graph?.batch(() => {
      for (const one of [...picture.nodes, ...picture.edges]) {
        const drawn = this.graph.getElementById(one.id);
        if (drawn.data("look") !== one.look) drawn.data("look", one.look);
      }
    });
  }
}

const drawings = new Map();

function start() {
  for (const box of document.querySelectorAll("[data-graph]")) {
    if (!drawings.has(box)) drawings.set(box, new Drawing(box));
  }
}

onTheme(() => {
  for (const drawing of drawings.values()) drawing.graph?.style(sheet());
});
document.addEventListener("htmx:afterSwap", start);
document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-zoom]");
  if (!step) return;
  const { graph } = [...drawings.values()][0] ?? {};
  if (!graph) return;
  if (step.dataset.zoom === "fit") graph.fit(undefined, 12);
  else
    graph.zoom({
      level: graph.zoom() * (step.dataset.zoom === "in" ? 1.3 : 1 / 1.3),
      renderedPosition: { x: graph.width() / 2, y: graph.height() / 2 },
    });
});
start();
