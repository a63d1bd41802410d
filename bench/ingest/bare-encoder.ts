import { type Encoder, openEncoder } from "../../src/encoder/index.js";

/** How texts reach the encoder: texts of a call, and calls at the same time. */
interface Way {
  name: string;
  batch: number;
  calls: number;
}

const WAYS: Way[] = [
  { name: "one call", batch: Number.POSITIVE_INFINITY, calls: 1 },
  { name: "calls of 2,048", batch: 2048, calls: 1 },
  { name: "calls of 500, 4 at a time", batch: 500, calls: 4 },
  { name: "calls of 32, 4 at a time", batch: 32, calls: 4 },
];

/** The built-in text encoder by itself, opened as the server does it: with every core, in a thread of its own. */
export class BareEncoder {
  private constructor(
    private readonly encoder: Encoder,
    private way: Way,
  ) {}

  static async open(): Promise<BareEncoder> {
    return new BareEncoder(await openEncoder("use-lite"), WAYS[0] as Way);
  }

  /** Warms the encoder up, then tries every way and keeps the one that is fastest. @returns texts a second by way */
  async choose(texts: readonly string[]): Promise<{ name: string; rate: number }[]> {
    await this.rate(texts);
    const tried: (Way & { rate: number })[] = [];
    for (const way of WAYS) {
      this.way = way;
      tried.push({ ...way, rate: await this.rate(texts) });
    }
    this.way = tried.reduce((best, each) => (each.rate > best.rate ? each : best));
    return tried.map(({ name, rate }) => ({ name, rate }));
  }

  /** Encodes all texts. @returns texts a second */
  async rate(texts: readonly string[]): Promise<number> {
    const { batch, calls } = this.way;
    const started = performance.now();
    let next = 0;
    const caller = async () => {
      while (next < texts.length) {
        const start = next;
        next += batch;
        await this.encoder.encode(texts.slice(start, start + batch));
      }
    };
    await Promise.all(Array.from({ length: calls }, caller));
    return (texts.length * 1000) / (performance.now() - started);
  }

  close(): Promise<void> {
    return this.encoder.close();
  }
}
