import { isDeepStrictEqual } from "node:util";
import type { EncodeOptions, EncodeResult, Encoder, EncoderIdentity, EncoderInput } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";

/**
 * An encoder that is opened again when its thread has died. The calls that were under way fail, since one of their inputs may be
 * what it died of; the next call opens it.
 */
export class RevivedEncoder implements Encoder {
  private dead = false;
  private reviving: Promise<Encoder> | undefined;
  private closed = false;

  constructor(
    private encoder: Encoder,
    private readonly open: (specification: string) => Promise<Encoder>,
    private readonly log: (message: string) => void,
  ) {}

  get id(): string {
    return this.encoder.id;
  }

  get identity(): EncoderIdentity {
    return this.encoder.identity;
  }

  get dimensions(): number {
    return this.encoder.dimensions;
  }

  get modality(): Encoder["modality"] {
    return this.encoder.modality;
  }

  get accepts(): Encoder["accepts"] {
    return this.encoder.accepts;
  }

  get maxTokens(): number {
    return this.encoder.maxTokens;
  }

  get provider(): string {
    return this.encoder.provider;
  }

  /** @throws encoder_changed when other files were found on opening it again */
  async encode(inputs: readonly EncoderInput[], options?: EncodeOptions): Promise<EncodeResult> {
    const encoder = this.dead && !this.closed ? await this.revive() : this.encoder;
    try {
      return await encoder.encode(inputs, options);
    } catch (error) {
      if (error instanceof AttuneError && error.code === "internal" && encoder === this.encoder) this.dead = true;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.reviving?.catch(() => {});
    await this.encoder.close();
  }

  private revive(): Promise<Encoder> {
    this.reviving ??= this.openAgain().finally(() => {
      this.reviving = undefined;
    });
    return this.reviving;
  }

  private async openAgain(): Promise<Encoder> {
    this.log(`The encoder ${this.id} died and is opened again.`);
    await this.encoder.close();
    const encoder = await this.open(this.id);
    if (!isDeepStrictEqual(encoder.identity, this.identity)) {
      await encoder.close();
      throw new AttuneError(
        "encoder_changed",
        `The encoder ${this.id} died, and what is in its place now is another one. Put its files back.`,
      );
    }
    this.encoder = encoder;
    this.dead = false;
    return encoder;
  }
}
