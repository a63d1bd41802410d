import { readFile } from "node:fs/promises";
import type { EncoderInput, ModelInputs, PreparedInput } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import type { Random } from "../../vector/random.js";
import { augmentPixels, augmentText } from "../augmentation/index.js";
import type { AugmentationOptions } from "../task/options.js";

/** One line of a task's contents file. */
type Content = { text: string } | { image: string } | Record<string, never>;

/** Decoded images are kept up to this many bytes, since a training reads the same ones again and again. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** What the items of a fine-tune are: texts or images, by number, ready for the encoder. */
export class Contents {
  readonly #contents: readonly Content[];
  readonly #inputs: ModelInputs;
  readonly #cache = new Map<number, PreparedInput>();
  readonly #views: PreparedInput[] = [];
  #cachedBytes = 0;

  private constructor(contents: readonly Content[], inputs: ModelInputs) {
    this.#contents = contents;
    this.#inputs = inputs;
  }

  /**
   * @param count lines the file must hold: one for each live item, then one for each extra row
   * @throws fine_tune_failed when it holds others
   */
  static async read(path: string, count: number, inputs: ModelInputs): Promise<Contents> {
    const lines = (await readFile(path, "utf8")).split("\n");
    if (lines.at(-1) === "") lines.pop();
    if (lines.length !== count) {
      throw new AttuneError(
        "fine_tune_failed",
        `The fine-tune's files do not fit together: ${path} holds ${lines.length} contents; there are ${count} items and extra rows`,
      );
    }
    return new Contents(
      lines.map((line) => JSON.parse(line) as Content),
      inputs,
    );
  }

  /** Items, extra rows and views. */
  get count(): number {
    return this.#contents.length + this.#views.length;
  }

  /** Takes in a view, and gives it a number after all others. */
  addView(view: PreparedInput): number {
    this.#views.push(view);
    return this.count - 1;
  }

  /** Whether an item has a content at all: an extra row that was given as a vector has none. */
  has(item: number): boolean {
    const content = this.#contents[item];
    if (content === undefined) return this.#viewOf(item) !== undefined;
    return "text" in content || "image" in content;
  }

  /** Items as the encoder takes them, in the order asked. @throws fine_tune_failed for an item without content */
  async prepare(items: ArrayLike<number>): Promise<PreparedInput[]> {
    const isKnown = (item: number) => this.#cache.has(item) || this.#viewOf(item) !== undefined;
    const missing = [...new Set(Array.from(items))].filter((item) => !isKnown(item));
    const fresh = new Map<number, PreparedInput>();
    const prepared = await this.#inputs.prepare(await Promise.all(missing.map((item) => this.#read(item))));
    missing.forEach((item, i) => {
      const input = prepared[i];
      if (input === undefined) return;
      fresh.set(item, input);
      this.#keep(item, input);
    });
    return Array.from(items, (item) => {
      const input = this.#cache.get(item) ?? fresh.get(item) ?? this.#viewOf(item);
      if (input === undefined) throw this.#missing(item);
      return input;
    });
  }

  /** Another view of an item, for learning without labels: the same `random` gives the same view. */
  async augment(item: number, options: AugmentationOptions, random: Random): Promise<PreparedInput> {
    const content = this.#contents[item];
    if (content !== undefined && "text" in content) {
      const [view] = await this.#inputs.prepare([augmentText(content.text, options, random)]);
      if (view !== undefined) return view;
    }
    const [original] = await this.prepare([item]);
    if (original?.kind !== "pixels") throw this.#missing(item);
    return { kind: "pixels", pixels: augmentPixels(original.pixels, options, random) };
  }

  #viewOf(item: number): PreparedInput | undefined {
    return this.#views[item - this.#contents.length];
  }

  async #read(item: number): Promise<EncoderInput> {
    const content = this.#contents[item];
    if (content !== undefined && "text" in content) return content.text;
    if (content !== undefined && "image" in content) return readFile(content.image);
    throw this.#missing(item);
  }

  #keep(item: number, input: PreparedInput): void {
    const bytes = input.kind === "tokens" ? 8 * input.ids.length : input.pixels.data.length;
    if (this.#cachedBytes + bytes > CACHE_BYTES) return;
    this.#cachedBytes += bytes;
    this.#cache.set(item, input);
  }

  #missing(item: number): AttuneError {
    return new AttuneError("fine_tune_failed", `Item ${item} has neither a text nor an image to encode`);
  }
}

/** What an input costs the encoder: its tokens, or 1 for an image, which all have one size. */
export function lengthOf(input: PreparedInput): number {
  return input.kind === "tokens" ? Math.max(1, input.ids.length) : 1;
}
