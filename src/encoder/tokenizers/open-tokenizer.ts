import { readFile } from "node:fs/promises";
import { AttuneError } from "../../errors/index.js";
import { readJsonObject } from "../files.js";
import type { TextModelDescription } from "../model-description.js";
import { RESERVED_PIECES } from "../use-lite/architecture.js";

import { HuggingFaceTokenizer } from "./hugging-face-tokenizer.js";
import type { Tokenizer } from "./tokenizer.js";
import { type UnigramPiece, UnigramTokenizer } from "./unigram-tokenizer.js";

/** @throws invalid_encoder when a file is missing or does not hold a tokenizer. */
export async function openTokenizer({ tokenizer, maxTokens }: TextModelDescription): Promise<Tokenizer> {
  if (tokenizer.kind === "use-lite") {
    const pieces = JSON.parse(await readFile(tokenizer.vocabularyPath, "utf8")) as UnigramPiece[];
    return new UnigramTokenizer(pieces, RESERVED_PIECES, maxTokens);
  }
  const files = {
    tokenizer: await readJsonObject(tokenizer.tokenizerPath),
    config: (await readJsonObject(tokenizer.configPath)) ?? {},
    path: tokenizer.tokenizerPath,
  };
  if (files.tokenizer === undefined) throw new AttuneError("invalid_encoder", `${files.path} is missing.`);
  return new HuggingFaceTokenizer({ ...files, tokenizer: files.tokenizer }, maxTokens);
}
