/** Counts calls by turns of the event loop, to tell those that come one at a time from those that come together. */
export class CallsPerTurn {
  #now = 0;
  #before = 0;

  /** Counts a call; true when it is the first of this turn, and the last turn with any had no other. */
  isAlone(): boolean {
    if (this.#now++ > 0) return false;
    setImmediate(() => {
      this.#before = this.#now;
      this.#now = 0;
    });
    return this.#before <= 1;
  }
}
