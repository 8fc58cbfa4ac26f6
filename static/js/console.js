// Behaviour of all pages: theme, keyboard shortcuts, live state, the filter of a list.

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

// A frozen page must not look healthy: it shows when there was no response for 20 s.
const STALE_AFTER_MS = 20_000;
let respondedAt = Date.now();

function showLiveness() {
  const live = document.querySelector("[data-live]");
  if (!live || !document.querySelector("[hx-trigger]")) return;
  const age = Math.round((Date.now() - respondedAt) / 1000);
  live.classList.toggle("is-stale", age * 1000 > STALE_AFTER_MS);
  document.querySelector("[data-stale]")?.toggleAttribute("hidden", age * 1000 <= STALE_AFTER_MS);
  live.querySelector("[data-age]")?.replaceChildren(String(age));
}

/**
 * The element of a selector, if it is of this class.
 * @template {Element} E
 * @param {string} selector
 * @param {{new (): E}} type
 * @returns {E | null}
 */
function find(selector, type) {
  const element = document.querySelector(selector);
  return element instanceof type ? element : null;
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
  const help = find("[data-help-dialog]", HTMLDialogElement);
  if (help && !help.open) help.showModal();
}

// `m` on the selected row opens the maintenance form for its object.
function planSelected() {
  const address = document.querySelector("[data-row].is-selected[data-plan]")?.dataset.plan;
  if (address) location.assign(address);
  return Boolean(address);
}

const actions = { j: () => move(1), k: () => move(-1), "?": showHelp };

// `g` followed by a letter opens a page; the navigation defines the letters.
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
  // Ctrl+K opens the search, also while a field has the focus.
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    /** @type {HTMLInputElement} */
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
  if (actions[event.key]) return actions[event.key]();
  if (event.key === "m" && planSelected()) return;
  const key = CSS.escape(event.key);
  // An action of the selected row has precedence over one of the page.
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
  /** @type {NodeListOf<HTMLDetailsElement>} */
  const menus = document.querySelectorAll("details[data-menu][open]");
  for (const menu of menus) {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) copy(copier);
  if (event.target.closest("[data-help]")) showHelp();
  const opener = event.target.closest("[data-open]");
  if (opener) find(opener.dataset.open, HTMLDialogElement)?.showModal();
  const focus = event.target.closest("[data-focus]");
  if (focus) find(focus.dataset.focus, HTMLElement)?.focus();
});

async function copy(button) {
  await navigator.clipboard.writeText(
    document.querySelector(button.dataset.copy).textContent.trim(),
  );
  button.textContent = button.dataset.copied;
}

// The bar of bulk actions is visible while rows are selected.
function showBulk() {
  const bar = document.querySelector("[data-bulk]");
  if (!bar) return;
  const boxes = [...document.querySelectorAll(`input[form="${bar.id}"]`)];
  for (const box of boxes) if (selectedRows.has(box.value)) box.checked = true;
  const number = boxes.filter((box) => box.checked).length;
  bar.hidden = number === 0;
  bar.querySelector("[data-bulk-count]").textContent = String(number);
}

const selectedRows = new Set();
document.addEventListener("change", (event) => {
  const box = event.target.closest('input[type="checkbox"][form]');
  if (!box) return;
  box.checked ? selectedRows.add(box.value) : selectedRows.delete(box.value);
  showBulk();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-bulk-none]")) return;
  selectedRows.clear();
  for (const box of document.querySelectorAll('input[type="checkbox"][form]')) box.checked = false;
  showBulk();
});
document.addEventListener("htmx:afterSwap", showBulk);

// In the search box: the arrow keys move through the results, Escape leaves.
document.addEventListener("keydown", (event) => {
  const box = event.target.closest(".search-form");
  if (!box) return;
  if (event.key === "Escape") return box.querySelector("input").blur();
  if (event.key === "Enter" && event.target.matches("input")) {
    /** @type {HTMLAnchorElement} */
    const first = box.querySelector(".search-results a");
    if (!first) return;
    event.preventDefault();
    return first.click();
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  /** @type {Element[]} */
  const stops = [...box.querySelectorAll("input, .search-results a")];
  const next = stops.indexOf(document.activeElement) + step;
  const stop = stops[Math.min(stops.length - 1, Math.max(0, next))];
  if (stop instanceof HTMLElement) stop.focus();
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
  const list = document.querySelector(box.dataset.filter);
  for (const item of list.querySelectorAll("[data-text]")) {
    item.hidden = wanted !== "" && !item.dataset.text.toLowerCase().includes(wanted);
  }
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful || event.detail.xhr?.status === 304) respondedAt = Date.now();
});
// The selected row stays selected when the list is refreshed.
/** @type {string | null} */
let selected = null;
document.addEventListener("htmx:beforeSwap", () => {
  selected = document.querySelector("[data-row].is-selected a")?.getAttribute("href") ?? null;
});
document.addEventListener("htmx:afterSwap", () => {
  const link = selected && document.querySelector(`[data-row] a[href="${CSS.escape(selected)}"]`);
  link?.closest("[data-row]").classList.add("is-selected");
  if (link && document.activeElement === document.body) link.focus({ preventScroll: true });
  for (const box of document.querySelectorAll("[data-filter]")) applyFilter(box);
});

setInterval(showLiveness, 1000);
showContrast();
