/** A load for the load process: the same requests over and over, at full speed or at a fixed rate. */
export interface LoadTask {
  host: string;
  port: number;
  path: string;
  /** File with one JSON body a line. */
  bodies: string;
  /** Connections; each has one request in flight. */
  clients: number;
  warmUpMs: number;
  durationMs: number;
  /** Requests a second over all connections; left out: each client asks again as soon as it is answered. */
  rate?: number;
}

/** What came of it; times in milliseconds. */
export interface LoadResult {
  requests: number;
  /** Answers other than 200, and broken connections. */
  failures: number;
  seconds: number;
  qps: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}
