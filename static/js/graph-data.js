// Calculations of dependency graphs, without a canvas: sizes, directions, what has changed.

/**
 * @typedef {object} GraphNode
 * @property {string} id
 * @property {string} kind
 * @property {string} label
 * @property {number} rank
 * @property {string} [parent]
 */
/**
 * @typedef {object} GraphEdge
 * @property {string} id
 * @property {string} source
 * @property {string} target
 * @property {string} [kind]
 */

const CHARACTER_WIDTH = 6.6;
const MARGIN = 12;

/**
 * Width and height of a node, wide enough for its label.
 * @param {Pick<GraphNode, "kind" | "label">} node
 * @returns {[number, number]}
 */
export function sizeOf(node) {
  if (node.kind === "group") return [34, 22];
  const width = Math.max(64, node.label.length * CHARACTER_WIDTH + 22);
  return [width, node.kind === "site" ? 34 : 26];
}

/**
 * Edges between known nodes, from the lower rank to the higher: dependent nodes are drawn below.
 * @param {GraphNode[]} nodes
 * @param {GraphEdge[]} edges
 * @returns {{id: string, from: string, to: string}[]}
 */
export function directEdges(nodes, edges) {
  const rank = new Map(nodes.map((node) => [node.id, node.rank]));
  return edges
    .filter((edge) => rank.has(edge.source) && rank.has(edge.target))
    .map(({ id, source, target, kind }) => {
      const isDown = kind === "dependency" || (rank.get(source) ?? 0) <= (rank.get(target) ?? 0);
      return isDown ? { id, from: source, to: target } : { id, from: target, to: source };
    });
}

/**
 * Equal for two answers that differ in colors only: the layout is then kept.
 * @param {{nodes: {id: string}[], edges: {id: string}[]}} data
 * @returns {string}
 */
export function graphShape({ nodes, edges }) {
  return JSON.stringify([nodes.map((node) => node.id), edges.map((edge) => edge.id)]);
}

/**
 * How far to pan one axis so that the view does not reach past the edge of the graph.
 * @param {number} low
 * @param {number} high
 * @param {number} size
 * @returns {number}
 */
export function panIntoView(low, high, size) {
  if (high - low < size) return 0;
  if (low > MARGIN) return MARGIN - low;
  return high < size - MARGIN ? size - MARGIN - high : 0;
}
