// Dependency graphs: Cytoscape draws what dagre lays out. State is color, outline and word; lists show the same data.

import { Graph, layout } from "../vendor/dagre.esm.js";
import { onThemeChange, tokenColor } from "./colors.js";
import { graphShape, panIntoView, directEdges, sizeOf } from "./graph-data.js";

const REFRESH_MS = 15_000;
// Below this zoom, names of 11 px cannot be read.
const READABLE = 0.75;
const OUTLINES = {
  critical: "solid",
  warn: "solid",
  blind: "dotted",
  unknown: "dotted",
  root: "solid",
  suppressed: "dashed",
  ok: "solid",
};

// Cytoscape adds an inline style sheet unless one of this name is there; ours is in static/css/graph.css.
const marker = document.createElement("link");
marker.id = "__________cytoscape_stylesheet";
document.head.append(marker);

const { default: cytoscape } = await import("../vendor/cytoscape.esm.min.mjs");

const colorOf = (look) =>
  tokenColor(
    {
      critical: "critical",
      root: "critical",
      warn: "warn",
      blind: "blind",
      suppressed: "suppressed",
      unknown: "text-3",
    }[look] ?? "control-line",
  );

function layoutNodes(nodes, edges) {
  const graph = new Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 18, ranksep: 44, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) {
    const [width, height] = sizeOf(node);
    graph.setNode(node.id, node.kind === "box" ? {} : { width, height });
  }
  for (const node of nodes) {
    if (node.parent && graph.hasNode(node.parent)) graph.setParent(node.id, node.parent);
  }
  for (const { id, from, to } of directEdges(nodes, edges)) graph.setEdge(from, to, {}, id);
  layout(graph);
  return new Map(graph.nodes().map((id) => [id, graph.node(id)]));
}

/** @returns {any[]} Cytoscape knows more selectors and properties than its types. */
function graphStyle() {
  const label = {
    "font-family": getComputedStyle(document.body).fontFamily,
    "font-size": 11,
    color: tokenColor("text-2"),
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
        "background-color": tokenColor("surface"),
        "border-width": 1.5,
        "border-color": tokenColor("control-line"),
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
        color: tokenColor("text-3"),
        "background-color": tokenColor("surface-well"),
        "border-color": tokenColor("line"),
        "border-width": 1,
        padding: 10,
        shape: "round-rectangle",
        "corner-radius": 6,
        "text-margin-y": -2,
      },
    },
    {
      selector: "node[kind = 'outside']",
      style: { "border-style": "dotted", color: tokenColor("text-3"), "font-weight": 400 },
    },
    {
      selector: "node[kind = 'group']",
      style: {
        shape: "diamond",
        "font-size": 10,
        "background-color": tokenColor("surface-hover"),
        height: 30,
        width: 46,
      },
    },
    ...["critical", "warn", "blind", "unknown", "suppressed"].map((look) => ({
      selector: `node[look = '${look}']`,
      style: {
        "border-color": colorOf(look),
        "border-style": OUTLINES[look],
        "border-width": 2,
        ...(look === "critical"
          ? { "background-color": tokenColor("critical-wash"), color: tokenColor("critical") }
          : {}),
        ...(look === "blind"
          ? { "background-color": tokenColor("blind-wash"), color: tokenColor("blind") }
          : {}),
      },
    })),
    {
      selector: "node[look = 'root']",
      style: {
        "background-color": tokenColor("critical"),
        "border-color": tokenColor("critical"),
        color: tokenColor("on-critical"),
        "font-weight": 600,
      },
    },
    { selector: "node[note = 'neighbor']", style: { color: tokenColor("text-3") } },
    {
      selector: "edge",
      style: {
        width: 1.5,
        "line-color": tokenColor("control-line"),
        "curve-style": "bezier",
        "font-size": 10,
        "font-family": label["font-family"],
        color: tokenColor("text-3"),
        "text-background-color": tokenColor("surface"),
        "text-background-opacity": 1,
        "text-background-padding": 2,
      },
    },
    {
      selector: "edge[kind = 'dependency']",
      style: {
        "line-style": "dashed",
        "target-arrow-shape": "triangle",
        "target-arrow-color": tokenColor("text-3"),
        "line-color": tokenColor("text-3"),
        width: 1,
        "arrow-scale": 0.7,
      },
    },
    {
      selector: "edge[look = 'suppressed']",
      style: { "line-style": "dashed", "line-color": tokenColor("suppressed") },
    },
    {
      selector: "edge[look = 'blind']",
      style: { "line-style": "dotted", "line-color": tokenColor("blind") },
    },
    { selector: "edge[look = 'warn']", style: { "line-color": tokenColor("warn"), width: 2.5 } },
    {
      selector: "edge[look = 'critical'], edge[look = 'root']",
      style: {
        "line-color": tokenColor("critical"),
        "line-style": "dashed",
        width: 2.5,
        label: "data(label)",
        color: tokenColor("critical"),
        "font-weight": 600,
        "z-index": 9,
      },
    },
    { selector: "edge[look = 'root']", style: { width: 4 } },
    {
      selector: "node:active, node.here",
      style: { "overlay-opacity": 0, "border-color": tokenColor("accent"), "border-width": 2.5 },
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
      const response = await fetch(this.box.dataset.graph, {
        headers: { Accept: "application/json" },
      });
      if (!response.ok) throw new Error(String(response.status));
      const data = await response.json();
      const shape = graphShape(data);
      if (shape === this.shape) this.recolor(data);
      else this.draw(data, shape);
    } catch {
      if (!this.graph) this.showMessage(this.box.dataset.failed);
    }
  }

  showMessage(text) {
    const line = document.createElement("p");
    line.className = "dim hint-text";
    line.textContent = text;
    this.box.replaceChildren(line);
  }

  draw(data, shape) {
    this.shape = shape;
    this.box.classList.toggle("is-empty", !data.nodes.length);
    if (!data.nodes.length) return this.showMessage(this.box.dataset.empty);
    // A small graph has no room for the boxes of sites.
    const isSmall = !this.box.classList.contains("is-tall");
    const nodes = isSmall ? data.nodes.filter((n) => n.kind !== "box") : data.nodes;
    const positions = layoutNodes(nodes, data.edges);
    const parents = new Set(nodes.filter((n) => n.kind === "box").map((n) => n.id));
    const elements = [
      ...nodes.map((node) => {
        const [width, height] = sizeOf(node);
        const parent = parents.has(node.parent) ? node.parent : undefined;
        const at = node.kind === "box" ? null : positions.get(node.id);
        return {
          group: "nodes",
          data: { ...node, parent, width, height },
          ...(at ? { position: { x: at.x, y: at.y } } : {}),
        };
      }),
      ...data.edges.map((edge) => ({ group: "edges", data: edge })),
    ];
    this.graph?.destroy();
    this.box.replaceChildren();
    this.graph = cytoscape({
      container: this.box,
      elements,
      style: graphStyle(),
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
    if (!isSmall) this.zoomToProblem();
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

  // Starts at the problem or at the core, at a zoom where names can be read. A wallboard, which cannot be moved, shows all.
  zoomToProblem() {
    if (this.graph.zoom() >= READABLE || document.body.classList.contains("kiosk")) return;
    /** @type {any} */
    const link = this.graph
      .edges("[look = 'root']")
      .union(this.graph.edges("[look = 'critical']"))
      .first();
    const broken = link.length
      ? link.connectedNodes()
      : this.graph.nodes("[look = 'root'], [look = 'critical']").first();
    const first = broken.length ? broken : this.graph.nodes("[rank <= 1]").first();
    this.graph.zoom(READABLE);
    this.graph.center(first.length ? first : undefined);
    // Keeps the view inside the edge of the drawing.
    const { x1, x2, y1, y2 } = this.graph.elements().renderedBoundingBox();
    this.graph.panBy({
      x: panIntoView(x1, x2, this.graph.width()),
      y: panIntoView(y1, y2, this.graph.height()),
    });
  }

  recolor(data) {
    this.graph?.batch(() => {
      for (const one of [...data.nodes, ...data.edges]) {
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

onThemeChange(() => {
  for (const drawing of drawings.values()) drawing.graph?.style(graphStyle());
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
