import { type Encoder, openEncoder } from "../../encoder/index.js";
import { availableProviders, type ProviderChoice } from "../../runtime/index.js";
import type { Logger } from "../logger.js";
import { RevivedEncoder } from "./revived-encoder.js";

export interface EncoderPoolOptions {
  provider: ProviderChoice;
  threads: number;
  cacheDirectory: string | undefined;
  log: Logger;
}

interface Shared {
  encoder: Promise<Encoder>;
  users: number;
}

/** Encoders by specification: collections that name the same one share it, and its memory. */
export class EncoderPool {
  private readonly shared = new Map<string, Shared>();
  private inUse: string | undefined;

  constructor(private readonly options: EncoderPoolOptions) {}

  /** Opens an encoder, or joins those who have it open. @throws unknown_encoder, invalid_encoder, provider_unavailable */
  async acquire(specification: string): Promise<Encoder> {
    const open = this.shared.get(specification) ?? {
      users: 0,
      encoder: this.open(specification).then(
        (encoder) =>
          new RevivedEncoder(
            encoder,
            (id) => this.open(id),
            (message) => this.options.log.warn(message),
          ),
      ),
    };
    this.shared.set(specification, open);
    open.users++;
    try {
      const encoder = await open.encoder;
      this.inUse = encoder.provider;
      return encoder;
    } catch (error) {
      if (this.shared.get(specification) === open) this.shared.delete(specification);
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
    return this.shared.has(specification);
  }

  async release(specification: string): Promise<void> {
    const open = this.shared.get(specification);
    if (open === undefined || --open.users > 0) return;
    this.shared.delete(specification);
    await (await open.encoder).close();
  }

  async close(): Promise<void> {
    const all = [...this.shared.values()];
    this.shared.clear();
    for (const { encoder } of all) await encoder.then((opened) => opened.close()).catch(() => {});
  }

  private open(specification: string): Promise<Encoder> {
    const { provider, threads, cacheDirectory, log } = this.options;
    return openEncoder(specification, {
      provider,
      threads,
      ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
      log: (message) => log.info(message),
      onProgress: progressLog(log),
    });
  }
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
