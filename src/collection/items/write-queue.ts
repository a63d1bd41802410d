interface Waiting<Op, Result> {
  operation: Op;
  weight: number;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** What became of one operation of a batch. */
export type Outcome<Result> = { result: Result } | { error: unknown };

/**
 * Merges concurrent writers: while one batch is being committed, later operations gather and form the next. Operations keep
 * their order. `commit` gets the operations of a batch and answers one outcome each; when it throws, all of them fail.
 */
export class WriteQueue<Op, Result> {
  private waiting: Waiting<Op, Result>[] = [];
  private sections: (() => Promise<void>)[] = [];
  private running: Promise<void> | undefined;

  constructor(
    private readonly commit: (operations: Op[]) => Promise<Outcome<Result>[]>,
    /** A batch is closed when the weights of its operations reach this. */
    private readonly batchWeight: number,
  ) {}

  push(operation: Op, weight: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ operation, weight, resolve, reject });
      this.start();
    });
  }

  /** Runs `section` between two batches: no write is in progress while it runs, and later ones wait for it. */
  exclusive<T>(section: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.sections.push(() => section().then(resolve, reject));
      this.start();
    });
  }

  /** Resolves when everything pushed so far is done. */
  async idle(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  private start(): void {
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      if (this.waiting.length > 0 || this.sections.length > 0) this.start();
    });
  }

  private async run(): Promise<void> {
    // One turn of the event loop lets writers that arrive together share a commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0 || this.sections.length > 0) {
      const section = this.sections.shift();
      if (section !== undefined) await section();
      else await this.commitBatch(this.takeBatch());
    }
  }

  private takeBatch(): Waiting<Op, Result>[] {
    let weight = 0;
    let count = 0;
    for (const waiting of this.waiting) {
      if (count > 0 && weight + waiting.weight > this.batchWeight) break;
      weight += waiting.weight;
      count++;
    }
    return this.waiting.splice(0, count);
  }

  private async commitBatch(batch: Waiting<Op, Result>[]): Promise<void> {
    try {
      const outcomes = await this.commit(batch.map((waiting) => waiting.operation));
      batch.forEach((waiting, position) => {
        const outcome = outcomes[position];
        if (outcome === undefined) waiting.reject(new Error("a commit left an operation without an outcome"));
        else if ("error" in outcome) waiting.reject(outcome.error);
        else waiting.resolve(outcome.result);
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
  }
}
