import { describeProgress, type ProgressState, renderProgress } from "./progress-line.js";

/** What a progress reporter writes to; process.stderr fits. */
export interface ProgressStream {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const LINE_EVERY_MS = 5_000;

/** Shows progress: on a terminal one line that is drawn over, elsewhere a plain line every few seconds. */
export class ProgressReporter {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  #shownAt = Number.NEGATIVE_INFINITY;
  #shownLabel = "";
  #drawn = false;
  #latest: ProgressState | undefined;

  constructor(stream: ProgressStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  update(state: ProgressState): void {
    this.#latest = state;
    const live = this.#stream.isTTY === true;
    const due = this.#now() - this.#shownAt >= (live ? REDRAW_MS : LINE_EVERY_MS);
    if (due || state.label !== this.#shownLabel) this.#show(state, live);
  }

  /** A line of its own, above the progress. */
  note(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
    if (this.#latest !== undefined && this.#stream.isTTY === true) this.#show(this.#latest, true);
  }

  /** Takes the line away, or leaves one last line in its place. */
  end(lastLine?: string): void {
    this.#clear();
    this.#latest = undefined;
    if (lastLine !== undefined) this.#stream.write(`${lastLine}\n`);
  }

  #show(state: ProgressState, live: boolean): void {
    this.#shownAt = this.#now();
    this.#shownLabel = state.label;
    if (live) {
      this.#stream.write(`\r\x1b[2K${renderProgress(state, (this.#stream.columns || 80) - 1)}`);
      this.#drawn = true;
    } else {
      this.#stream.write(`${describeProgress(state)}\n`);
    }
  }

  #clear(): void {
    if (this.#drawn) this.#stream.write("\r\x1b[2K");
    this.#drawn = false;
  }
}
