/** What an encoder made of one text. */
export interface EncodedText {
  /** One row. Shared by all who ask: to be copied, never changed. */
  vectors: Float32Array;
  tokens: number;
}

export interface RecentTextsStatus {
  entries: number;
  bytes: number;
  maxBytes: number;
  hits: number;
  misses: number;
}

interface Entry {
  encoded: Promise<EncodedText>;
  bytes: number;
}

/** About what an entry takes beside its text and its row. */
const OVERHEAD_BYTES = 300;

/**
 * Embeddings of the query texts that were asked for last, by all collections together, within a number of bytes; those unused for
 * longest go first. Whoever asks for a text that is being encoded waits for that one.
 */
export class RecentTexts {
  /** In the order of their last use. */
  private readonly entries = new Map<string, Entry>();
  /** Encoders by their identity, so that a key is short. */
  private readonly encoders = new Map<string, number>();
  private bytes = 0;
  private hits = 0;
  private misses = 0;

  /** @param maxBytes 0 keeps nothing */
  constructor(private readonly maxBytes: number) {}

  /** A number that stands for an encoder: the same for equal identities, whose embeddings are equal, and for no others. */
  numberOf(identity: object): number {
    const key = JSON.stringify(identity);
    const number = this.encoders.get(key) ?? this.encoders.size;
    this.encoders.set(key, number);
    return number;
  }

  /**
   * What the encoder of this number makes of a text.
   *
   * @param text with its prompt, as the encoder reads it
   * @param dimensions numbers of a row
   */
  get(encoder: number, text: string, dimensions: number, encode: () => Promise<EncodedText>): Promise<EncodedText> {
    if (this.maxBytes === 0) return encode();
    const key = `${encoder} ${text}`;
    const known = this.entries.get(key);
    if (known !== undefined) {
      this.hits++;
      this.entries.delete(key);
      this.entries.set(key, known);
      return known.encoded;
    }
    this.misses++;
    const entry = { encoded: encode(), bytes: key.length * 2 + dimensions * 4 + OVERHEAD_BYTES };
    this.entries.set(key, entry);
    this.bytes += entry.bytes;
    entry.encoded.catch(() => {
      if (this.entries.get(key) === entry) this.drop(key, entry);
    });
    for (const [oldest, old] of this.entries) {
      if (this.bytes <= this.maxBytes) break;
      this.drop(oldest, old);
    }
    return entry.encoded;
  }

  status(): RecentTextsStatus {
    const { bytes, maxBytes, hits, misses } = this;
    return { entries: this.entries.size, bytes, maxBytes, hits, misses };
  }

  private drop(key: string, { bytes }: Entry): void {
    this.entries.delete(key);
    this.bytes -= bytes;
  }
}
