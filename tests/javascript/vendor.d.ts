// Types of the packages that pages load from static/vendor under another file name, and of the page's own elements.

declare module "*/uPlot.esm.js" {
  export { default } from "uplot";
}
declare module "*/dagre.esm.js" {
  export { Graph, layout } from "@dagrejs/dagre";
}
declare module "*/cytoscape.esm.min.mjs" {
  export { default } from "cytoscape";
}
declare module "*/maplibre-gl.mjs" {
  export * from "maplibre-gl";
}
declare module "*/topojson-client.min.js" {}

interface Window {
  SwaggerUIBundle: (options: object) => void;
}
declare var topojson: { feature(topology: object, object: object): GeoJSON.FeatureCollection };

// Listeners are on the document or on elements: what their events hit is an element.
interface EventTarget {
  closest(selectors: string): HTMLInputElement | null;
  matches(selectors: string): boolean;
}
// Only HTML elements have the data attributes of our templates.
interface ParentNode {
  querySelector(selectors: `[data-${string}`): HTMLInputElement | null;
  querySelectorAll(selectors: `[data-${string}`): NodeListOf<HTMLInputElement>;
  querySelectorAll(selectors: `input${string}`): NodeListOf<HTMLInputElement>;
  querySelectorAll(selectors: `form${string}`): NodeListOf<HTMLFormElement>;
  querySelectorAll(selectors: `time${string}`): NodeListOf<HTMLTimeElement>;
}
interface DocumentEventMap {
  "htmx:afterRequest": CustomEvent<{ successful: boolean; xhr?: XMLHttpRequest }>;
}
interface HTMLFormControlsCollection {
  answer: HTMLInputElement;
}
