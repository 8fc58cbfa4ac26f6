// Canvases cannot read light-dark() from a custom property: a probe element resolves each token, anew per theme.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

export function ink(token) {
  probe.style.color = `var(--${token})`;
  return getComputedStyle(probe).color;
}

export function font(size = 11, weight = 400) {
  return `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
}

// Calls back when the theme changes, by the switch or by the system.
export function onTheme(redraw) {
  new MutationObserver(redraw).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme", "data-contrast"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

let hatchFor = "";
let hatch = null;

// The one texture that means "we cannot see".
export function hatching(context) {
  const colour = ink("blind");
  if (hatch && hatchFor === colour) return hatch;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.globalAlpha = 0.7;
  pen.lineWidth = 1;
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
  }
  pen.stroke();
  hatchFor = colour;
  hatch = context.createPattern(tile, "repeat");
  return hatch;
}

export function addSheet(name) {
  const href = new URL(`../vendor/${name}`, import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}
