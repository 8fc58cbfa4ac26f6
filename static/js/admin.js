// The switch between dark and light in Django's admin.
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-switch]")) return;
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// An autocomplete field is labelled also while it is empty. It is created after the page has loaded.
function nameSearchingField(select) {
  const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
  const boxes = select.parentElement.querySelectorAll(
    ".select2 [role=combobox], .select2 [role=textbox]",
  );
  if (!label || !boxes.length) return false;
  label.id ||= `${select.id}_label`;
  for (const box of boxes) {
    box.setAttribute(
      "aria-labelledby",
      `${label.id} ${box.getAttribute("aria-labelledby") ?? ""}`.trim(),
    );
  }
  return true;
}

for (const select of document.querySelectorAll("select.admin-autocomplete")) {
  if (nameSearchingField(select)) continue;
  const waiting = new MutationObserver(() => {
    if (nameSearchingField(select)) waiting.disconnect();
  });
  waiting.observe(select.parentElement, { childList: true });
}
