// Calculations of charts, without a canvas: values as text, gaps in the data.

/**
 * One line of a chart as the server sends it; null where there is no sample.
 * @typedef {object} ChartLine
 * @property {(number | null)[]} values
 */

const PREFIXES = ["", "k", "M", "G", "T"];

/**
 * A value with an SI prefix and its unit.
 * @param {number | null | undefined} value
 * @param {string} unit
 * @returns {string}
 */
export function formatValue(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "%") return `${value.toFixed(value < 10 ? 1 : 0)} %`;
  let scaled = value;
  let step = 0;
  while (Math.abs(scaled) >= 1000 && step < PREFIXES.length - 1) {
    scaled /= 1000;
    step += 1;
  }
  const digits = Math.abs(scaled) >= 100 || Number.isInteger(scaled) ? 0 : 1;
  const suffix =
    unit === "bit/s" ? PREFIXES[step] : [PREFIXES[step], unit].filter(Boolean).join(" ");
  return `${scaled.toFixed(digits)} ${suffix}`.trim();
}

/**
 * Periods, as [from, to] in seconds, in which no line has a sample. Nothing before the first sample is a gap.
 * @param {{times: number[], lines: ChartLine[], step: number, to: number}} data
 * @returns {[number, number][]}
 */
export function findGaps({ times, lines, step, to }) {
  /** @type {[number, number][]} */
  const gaps = [];
  const isEmpty = times.map(
    (_, i) => lines.length > 0 && lines.every((line) => (line.values[i] ?? null) === null),
  );
  const first = isEmpty.indexOf(false);
  if (first < 0) return gaps;
  let begin = -1;
  for (let i = first; i <= isEmpty.length; i++) {
    if (isEmpty[i] && begin < 0) begin = i;
    if (!isEmpty[i] && begin >= 0) {
      // The newest bucket is still being filled: up to two empty ones at the end are no gap.
      if (i < isEmpty.length || i - begin > 2) {
        gaps.push([times[begin], Math.min(to, times[i - 1] + step)]);
      }
      begin = -1;
    }
  }
  return gaps;
}

/**
 * Minutes below an hour, else hours and minutes.
 * @param {number} seconds
 * @returns {string}
 */
export function formatDuration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${Math.max(1, minutes)} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * The newest index at which any line has a sample, or -1.
 * @param {ChartLine[]} lines
 * @returns {number}
 */
export function lastIndex(lines) {
  return Math.max(-1, ...lines.map((l) => l.values.findLastIndex((value) => value !== null)));
}
