/** 12345 as "12,345". */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Things a second: three figures below 100, whole numbers above. */
export function formatRate(perSecond: number): string {
  return `${perSecond < 100 ? Number(perSecond.toPrecision(3)).toString() : formatCount(perSecond)}/s`;
}

/** Milliseconds as "850 ms", "12.3 s", "2 min 05 s" or "1 h 02 min". */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Bytes as "512 B", "3.4 KiB", "12 MiB" ... */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A signed difference with three decimals: "+0.071", "-0.002". */
export function formatDifference(value: number): string {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
