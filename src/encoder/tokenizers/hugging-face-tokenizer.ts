import { Tokenizer as TokenizerPipeline } from "@huggingface/tokenizers";
import { AttuneError } from "../../errors/index.js";
import { isJsonObject, type JsonObject } from "../files.js";
import type { TokenizedText, Tokenizer } from "./tokenizer.js";

export interface TokenizerFiles {
  /** Content of tokenizer.json. */
  tokenizer: JsonObject;
  /** Content of tokenizer_config.json, or an empty object. */
  config: JsonObject;
  /** For error messages. */
  path: string;
}

/** The part of the library that is used here; a token the vocabulary cannot spell has no id. */
interface Pipeline {
  encode(text: string, options?: { add_special_tokens?: boolean }): { ids: (number | undefined)[] };
  token_to_id(token: string): number | undefined;
}

/**
 * Characters read for each token of the maximum; the rest of a text is cut off unread. Tokens of ordinary text have 2 to
 * 6, and the library needs up to 17 s for a million characters, during which no query would be answered.
 */
const MAX_CHARACTERS_PER_TOKEN = 64;
/** Neither word is likely to be a control token; the control tokens around them are what we are after. */
const PROBE = "hello world";

/**
 * A tokenizer.json run by `@huggingface/tokenizers`, which does not cut long texts: here the text is cut and the
 * control tokens that the post-processor puts around it are kept, as the reference implementation does.
 */
export class HuggingFaceTokenizer implements Tokenizer {
  readonly padId: number;
  readonly #pipeline: Pipeline;
  readonly #prefix: readonly number[];
  readonly #suffix: readonly number[];
  readonly #room: number;
  readonly #keepEnd: boolean;

  /** @throws invalid_encoder when the files do not make a tokenizer, or `maxTokens` leaves no room for text. */
  constructor(files: TokenizerFiles, maxTokens: number) {
    try {
      // The library takes added_tokens for granted; in the file format it may be left out.
      this.#pipeline = new TokenizerPipeline({ added_tokens: [], ...files.tokenizer }, files.config);
      const bare = this.#encode(PROBE, false);
      const full = this.#encode(PROBE, true);
      const start = positionOf(bare, full);
      this.#prefix = full.slice(0, start);
      this.#suffix = full.slice(start + bare.length);
    } catch (cause) {
      const message = `${files.path} cannot be used as a tokenizer: ${(cause as Error).message}`;
      throw new AttuneError("invalid_encoder", message, { cause });
    }
    this.#room = maxTokens - this.#prefix.length - this.#suffix.length;
    if (this.#room < 1) {
      throw new AttuneError(
        "invalid_encoder",
        `A maximum of ${maxTokens} tokens leaves no room beside control tokens.`,
      );
    }
    this.#keepEnd = files.config.truncation_side === "left";
    this.padId = padIdOf(files, this.#pipeline);
  }

  tokenize(text: string): TokenizedText {
    const characters = this.#room * MAX_CHARACTERS_PER_TOKEN;
    const part = this.#keepEnd ? text.slice(-characters) : text.slice(0, characters);
    let ids = this.#encode(part, false);
    const truncated = ids.length > this.#room || part.length < text.length;
    if (ids.length > this.#room) ids = this.#keepEnd ? ids.slice(-this.#room) : ids.slice(0, this.#room);
    return { ids: [...this.#prefix, ...ids, ...this.#suffix], truncated };
  }

  /** Without an unknown token there is no id for what the vocabulary cannot spell; the reference leaves it out too. */
  #encode(text: string, controlTokens: boolean): number[] {
    const { ids } = this.#pipeline.encode(text, { add_special_tokens: controlTokens });
    return ids.filter((id) => id !== undefined);
  }
}

/** Where `part` stands inside `whole`. */
function positionOf(part: readonly number[], whole: readonly number[]): number {
  for (let start = 0; start + part.length <= whole.length; start++) {
    if (part.every((id, at) => whole[start + at] === id)) return start;
  }
  throw new Error("the post-processor changes the tokens of the text, which is not supported");
}

function padIdOf(files: TokenizerFiles, pipeline: Pipeline): number {
  const { padding } = files.tokenizer;
  if (isJsonObject(padding) && typeof padding.pad_id === "number") return padding.pad_id;
  const token = files.config.pad_token;
  const content = isJsonObject(token) ? token.content : token;
  return (typeof content === "string" ? pipeline.token_to_id(content) : undefined) ?? 0;
}
