export interface TokenizedText {
  ids: readonly number[];
  /** Whether the text had more tokens than the model takes, and was cut. */
  truncated: boolean;
}

/** Turns a text into token ids, at most `maxTokens` of them, control tokens included. */
export interface Tokenizer {
  /** The id that fills short rows of a batch; the mask hides it from the model. */
  readonly padId: number;
  tokenize(text: string): TokenizedText;
}
