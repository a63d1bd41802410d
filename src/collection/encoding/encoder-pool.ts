import { describeEncoder, type Encoder, type ModelDescription, openEncoder } from "../../encoder/index.js";
import { availableProviders, type ProviderChoice } from "../../runtime/index.js";
import type { Logger } from "../logger.js";
import { EncodingLoad } from "./encoding-load.js";
import { RecentTexts } from "./recent-texts.js";
import { RevivedEncoder } from "./revived-encoder.js";

export interface EncoderPoolOptions {
  provider: ProviderChoice;
  threads: number;
  /** The largest image that is decoded. */
  maxPixels: number;
  cacheDirectory: string | undefined;
  /** Memory for the embeddings of recent query texts; 0 keeps none. */
  queryCacheBytes: number;
  log: Logger;
}

interface Shared {
  encoder: Promise<Encoder>;
  users: number;
}

/**
 * Encoders by specification: collections that name the same one share it, and its memory. A tuned copy, whose weights are in a
 * `model` file of its own, is another encoder.
 */
export class EncoderPool {
  private readonly shared = new Map<string, Shared>();
  private inUse: string | undefined;
  readonly recent: RecentTexts;
  readonly load = new EncodingLoad();

  constructor(private readonly options: EncoderPoolOptions) {
    this.recent = new RecentTexts(options.queryCacheBytes);
  }

  /** Opens an encoder, or joins those who have it open. @throws unknown_encoder, invalid_encoder, provider_unavailable */
  async acquire(specification: string, model?: string): Promise<Encoder> {
    const key = keyOf(specification, model);
    const open = this.shared.get(key) ?? {
      users: 0,
      encoder: this.open(specification, model).then(
        (encoder) =>
          new RevivedEncoder(
            encoder,
            (id) => this.open(id, model),
            (message) => this.options.log.warn(message),
          ),
      ),
    };
    this.shared.set(key, open);
    open.users++;
    try {
      const encoder = await open.encoder;
      this.inUse = encoder.provider;
      return encoder;
    } catch (error) {
      if (this.shared.get(key) === open) this.shared.delete(key);
      throw error;
    }
  }

  /** The execution provider that the encoders run on; before the first one, what was asked for or would be tried first. */
  get provider(): string {
    const { provider } = this.options;
    return this.inUse ?? (provider === "auto" ? (availableProviders()[0] ?? "cpu") : provider);
  }

  /** Whether somebody has this encoder open. */
  has(specification: string): boolean {
    return this.shared.has(keyOf(specification));
  }

  async release(specification: string, model?: string): Promise<void> {
    const key = keyOf(specification, model);
    const open = this.shared.get(key);
    if (open === undefined || --open.users > 0) return;
    this.shared.delete(key);
    await (await open.encoder).close();
  }

  /** What an encoder is, without opening it. @throws unknown_encoder, invalid_encoder */
  describe(specification: string, model?: string): Promise<ModelDescription> {
    return describeEncoder(specification, this.preparation(model));
  }

  async close(): Promise<void> {
    const all = [...this.shared.values()];
    this.shared.clear();
    for (const { encoder } of all) await encoder.then((opened) => opened.close()).catch(() => {});
  }

  private open(specification: string, model?: string): Promise<Encoder> {
    const { provider, threads } = this.options;
    return openEncoder(specification, { provider, threads, ...this.preparation(model) });
  }

  private preparation(model: string | undefined) {
    const { cacheDirectory, maxPixels, log } = this.options;
    return {
      maxPixels,
      ...(model === undefined ? {} : { model }),
      ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
      log: (message: string) => log.info(message),
      onProgress: progressLog(log),
    };
  }
}

function keyOf(specification: string, model = ""): string {
  return `${specification}\n${model}`;
}

/** A line every two seconds is enough for a log. */
function progressLog(log: Logger) {
  let next = 0;
  return ({ what, done, total, unit }: { what: string; done: number; total: number; unit: string }) => {
    const now = performance.now();
    if (now < next) return;
    next = now + 2000;
    log.info(`${what}: ${done}${total > 0 ? ` of ${total}` : ""} ${unit}`);
  };
}
