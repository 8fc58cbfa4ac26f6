// The small behaviours of the console: theme, keys, live state, the filter of a list.

const root = document.documentElement;

function switchTheme() {
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

// A frozen screen must never look healthy: without an answer for 20 s the page says so.
const STALE_AFTER_MS = 20_000;
let answeredAt = Date.now();

function showLiveness() {
  const live = document.querySelector("[data-live]");
  if (!live || !document.querySelector("[hx-trigger]")) return;
  const age = Math.round((Date.now() - answeredAt) / 1000);
  live.classList.toggle("is-stale", age * 1000 > STALE_AFTER_MS);
  document.querySelector("[data-stale]")?.toggleAttribute("hidden", age * 1000 <= STALE_AFTER_MS);
  live.querySelector("[data-age]")?.replaceChildren(String(age));
}

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("pick"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  rows[at]?.classList.remove("pick");
  next.classList.add("pick");
  next.querySelector("a")?.focus();
}

const verbs = { j: () => move(1), k: () => move(-1) };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (verbs[event.key]) return verbs[event.key]();
  const control = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!control) return;
  event.preventDefault();
  control.matches("input, textarea") ? control.focus() : control.click();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) switchTheme();
  const focus = event.target.closest("[data-focus]");
  if (focus) document.querySelector(focus.dataset.focus)?.focus();
});

document.addEventListener("input", (event) => {
  const box = event.target.closest("[data-filter]");
  if (box) applyFilter(box);
});

function applyFilter(box) {
  const wanted = box.value.trim().toLowerCase();
  for (const item of document.querySelectorAll(`${box.dataset.filter} [data-text]`)) {
    item.hidden = wanted !== "" && !item.dataset.text.toLowerCase().includes(wanted);
  }
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful || event.detail.xhr?.status === 304) answeredAt = Date.now();
});
document.addEventListener("htmx:afterSwap", () => {
  for (const box of document.querySelectorAll("[data-filter]")) applyFilter(box);
});

setInterval(showLiveness, 1000);
