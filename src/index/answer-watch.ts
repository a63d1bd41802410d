import type { SearchHits } from "../vector/index.js";
import { hasNativeSearch, hnswlib } from "./hnswlib.js";
import type { SearchRing } from "./search-ring.js";

/** How long one look waits for an answer. */
const LOOK_US = 10;
/** How long it is looked for answers after the last question or answer: a short walk takes less. */
const WATCH_MS = 0.1;

/**
 * Looks for answers in the ring, once in each turn of the event loop, while short searches are under way. An idle processor takes longer to wake than
 * a short walk takes, so being told of each answer would cost more than the answer. Only where the build of hnswlib-node can wait for shared memory.
 */
export class AnswerWatch {
  readonly #ring: SearchRing;
  readonly #give: (id: number, hits: SearchHits) => void;
  #isOn = false;
  #until = 0;

  /** @param give gets each answer, once */
  constructor(ring: SearchRing, give: (id: number, hits: SearchHits) => void) {
    this.#ring = ring;
    this.#give = give;
  }

  /** A search was asked. */
  extend(): void {
    if (!hasNativeSearch(hnswlib)) return;
    this.#until = performance.now() + WATCH_MS;
    if (this.#isOn) return;
    this.#isOn = true;
    this.#ring.startWatch();
    setImmediate(() => this.#look());
  }

  /** A message has told of answers. */
  told(): void {
    if (!this.#isOn) this.#ring.takeAnswers(this.#give);
  }

  #look(): void {
    if (hasNativeSearch(hnswlib)) hnswlib.waitWhile(...this.#ring.nextAnswer, LOOK_US);
    const now = performance.now();
    if (this.#ring.takeWatched(this.#give) > 0) this.#until = now + WATCH_MS;
    if (this.#ring.isOpen && now < this.#until) {
      setImmediate(() => this.#look());
      return;
    }
    // From now on the thread tells; what it answered a moment before, it has not told of.
    this.#isOn = false;
    this.#ring.takeAnswers(this.#give);
  }
}
