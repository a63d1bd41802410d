/** Lets one holder in at a time, in order. */
export class Slot {
  private last: Promise<void> = Promise.resolve();

  /** Resolves when everyone before has released; call the result to release. */
  async take(): Promise<() => void> {
    const before = this.last;
    let release = () => {};
    this.last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  }
}
