// Charts: one uPlot per [data-chart]. Gaps are hatched, incidents are marked, dragging zooms and sets the range in the URL.

import uPlot from "../vendor/uPlot.esm.js";
import { findGaps, formatDuration, formatValue, lastIndex } from "./chart-data.js";
import { clockText } from "./clock.js";
import { addStylesheet, canvasFont, tokenColor, hatchPattern, onThemeChange } from "./colors.js";

addStylesheet("uPlot.min.css");

const REFRESH_MS = 15_000;
class ChartView {
  constructor(figure) {
    this.figure = figure;
    this.area = figure.querySelector("[data-area]");
    this.readout = figure.querySelector("[data-read]");
    this.words = this.area.dataset;
    this.load();
    this.timer = setInterval(() => {
      if (!figure.isConnected) return this.end();
      if (figure.dataset.live === "1" && !document.hidden && !this.isBusy()) this.load();
    }, REFRESH_MS);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.area);
  }

  isBusy() {
    return this.figure.matches(":hover");
  }

  end() {
    clearInterval(this.timer);
    this.sizes.disconnect();
    this.plot?.destroy();
    plots.delete(this.figure);
  }

  async load() {
    try {
      const response = await fetch(this.figure.dataset.chart, {
        headers: { Accept: "application/json" },
      });
      if (!response.ok) throw new Error(String(response.status));
      this.data = await response.json();
      this.draw();
    } catch {
      if (!this.data) this.showMessage(this.figure.dataset.failed);
    }
  }

  showMessage(text) {
    const line = document.createElement("p");
    line.className = "dim hint-text";
    line.textContent = text;
    this.plot?.destroy();
    this.plot = null;
    this.area.classList.add("is-empty");
    this.area.replaceChildren(line);
  }

  draw() {
    const { data } = this;
    const known = data.lines.filter((line) => line.values.some((value) => value !== null));
    if (!known.length) return this.showMessage(this.figure.dataset.empty);
    this.area.classList.remove("is-empty");
    this.gaps = findGaps(data);
    const columns = [data.times];
    const series = [{}];
    const bands = [];
    for (const line of data.lines) {
      const values = data.times.map((_, i) => line.values[i] ?? null);
      columns.push(values);
      const stroke = tokenColor(line.look);
      series.push({
        label: line.label,
        scale: line.scale,
        stroke,
        width: 1.5,
        spanGaps: false,
        points: { show: false },
      });
      if (line.lows.length && line.lows.some((low, i) => low !== null && low !== line.highs[i])) {
        columns.push(line.highs, line.lows);
        const edge = {
          scale: line.scale,
          stroke: "transparent",
          width: 0,
          spanGaps: false,
          points: { show: false },
          label: "",
        };
        series.push({ ...edge }, { ...edge });
        bands.push({
          series: [series.length - 2, series.length - 1],
          fill: tokenColor(line.look === "data-2" ? "data-band-2" : "data-band"),
        });
      }
    }
    const isFresh = !this.plot;
    this.plot?.destroy();
    if (isFresh) this.area.replaceChildren();
    this.plot = new uPlot(this.options(series, bands), columns, this.area);
    this.showReadout(null);
  }

  /** @returns {import("uplot").Options} */
  options(series, bands) {
    const { data } = this;
    const axis = {
      stroke: tokenColor("text-3"),
      font: canvasFont(11),
      grid: { stroke: tokenColor("grid"), width: 1 },
      ticks: { show: false },
    };
    const wide = data.to - data.from > 36 * 3600;
    const hasPercent = data.lines.some((line) => line.scale === "pct");
    const hasSecond = data.lines.some((line) => line.scale === "y2");
    const unit = data.lines.find((line) => line.scale === "y")?.unit ?? "";
    const whole =
      unit === ""
        ? {
            incrs: [
              1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000,
              1_000_000,
            ],
          }
        : {};
    const isPercent = unit === "%";
    return {
      width: this.area.clientWidth,
      height: this.area.clientHeight,
      padding: [data.marks.length ? 20 : 8, hasPercent || hasSecond ? 4 : 12, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false, dist: 6 }, points: { size: 6 } },
      scales: {
        x: { time: true, range: [data.from, data.to] },
        y: {
          range: (_u, _min, max) => [0, isPercent ? Math.max(100, max || 0) : (max || 1) * 1.12],
        },
        pct: { range: [0, 100] },
        y2: { range: (_u, _min, max) => [0, (max || 1) * 1.12] },
      },
      axes: [
        {
          ...axis,
          space: 64,
          values: (_u, marks) =>
            marks.map((at) => clockText(new Date(at * 1000), wide ? "m-d H:i" : "H:i")),
          size: 28,
        },
        {
          ...axis,
          ...whole,
          scale: "y",
          size: 56,
          values: (_u, marks) => marks.map((value) => formatValue(value, unit)),
        },
        ...(hasSecond
          ? [
              {
                ...axis,
                scale: "y2",
                side: 1,
                size: 48,
                grid: { show: false },
                values: (_u, marks) => marks.map((v) => formatValue(v, "")),
              },
            ]
          : []),
        ...(hasPercent
          ? [
              {
                ...axis,
                scale: "pct",
                side: 1,
                size: 44,
                grid: { show: false },
                values: (_u, marks) => marks.map((v) => `${v} %`),
              },
            ]
          : []),
      ],
      series,
      bands,
      hooks: {
        drawClear: [(plot) => this.drawBackground(plot)],
        draw: [(plot) => this.drawMarkers(plot)],
        setCursor: [(plot) => this.showReadout(plot.cursor.idx)],
        setSelect: [(plot) => this.zoom(plot)],
      },
    };
  }

  drawBackground(plot) {
    const { ctx, bbox } = plot;
    const x = (at) =>
      Math.round(plot.valToPos(Math.min(this.data.to, Math.max(this.data.from, at)), "x", true));
    ctx.save();
    for (const mark of this.data.marks) {
      if (!mark.until) continue;
      ctx.fillStyle = tokenColor(
        mark.look === "critical"
          ? "critical-wash"
          : mark.look === "warn"
            ? "warn-wash"
            : "surface-hover",
      );
      ctx.fillRect(x(mark.at), bbox.top, Math.max(1, x(mark.until) - x(mark.at)), bbox.height);
    }
    for (const [begin, end] of this.gaps) {
      const [left, width] = [x(begin), Math.max(2, x(end) - x(begin))];
      ctx.fillStyle = tokenColor("surface");
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.fillStyle = hatchPattern(ctx);
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.strokeStyle = tokenColor("blind");
      ctx.strokeRect(left + 0.5, bbox.top + 0.5, width, bbox.height);
      const text = `${this.figure.dataset.gap} ${formatDuration(end - begin)}`;
      ctx.font = canvasFont(11 * devicePixelRatio, 500);
      if (ctx.measureText(text).width < width - 8) {
        ctx.fillStyle = tokenColor("surface");
        ctx.fillRect(
          left + 3,
          bbox.top + 4,
          ctx.measureText(text).width + 6,
          16 * devicePixelRatio,
        );
        ctx.fillStyle = tokenColor("blind");
        ctx.textBaseline = "top";
        ctx.textAlign = "left";
        ctx.fillText(text, left + 6, bbox.top + 6);
      }
    }
    ctx.restore();
  }

  drawMarkers(plot) {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.font = canvasFont(10 * scale, 600);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    let free = -Infinity;
    for (const mark of this.data.marks) {
      const text = mark.number ? String(mark.number) : mark.label.split(" ")[0];
      if (!text || mark.at < this.data.from || mark.at > this.data.to) continue;
      const at = Math.round(plot.valToPos(mark.at, "x", true)) + 0.5;
      const color = tokenColor(
        ["critical", "warn", "info"].includes(mark.look) ? mark.look : "text-3",
      );
      ctx.strokeStyle = color;
      ctx.setLineDash([2 * scale, 3 * scale]);
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      const width = Math.max(15 * scale, ctx.measureText(text).width + 8 * scale);
      if (at - width / 2 < free) continue;
      free = at + width / 2 + 2 * scale;
      ctx.fillStyle = mark.look === "critical" ? color : tokenColor("surface");
      ctx.fillRect(at - width / 2, bbox.top - 17 * scale, width, 15 * scale);
      ctx.strokeRect(at - width / 2, bbox.top - 17 * scale, width, 15 * scale);
      ctx.fillStyle = mark.look === "critical" ? tokenColor("on-critical") : tokenColor("text");
      ctx.fillText(text, at, bbox.top - 9 * scale);
    }
    const line = this.data.lines.find((one) => one.p95 !== null && one.unit === "bit/s");
    if (line) {
      const y = Math.round(plot.valToPos(line.p95, line.scale, true)) + 0.5;
      ctx.strokeStyle = ctx.fillStyle = tokenColor("text-3");
      ctx.setLineDash([5 * scale, 4 * scale]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = canvasFont(11 * scale);
      ctx.textAlign = "right";
      ctx.textBaseline = "bottom";
      ctx.fillText(`p95 ${formatValue(line.p95, line.unit)}`, bbox.left + bbox.width - 4, y - 2);
    }
    ctx.restore();
  }

  // The values under the cursor, else the newest ones.
  showReadout(index) {
    const { data } = this;
    const words = [];
    const at = index ?? lastIndex(data.lines);
    const time = document.createElement("b");
    time.textContent = at >= 0 ? clockText(new Date(data.times[at] * 1000), "m-d H:i") : "";
    words.push(time);
    for (const line of data.lines) {
      if (!line.values.some((value) => value !== null)) continue;
      const word = document.createElement("span");
      word.className = "readout-item";
      const swatch = document.createElement("i");
      swatch.className = line.look;
      const value = document.createElement("b");
      value.textContent = formatValue(line.values[at], line.unit);
      word.append(swatch, `${line.label} `, value);
      const [low, high] = [line.lows[at], line.highs[at]];
      if (low !== undefined && low !== null && low !== high)
        word.append(` ${formatValue(low, "")} – ${formatValue(high, line.unit)}`);
      words.push(word);
    }
    if (this.gaps?.length) {
      const gap = document.createElement("span");
      gap.className = "readout-item dim";
      const swatch = document.createElement("i");
      swatch.className = "gap";
      gap.append(swatch, this.figure.dataset.gap);
      words.push(gap);
    }
    const hint = document.createElement("span");
    hint.className = "faint";
    hint.textContent = this.figure.dataset.hint;
    words.push(hint);
    this.readout.replaceChildren(...words);
  }

  zoom(plot) {
    const { left, width } = plot.select;
    if (width < 6) return;
    const iso = (px) => `${new Date(plot.posToVal(px, "x") * 1000).toISOString().slice(0, 19)}Z`;
    const url = new URL(location.href);
    url.searchParams.delete("range");
    url.searchParams.set("from", iso(left));
    url.searchParams.set("to", iso(left + width));
    url.hash = this.figure.id;
    location.assign(url);
  }

  resize() {
    if (this.plot && this.area.clientWidth > 0 && this.area.clientWidth !== this.plot.width) {
      this.plot.setSize({ width: this.area.clientWidth, height: this.area.clientHeight });
    }
  }
}

const plots = new Map();

function start() {
  for (const figure of document.querySelectorAll("[data-chart]")) {
    if (!plots.has(figure)) plots.set(figure, new ChartView(figure));
  }
}

function redraw() {
  for (const plot of plots.values()) if (plot.data) plot.draw();
}

onThemeChange(redraw);
document.addEventListener("clock:changed", redraw);
document.addEventListener("htmx:afterSwap", start);
// Resets the zoom: removes the range from the URL.
document.addEventListener("dblclick", (event) => {
  if (!event.target.closest("[data-chart]")) return;
  const url = new URL(location.href);
  url.searchParams.delete("from");
  url.searchParams.delete("to");
  if (url.href !== location.href) location.assign(url);
});
start();
