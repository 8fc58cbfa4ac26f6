// Runs before the first paint: the chosen theme, or the system's when none was chosen.
const chosen = localStorage.getItem("theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
