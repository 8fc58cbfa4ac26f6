// Canvases cannot read light-dark() from a custom property: a probe element resolves each token, anew per theme.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

export function tokenColor(token) {
  probe.style.color = `var(--${token})`;
  return getComputedStyle(probe).color;
}

export function canvasFont(size = 11, weight = 400) {
  return `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
}

// Calls back when the theme changes, by the switch or by the system.
export function onThemeChange(redraw) {
  new MutationObserver(redraw).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme", "data-contrast"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

let patternColor = "";
let pattern = null;

// The hatching that marks periods without data.
export function hatchPattern(context) {
  const color = tokenColor("blind");
  if (pattern && patternColor === color) return pattern;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = color;
  pen.globalAlpha = 0.7;
  pen.lineWidth = 1;
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
  }
  pen.stroke();
  patternColor = color;
  pattern = context.createPattern(tile, "repeat");
  return pattern;
}

export function addStylesheet(name) {
  const href = new URL(`../vendor/${name}`, import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
