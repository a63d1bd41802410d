/** The value below or at which the share p (0 to 1) of the values lies, by the nearest rank; NaN of nothing. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  const rank = Math.max(1, Math.ceil(p * ascending.length));
  return ascending[rank - 1] ?? Number.NaN;
}

/** Arithmetic mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
