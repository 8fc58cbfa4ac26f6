// UTC or the reader's own time: what the server wrote is UTC, the switch rewrites it in place.

const KEY = "clock";

export const isLocal = () => localStorage.getItem(KEY) === "local";

const two = (number) => String(number).padStart(2, "0");

function parts(date) {
  return isLocal()
    ? [
        date.getFullYear(),
        date.getMonth() + 1,
        date.getDate(),
        date.getHours(),
        date.getMinutes(),
        date.getSeconds(),
      ]
    : [
        date.getUTCFullYear(),
        date.getUTCMonth() + 1,
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ];
}

export function clockText(date, shape = "H:i:s") {
  const [year, month, day, hour, minute, second] = parts(date);
  const words = {
    Y: year,
    m: two(month),
    d: two(day),
    H: two(hour),
    i: two(minute),
    s: two(second),
  };
  return shape.replace(/[YmdHis]/g, (letter) => words[letter]);
}

// The shape in which the server wrote a moment.
const SHAPES = [
  [/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/, "Y-m-d H:i:s"],
  [/^\d{4}-\d\d-\d\d \d\d:\d\d$/, "Y-m-d H:i"],
  [/^\d{4}-\d\d-\d\d$/, "Y-m-d"],
  [/^\d\d-\d\d \d\d:\d\d$/, "m-d H:i"],
  [/^\d\d:\d\d:\d\d$/, "H:i:s"],
  [/^\d\d:\d\d$/, "H:i"],
];

export function writeTimes(within = document) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const leaf = time.querySelector("bdi") ?? time;
    time.dataset.shape ??= SHAPES.find(([like]) => like.test(leaf.textContent.trim()))?.[1] ?? "";
    if (time.dataset.shape) leaf.textContent = clockText(date, time.dataset.shape);
    time.title = `${date.toISOString().replace(".000", "")} · ${date.toLocaleString()}`;
  }
  for (const choice of document.querySelectorAll("[data-clock]")) {
    choice.setAttribute("aria-pressed", String((choice.dataset.clock === "local") === isLocal()));
  }
}

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-clock]");
  if (!choice) return;
  localStorage.setItem(KEY, choice.dataset.clock);
  writeTimes();
  document.dispatchEvent(new CustomEvent("clock:changed"));
});
document.addEventListener("htmx:afterSwap", () => writeTimes());
writeTimes();
