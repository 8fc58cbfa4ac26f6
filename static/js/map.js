// The map: sites on the outlines of world-atlas, no tile server, no internet. A table on the page shows the same data.

import * as maplibregl from "../vendor/maplibre-gl.mjs";
import "../vendor/topojson-client.min.js";
import { addStylesheet, tokenColor, onThemeChange } from "./colors.js";

addStylesheet("maplibre-gl.css");

const REFRESH_MS = 10_000;
const FINE_SPAN_DEGREES = 25;
// Per cent of a link's capacity, the same bounds as on the server.
const BUSY = 80;
const FULL = 95;
const WORST = ["root", "critical", "warn", "blind", "suppressed", "unknown", "ok"];
const box = document.querySelector("[data-map]");

const colorOf = (look) =>
  tokenColor(
    {
      critical: "critical",
      root: "critical",
      warn: "warn",
      blind: "blind",
      suppressed: "suppressed",
      unknown: "text-3",
    }[look] ?? "text-2",
  );
const byLook = (colors) => [
  "match",
  ["get", "look"],
  ...WORST.slice(0, -1).flatMap((look) => [look, colors(look)]),
  colors("ok"),
];

const vendor = (name) => new URL(`../vendor/${name}`, import.meta.url).href;

async function json(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

function showMessage(text) {
  const line = document.createElement("p");
  line.className = "dim hint-text";
  line.textContent = text;
  box.replaceChildren(line);
}

function wordOf(look) {
  return box.dataset[`look${look[0].toUpperCase()}${look.slice(1)}`] ?? "";
}

function features({ sites, links }) {
  return [
    {
      type: "FeatureCollection",
      features: sites.map((site) => ({
        type: "Feature",
        properties: {
          ...site,
          rank: WORST.length - WORST.indexOf(site.look),
          isBad: site.look === "ok" ? 0 : 1,
        },
        geometry: { type: "Point", coordinates: site.at },
      })),
    },
    {
      type: "FeatureCollection",
      features: links.map((link) => ({
        type: "Feature",
        properties: { look: link.look, use: link.use ?? -1, name: link.name },
        geometry: { type: "LineString", coordinates: [link.from, link.to] },
      })),
    },
  ];
}

function bounds(sites) {
  const box = new maplibregl.LngLatBounds();
  for (const site of sites) box.extend(site.at);
  return box;
}

function* corners(coordinates) {
  if (typeof coordinates[0] === "number") yield coordinates;
  else for (const part of coordinates) yield* corners(part);
}

// Detailed outlines are drawn only near sites.
function isNear(country, area) {
  const [west, south, east, north] = [
    area.getWest() - 20,
    area.getSouth() - 15,
    area.getEast() + 20,
    area.getNorth() + 15,
  ];
  for (const [x, y] of corners(country.geometry?.coordinates ?? [])) {
    if (x > west && x < east && y > south && y < north) return true;
  }
  return false;
}

/** @returns {any[]} Layers of MapLibre; its types do not know expressions built at run time. */
function layers() {
  const wide = getComputedStyle(document.body)
    .fontFamily.split(",")
    .map((name) => name.trim().replaceAll('"', ""));
  const text = { "text-font": wide.slice(0, 1), "text-size": 11 };
  const halo = { "text-halo-color": tokenColor("surface-hover"), "text-halo-width": 1.5 };
  return [
    { id: "sea", type: "background", paint: { "background-color": tokenColor("surface-well") } },
    {
      id: "land",
      type: "fill",
      source: "world",
      paint: { "fill-color": tokenColor("surface-hover") },
    },
    {
      id: "borders",
      type: "line",
      source: "world",
      paint: { "line-color": tokenColor("line-strong"), "line-width": 1 },
    },
    {
      id: "links",
      type: "line",
      source: "links",
      filter: ["==", ["get", "look"], "ok"],
      paint: {
        "line-color": [
          "step",
          ["get", "use"],
          tokenColor("control-line"),
          0,
          tokenColor("data"),
          BUSY,
          tokenColor("warn"),
          FULL,
          tokenColor("critical"),
        ],
        "line-width": ["step", ["get", "use"], 1.25, 0, 1.5, 40, 2.5, BUSY, 4],
      },
    },
    {
      id: "links-bad",
      type: "line",
      source: "links",
      filter: ["!=", ["get", "look"], "ok"],
      paint: { "line-color": byLook(colorOf), "line-width": 2.5, "line-dasharray": [2, 1.4] },
    },
    {
      id: "clusters",
      type: "circle",
      source: "sites",
      filter: ["has", "point_count"],
      paint: {
        "circle-color": tokenColor("surface-over"),
        "circle-radius": ["step", ["get", "point_count"], 13, 10, 16, 50, 20],
        "circle-stroke-width": ["case", [">", ["get", "bad"], 0], 3, 1.5],
        "circle-stroke-color": [
          "step",
          ["get", "worst"],
          tokenColor("text-2"),
          2,
          tokenColor("text-3"),
          3,
          colorOf("suppressed"),
          4,
          colorOf("blind"),
          5,
          colorOf("warn"),
          6,
          colorOf("critical"),
        ],
      },
    },
    {
      id: "cluster-count",
      type: "symbol",
      source: "sites",
      filter: ["has", "point_count"],
      layout: {
        ...text,
        "text-field": ["get", "point_count_abbreviated"],
        "text-allow-overlap": true,
      },
      paint: { "text-color": tokenColor("text") },
    },
    {
      id: "sites",
      type: "circle",
      source: "sites",
      filter: ["!", ["has", "point_count"]],
      paint: {
        "circle-color": byLook((look) =>
          look === "root" ? tokenColor("critical") : tokenColor("surface"),
        ),
        "circle-radius": ["match", ["get", "look"], "ok", 5, 7],
        "circle-stroke-width": ["match", ["get", "look"], "ok", 1.5, 3],
        "circle-stroke-color": byLook(colorOf),
      },
    },
    {
      id: "names",
      type: "symbol",
      source: "sites",
      filter: ["!", ["has", "point_count"]],
      layout: {
        ...text,
        "text-field": [
          "case",
          ["==", ["get", "look"], "ok"],
          ["get", "name"],
          ["concat", ["get", "name"], "\n", ["get", "word"]],
        ],
        "text-offset": [0, 1.1],
        "text-anchor": "top",
        "symbol-sort-key": ["-", 0, ["get", "rank"]],
      },
      paint: {
        "text-color": byLook((look) => (look === "ok" ? tokenColor("text-2") : colorOf(look))),
        ...halo,
      },
    },
  ];
}

async function draw() {
  const data = await json(box.dataset.map);
  const [sites, links] = features(data);
  const area = bounds(data.sites);
  const isFine = data.sites.length > 0 && area.getEast() - area.getWest() < FINE_SPAN_DEGREES;
  const shapes = await json(vendor(isFine ? "countries-10m.json" : "countries-50m.json"));
  const world = globalThis.topojson.feature(shapes, shapes.objects.countries);
  if (isFine) world.features = world.features.filter((country) => isNear(country, area));
  /** @returns {import("maplibre-gl").StyleSpecification} */
  const style = () => ({
    version: 8,
    sources: {
      world: { type: "geojson", data: world },
      sites: {
        type: "geojson",
        data: sites,
        cluster: true,
        clusterRadius: 36,
        clusterMaxZoom: 9,
        clusterProperties: { bad: ["+", ["get", "isBad"]], worst: ["max", ["get", "rank"]] },
      },
      links: { type: "geojson", data: links },
    },
    layers: layers(),
  });
  box.replaceChildren();
  maplibregl.setWorkerUrl?.(vendor("maplibre-gl-worker.mjs"));
  const map = new maplibregl.Map({
    container: box,
    style: style(),
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom: 12,
    ...(data.sites.length
      ? { bounds: area, fitBoundsOptions: { padding: 90, maxZoom: 8, animate: false } }
      : { center: [20, 15], zoom: 1 }),
  });
  // Without a listener MapLibre writes every error to the console; a failing layer does not affect the others.
  map.on("error", (fault) => console.warn(`Map: ${fault.error?.message}`));
  map.once("idle", () => box.setAttribute("data-drawn", ""));
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");

  const popup = new maplibregl.Popup({ closeButton: false, closeOnClick: false, offset: 10 });
  map.on("mouseenter", "sites", (event) => {
    map.getCanvas().classList.add("can-open");
    const [found] = event.features;
    const { name, word, bad, devices } = found.properties;
    const line = document.createElement("div");
    const strong = document.createElement("b");
    strong.textContent = name;
    line.append(
      strong,
      ` ${word} `,
      `${devices} ${box.dataset.devices}${bad ? `, ${bad} ${box.dataset.down}` : ""}`,
    );
    popup.setLngLat(found.geometry.coordinates).setDOMContent(line).addTo(map);
  });
  map.on("mouseleave", "sites", () => popup.remove());
  for (const layer of ["links", "links-bad"]) {
    map.on("mouseenter", layer, (event) => {
      const { name, use, look } = event.features[0].properties;
      const line = document.createElement("div");
      const strong = document.createElement("b");
      strong.textContent = name;
      line.append(
        strong,
        look === "ok" && use >= 0 ? ` ${use} % ${box.dataset.use}` : ` ${wordOf(look)}`,
      );
      popup.setLngLat(event.lngLat).setDOMContent(line).addTo(map);
    });
    map.on("mouseleave", layer, () => popup.remove());
  }
  map.on("click", "sites", (event) => location.assign(event.features[0].properties.url));
  map.on("click", "clusters", async (event) => {
    const [cluster] = event.features;
    const zoom = await source("sites").getClusterExpansionZoom(cluster.properties.cluster_id);
    map.easeTo({ center: cluster.geometry.coordinates, zoom, duration: 200 });
  });
  /** @returns {import("maplibre-gl").GeoJSONSource} */
  function source(name) {
    return map.getSource(name);
  }
  onThemeChange(() => map.setStyle(style()));
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const [newSites, newLinks] = features(await json(box.dataset.map));
      sites.features = newSites.features;
      links.features = newLinks.features;
      source("sites")?.setData(newSites);
      source("links")?.setData(newLinks);
    } catch {
      // The refresh of the page reports a server that does not respond.
    }
  }, REFRESH_MS);
}

if (box) draw().catch(() => showMessage(box.dataset.failed));
