/** How requests are made of the lines of a file, and sent. */
export type Protocol =
  | {
      /** POST requests: a line is a JSON body, or with a content type the Base64 of a body of that type. */
      path: string;
      contentType?: string;
    }
  | {
      postgres: {
        user: string;
        /** SQL that each connection begins with. */
        setup: string[];
        /** Executed with a line as its parameter, as text or as the Base64 of its binary form; left out: a line is SQL. */
        statement?: string;
        binary?: boolean;
      };
    };

/** A load for the load process: the same requests over and over, at full speed or at a fixed rate, or each just once. */
export type LoadTask = Protocol & {
  host: string;
  port: number;
  /** File with one request a line. */
  bodies: string;
  /** Connections; each has one request in flight. */
  clients: number;
  warmUpMs: number;
  durationMs: number;
  /** Requests a second over all connections; left out: each client asks again as soon as it is answered. */
  rate?: number;
  /** Every line is sent once, whatever the duration. */
  once?: boolean;
  /** Tells each request as well. */
  samples?: boolean;
};

/** One request. */
export interface Sample {
  /** When it was sent, or at a fixed rate when it was due, in milliseconds since 1970. */
  at: number;
  /** From then to its answer. */
  ms: number;
  /** Whether the answer was other than 200 to 299. */
  failed: boolean;
}

/** What came of it; times in milliseconds. */
export interface LoadResult {
  requests: number;
  /** Answers that say so: other than 200 to 299, and broken connections. */
  failures: number;
  seconds: number;
  qps: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
  /** In the order of the answers, where the task asks for them. */
  samples?: Sample[];
}
