// The small behaviours of the console: theme, keys, live state, the filter of a list.

const root = document.documentElement;

function switchTheme() {
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

function switchContrast() {
  const isMore = root.dataset.contrast === "more";
  if (isMore) delete root.dataset.contrast;
  else root.dataset.contrast = "more";
  localStorage.setItem("contrast", isMore ? "" : "more");
  showContrast();
}

function showContrast() {
  const isMore = root.dataset.contrast === "more";
  document.querySelector("[data-contrast-switch]")?.setAttribute("aria-pressed", String(isMore));
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
  const at = rows.findIndex((row) => row.classList.contains("is-selected"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  rows[at]?.classList.remove("is-selected");
  next.classList.add("is-selected");
  next.querySelector("a")?.focus();
}

function showHelp() {
  const help = document.querySelector("[data-help-dialog]");
  if (help && !help.open) help.showModal();
}

// `m` on the picked row: the form that plans work on what it is about.
function planPicked() {
  const address = document.querySelector("[data-row].is-selected[data-plan]")?.dataset.plan;
  if (address) location.assign(address);
  return Boolean(address);
}

const verbs = { j: () => move(1), k: () => move(-1), "?": showHelp };

// `g` and then a letter goes to a page; the navigation says which letters there are.
const GO_WITHIN_MS = 1500;
let goUntil = 0;

function goTo(key) {
  const isGoing = Date.now() < goUntil;
  goUntil = key === "g" ? Date.now() + GO_WITHIN_MS : 0;
  const entry = isGoing && document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  if (entry) entry.click();
  return Boolean(entry) || key === "g";
}

document.addEventListener("keydown", (event) => {
  // The palette: from anywhere, from within a field too.
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    const box = document.querySelector(".search-form input");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (goTo(event.key)) return;
  if (verbs[event.key]) return verbs[event.key]();
  if (event.key === "m" && planPicked()) return;
  const key = CSS.escape(event.key);
  // A verb of the picked row first; without a picked row no row is meant.
  const control =
    document.querySelector(`[data-row].is-selected [data-row-key="${key}"]`) ??
    document.querySelector(`[data-key="${key}"]`);
  if (!control) return;
  event.preventDefault();
  control.matches("input:not([type=checkbox]), textarea") ? control.focus() : control.click();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) switchTheme();
  if (event.target.closest("[data-contrast-switch]")) switchContrast();
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) copy(copier);
  if (event.target.closest("[data-help]")) showHelp();
  const opener = event.target.closest("[data-open]");
  if (opener) document.querySelector(opener.dataset.open)?.showModal();
  const focus = event.target.closest("[data-focus]");
  if (focus) document.querySelector(focus.dataset.focus)?.focus();
});

async function copy(button) {
  await navigator.clipboard.writeText(
    document.querySelector(button.dataset.copy).textContent.trim(),
  );
  button.textContent = button.dataset.copied;
}

// Choosing rows: the bar of what one can do with them stands while any is chosen.
function showBulk() {
  const bar = document.querySelector("[data-bulk]");
  if (!bar) return;
  const boxes = [...document.querySelectorAll(`input[form="${bar.id}"]`)];
  for (const box of boxes) if (chosenRows.has(box.value)) box.checked = true;
  const number = boxes.filter((box) => box.checked).length;
  bar.hidden = number === 0;
  bar.querySelector("[data-bulk-count]").textContent = String(number);
}

const chosenRows = new Set();
document.addEventListener("change", (event) => {
  const box = event.target.closest('input[type="checkbox"][form]');
  if (!box) return;
  box.checked ? chosenRows.add(box.value) : chosenRows.delete(box.value);
  showBulk();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-bulk-none]")) return;
  chosenRows.clear();
  for (const box of document.querySelectorAll('input[type="checkbox"][form]')) box.checked = false;
  showBulk();
});
document.addEventListener("htmx:afterSwap", showBulk);

// In the search box: down and up walk through what was found, Escape leaves.
document.addEventListener("keydown", (event) => {
  const box = event.target.closest(".search-form");
  if (!box) return;
  if (event.key === "Escape") return document.activeElement.blur();
  if (event.key === "Enter" && event.target.matches("input")) {
    const first = box.querySelector(".search-results a");
    if (!first) return;
    event.preventDefault();
    return first.click();
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const stops = [box.querySelector("input"), ...box.querySelectorAll(".search-results a")];
  const next = stops.indexOf(document.activeElement) + step;
  stops[Math.min(stops.length - 1, Math.max(0, next))].focus();
});

document.addEventListener("change", (event) => {
  event.target.closest("[data-submit]")?.form.requestSubmit();
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
// The cursor row survives a refresh of the list.
let picked = null;
document.addEventListener("htmx:beforeSwap", () => {
  picked = document.querySelector("[data-row].is-selected a")?.getAttribute("href") ?? null;
});
document.addEventListener("htmx:afterSwap", () => {
  const link = picked && document.querySelector(`[data-row] a[href="${CSS.escape(picked)}"]`);
  link?.closest("[data-row]").classList.add("is-selected");
  if (link && document.activeElement === document.body) link.focus({ preventScroll: true });
  for (const box of document.querySelectorAll("[data-filter]")) applyFilter(box);
});

setInterval(showLiveness, 1000);
showContrast();
