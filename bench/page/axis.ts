/** Where values lie on one side of a plot. */
export interface Axis {
  /** Round values within the axis, ascending. */
  ticks: number[];
  /** The coordinate of a value. */
  place(value: number): number;
}

/** An axis from coordinate `from` to `to` that holds all values; a logarithmic one needs values above 0. */
export function axisFor(scale: "linear" | "log", values: readonly number[], from: number, to: number): Axis {
  if (values.length === 0) throw new Error("an axis needs at least one value");
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const ticks = scale === "log" ? logTicks(low, high) : linearTicks(low, high);
  const measure = scale === "log" ? Math.log10 : (value: number) => value;
  const first = measure(ticks[0] ?? low);
  const last = measure(ticks.at(-1) ?? high);
  return { ticks, place: (value) => from + ((measure(value) - first) / (last - first)) * (to - from) };
}

/** Some five steps of 1, 2 or 5 times a power of ten, from below the lowest to above the highest. */
function linearTicks(low: number, high: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= rough) ?? 10 * power;
  const start = Math.floor(low / step);
  const end = Math.max(start + 1, Math.ceil(high / step));
  return Array.from({ length: end - start + 1 }, (_, i) => (start + i) * step);
}

/** 1, 2 and 5 times the powers of ten, from one not above the lowest to one not below the highest. */
function logTicks(low: number, high: number): number[] {
  if (low <= 0) throw new Error(`a logarithmic axis needs values above 0, got ${low}`);
  const all: number[] = [];
  for (let exponent = Math.floor(Math.log10(low)); all.length < 2 || (all.at(-1) ?? 0) < high; exponent++) {
    for (const digit of [1, 2, 5]) all.push(Number((digit * 10 ** exponent).toPrecision(3)));
  }
  const start = all.findLastIndex((tick) => tick <= low);
  const end = Math.max(
    start + 1,
    all.findIndex((tick) => tick >= high),
  );
  return all.slice(start, end + 1);
}
