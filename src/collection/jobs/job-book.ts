import type { Job, JobList, JobStatus } from "../../../schemas/index.js";
import type { Operation, Storage } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { StoredJob, Tables } from "../collection-state.js";
import { DEFAULT_PAGE, decodeNumberCursor, encodeCursor, type PageOptions } from "../cursor.js";

const ENDED: ReadonlySet<JobStatus> = new Set(["promoted", "ready", "rejected", "failed", "cancelled", "interrupted"]);

export type JobListener = (job: Job) => void;

/** The jobs of one collection: in memory, in Level at every change but mere progress, and told to whoever watches. */
export class JobBook {
  private readonly jobs = new Map<number, StoredJob>();
  private readonly listeners = new Map<number, Set<JobListener>>();

  private constructor(
    private readonly storage: Storage,
    private readonly tables: Tables,
  ) {}

  /** Reads the jobs; those that a crash cut off are marked interrupted, and `resumable` says which of these can be gone on with. */
  static async open(
    storage: Storage,
    tables: Tables,
    resumable: (job: StoredJob) => Promise<boolean>,
  ): Promise<JobBook> {
    const book = new JobBook(storage, tables);
    for await (const [number, job] of tables.jobs.entries()) book.jobs.set(number, job);
    for (const job of [...book.jobs.values()]) {
      const cutOff = !ENDED.has(job.status);
      if (!cutOff && job.resumable !== true) continue;
      const intact = await resumable(job);
      const what = intact ? "It can be resumed." : "Start it again.";
      const reason = `The server stopped while the job was under way; nothing of it went live. ${what}`;
      if (cutOff || !intact) await book.change(job.number, { status: "interrupted", reason, resumable: intact });
    }
    return book;
  }

  /** A queued job, seen at once, so that no second one begins beside it; `also` goes to disk with it. */
  async create(
    number: number,
    what: Pick<StoredJob, "kind" | "options" | "generation">,
    also: Operation,
  ): Promise<StoredJob> {
    const job: StoredJob = {
      number,
      id: String(number),
      ...what,
      status: "queued",
      progress: { done: 0, total: 0, unit: what.kind === "activation" ? "items" : "steps" },
      lossCurve: [],
      timings: {},
      createdAt: new Date().toISOString(),
    };
    this.jobs.set(number, job);
    try {
      await this.storage.write([also, this.tables.jobs.put(number, job)]);
    } catch (error) {
      this.jobs.delete(number);
      throw error;
    }
    return job;
  }

  /** @throws fine_tune_not_found */
  get(id: string): StoredJob {
    const job = /^[1-9][0-9]{0,15}$/.test(id) ? this.jobs.get(Number(id)) : undefined;
    if (job !== undefined) return job;
    throw new AttuneError(
      "fine_tune_not_found",
      `There is no job ${JSON.stringify(id.slice(0, 80))} in this collection.`,
    );
  }

  list(page: PageOptions): JobList {
    const after = decodeNumberCursor(page.cursor) ?? 0;
    const limit = page.limit ?? DEFAULT_PAGE;
    const rest = [...this.jobs.values()].filter(({ number }) => number > after).sort((a, b) => a.number - b.number);
    const shown = rest.slice(0, limit);
    const last = shown.at(-1);
    return {
      fineTunes: shown.map(publicJob),
      ...(rest.length > limit && last !== undefined ? { nextCursor: encodeCursor(last.id) } : {}),
    };
  }

  /** Jobs that were cut off and can be gone on with. */
  resumable(): StoredJob[] {
    return [...this.jobs.values()].filter(({ resumable }) => resumable === true);
  }

  /** Jobs that are queued or running. */
  open(): StoredJob[] {
    return [...this.jobs.values()].filter((job) => !hasEnded(job));
  }

  /** Tells `listener` the present state at once, then each change until the job has ended. */
  watch(id: string, listener: JobListener): () => void {
    const job = this.get(id);
    listener(publicJob(job));
    if (hasEnded(job)) return () => {};
    const listeners = this.listeners.get(job.number) ?? new Set();
    this.listeners.set(job.number, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** A change that is not worth a write: progress. */
  show(number: number, change: Partial<StoredJob>): void {
    const job = this.merged(number, change);
    this.jobs.set(number, job);
    for (const listener of this.listeners.get(number) ?? []) listener(publicJob(job));
    if (hasEnded(job)) this.listeners.delete(number);
  }

  async change(number: number, change: Partial<StoredJob>): Promise<void> {
    await this.storage.write([this.operation(number, change)]);
    this.show(number, change);
  }

  /** Notes in the job that last made a generation live how long the graph built after it took. */
  async rebuilt(generation: number, rebuildMs: number): Promise<void> {
    const job = [...this.jobs.values()]
      .filter((each) => each.status === "promoted" && each.generation === generation)
      .reduce<StoredJob | undefined>(
        (last, each) => (last === undefined || each.number > last.number ? each : last),
        undefined,
      );
    if (job !== undefined) await this.change(job.number, { timings: { ...job.timings, rebuildMs } });
  }

  /** The same as `change`, as part of somebody else's atomic write; `show` follows when it is done. */
  operation(number: number, change: Partial<StoredJob>) {
    return this.tables.jobs.put(number, this.merged(number, change));
  }

  private merged(number: number, change: Partial<StoredJob>): StoredJob {
    const job = this.jobs.get(number);
    if (job === undefined) throw new Error(`job ${number} is not in the book`);
    const merged = { ...job, ...change };
    // Phase and reason are each of one state of a job.
    if (hasEnded(merged)) delete merged.phase;
    else delete merged.reason;
    if (merged.resumable !== true) delete merged.resumable;
    return merged;
  }
}

export function hasEnded({ status }: Pick<Job, "status">): boolean {
  return ENDED.has(status);
}

export function publicJob({ number: _, ...job }: StoredJob): Job {
  return job;
}
