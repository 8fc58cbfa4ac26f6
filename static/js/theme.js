// Runs before the first paint: the chosen theme and contrast, or the system's when none was chosen.
const chosen = localStorage.getItem("theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
if (localStorage.getItem("contrast") === "more") document.documentElement.dataset.contrast = "more";
