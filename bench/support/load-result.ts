import type { LoadResult, Sample } from "./load-messages.js";
import { percentile } from "./percentile.js";

/** What requests came to. @param seconds how long the load lasted */
export function summariseSamples(samples: readonly Sample[], seconds: number): LoadResult {
  const answered = samples.filter(({ failed }) => !failed);
  const ascending = Float64Array.from(answered, ({ ms }) => ms).sort();
  const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((p) => percentile(ascending, p)) as Percentiles;
  const requests = answered.length;
  return { requests, failures: samples.length - requests, seconds, qps: requests / seconds, p50, p90, p99, max };
}

type Percentiles = [p50: number, p90: number, p99: number, max: number];

/** The part of a load whose requests were due from one moment to another, in milliseconds since 1970. */
export function loadBetween(samples: readonly Sample[], from: number, to: number): LoadResult {
  const part = samples.filter(({ at }) => at >= from && at < to);
  return summariseSamples(part, (to - from) / 1000);
}
