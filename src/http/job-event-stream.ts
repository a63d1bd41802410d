import { Readable } from "node:stream";
import type { Job, JobStatus } from "../../schemas/index.js";

/** Often enough that proxies, which tend to close a silent connection after a minute, keep this one. */
const HEARTBEAT_MS = 15_000;

const UNDER_WAY: readonly JobStatus[] = ["queued", "running"];

/** Calls the listener at once and at each change; returns what ends that. */
export type WatchJob = (listener: (job: Job) => void) => () => void;

/**
 * A job's states as server-sent events (`event: job`), until it ends. A reader that cannot keep up misses states in
 * between, never the last one.
 */
export class JobEventStream extends Readable {
  readonly #stop: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  #waiting: Job | undefined;
  #full = false;
  #ended = false;

  constructor(watch: WatchJob, heartbeatMs = HEARTBEAT_MS) {
    super({ highWaterMark: 64 * 1024 });
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs).unref();
    this.#stop = watch((job) => this.#take(job));
  }

  /** Ends the stream after what was sent; the reader may connect again. */
  end(): void {
    clearInterval(this.#heartbeat);
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    this.push(null);
  }

  #take(job: Job): void {
    if (this.#ended || this.destroyed) return;
    if (this.#full) {
      this.#waiting = job;
      return;
    }
    this.#full = !this.push(`event: job\ndata: ${JSON.stringify(job)}\n\n`);
    if (!UNDER_WAY.includes(job.status)) this.end();
  }

  #beat(): void {
    if (!this.#full) this.#full = !this.push(": heartbeat\n\n");
  }

  override _read(): void {
    this.#full = false;
    const job = this.#waiting;
    this.#waiting = undefined;
    if (job !== undefined) this.#take(job);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#heartbeat);
    this.#stop();
    done(error);
  }
}
