// UTC or local time: the server renders UTC, the switch rewrites it in place.

const KEY = "clock";

export const isLocal = () => localStorage.getItem(KEY) === "local";

const pad = (number) => String(number).padStart(2, "0");

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

export function clockText(date, format = "H:i:s") {
  const [year, month, day, hour, minute, second] = parts(date);
  const fields = {
    Y: year,
    m: pad(month),
    d: pad(day),
    H: pad(hour),
    i: pad(minute),
    s: pad(second),
  };
  return format.replace(/[YmdHis]/g, (letter) => fields[letter]);
}

// The format in which the server rendered a time.
/** @type {[RegExp, string][]} */
const FORMATS = [
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
    const element = time.querySelector("bdi") ?? time;
    time.dataset.format ??=
      FORMATS.find(([pattern]) => pattern.test(element.textContent.trim()))?.[1] ?? "";
    if (time.dataset.format) element.textContent = clockText(date, time.dataset.format);
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
