/** Lets one holder in at a time, in order. */
export class Slot {
  private last: Promise<void> = Promise.resolve();

  /** Resolves when everyone before has released; call the result to release. @throws the signal's reason when it aborts first */
  async take(signal: AbortSignal): Promise<() => void> {
    const before = this.last;
    let release = () => {};
    this.last = new Promise((resolve) => {
      release = resolve;
    });
    try {
      await unlessAborted(before, signal);
      return release;
    } catch (error) {
      // Whoever comes next waits for those before, as if this one had never stood here.
      void before.then(release);
      throw error;
    }
  }
}

function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    void promise.then(resolve).finally(() => signal.removeEventListener("abort", abort));
  });
}
