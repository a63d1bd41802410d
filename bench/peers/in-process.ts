import type { LoadResult } from "../support/load-messages.js";
import { percentile } from "../support/percentile.js";
import type { Timing } from "./system.js";

/**
 * Asks a system in this process for a while, `callers` questions at a time, each followed by the next.
 * @param query asks the i-th question.
 */
export async function loadInProcess(
  query: (i: number) => Promise<unknown> | unknown,
  callers: number,
  { warmUpMs, durationMs }: Timing,
): Promise<LoadResult> {
  let next = 0;
  const askFor = async (ms: number): Promise<number[]> => {
    const latencies: number[] = [];
    const end = performance.now() + ms;
    const call = async () => {
      while (performance.now() < end) {
        const started = performance.now();
        await query(next++);
        latencies.push(performance.now() - started);
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
    return latencies;
  };
  await askFor(warmUpMs);
  const started = performance.now();
  const ascending = (await askFor(durationMs)).sort((a, b) => a - b);
  const seconds = (performance.now() - started) / 1000;
  const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((p) => percentile(ascending, p)) as [
    number,
    number,
    number,
    number,
  ];
  return { requests: ascending.length, failures: 0, seconds, qps: ascending.length / seconds, p50, p90, p99, max };
}
