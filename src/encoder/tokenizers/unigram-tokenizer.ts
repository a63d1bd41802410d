import type { TokenizedText, Tokenizer } from "./tokenizer.js";

/** A vocabulary entry: the piece and its log probability (below 0). */
export type UnigramPiece = readonly [piece: string, score: number];

const SPACE_MARK = "\u2581";
const UNKNOWN_ID = 0;
/** What lies beyond is cut off unread, so that no text holds the thread for long (100,000 take about 50 ms). */
const MAX_CHARACTERS = 100_000;
/** Wide enough that a trie node and a UTF-16 code unit share one number. */
const CODE_UNITS = 0x10000;

/**
 * The tokenizer of Universal Sentence Encoder Lite: NFKC, a space mark in front and for each space, then the most
 * likely segmentation into unigram pieces (Kudo 2018, Viterbi). Token ids are equal to those of the reference
 * implementation also where two segmentations are equally likely ("!!!!!!!"), which the general Unigram model of
 * `@huggingface/tokenizers` breaks the other way round, and so gives other embeddings.
 *
 * The first `reserved` pieces are control tokens: no text matches them, however it is spelled.
 */
export class UnigramTokenizer implements Tokenizer {
  readonly padId = UNKNOWN_ID;
  readonly #lengths: Uint16Array;
  readonly #scores: Float64Array;
  /** Trie edges: node * CODE_UNITS + code unit -> child node; the root is 0. */
  readonly #edges = new Map<number, number>();
  /** Piece that ends at a trie node, or UNKNOWN_ID. */
  readonly #pieceAt: number[] = [UNKNOWN_ID];

  constructor(
    pieces: readonly UnigramPiece[],
    reserved: number,
    private readonly maxTokens: number,
  ) {
    this.#lengths = Uint16Array.from(pieces, ([piece]) => piece.length);
    this.#scores = Float64Array.from(pieces, ([, score]) => score);
    for (const [id, [piece]] of pieces.entries()) {
      if (id >= reserved) this.#insert(piece, id);
    }
  }

  tokenize(text: string): TokenizedText {
    const head = text.slice(0, MAX_CHARACTERS);
    const symbols = SPACE_MARK + head.normalize("NFKC").replaceAll(" ", SPACE_MARK);
    const ids = this.#backtrack(this.#lastPieces(symbols));
    const truncated = ids.length > this.maxTokens || head.length < text.length;
    return { ids: truncated ? ids.slice(0, this.maxTokens) : ids, truncated };
  }

  #insert(piece: string, id: number): void {
    let node = 0;
    for (let at = 0; at < piece.length; at++) {
      const edge = node * CODE_UNITS + piece.charCodeAt(at);
      let child = this.#edges.get(edge);
      if (child === undefined) {
        child = this.#pieceAt.push(UNKNOWN_ID) - 1;
        this.#edges.set(edge, child);
      }
      node = child;
    }
    this.#pieceAt[node] = id;
  }

  /** For every end position the last piece of the best segmentation up to it; UNKNOWN_ID where no piece ends. */
  #lastPieces(symbols: string): Uint16Array {
    const best = new Float64Array(symbols.length + 1);
    const last = new Uint16Array(symbols.length + 1);
    for (let start = 0; start < symbols.length; start++) {
      const scoreBefore = best[start] ?? 0;
      let node: number | undefined = 0;
      for (let end = start + 1; end <= symbols.length; end++) {
        node = this.#edges.get(node * CODE_UNITS + symbols.charCodeAt(end - 1));
        if (node === undefined) break;
        const piece = this.#pieceAt[node] ?? UNKNOWN_ID;
        if (piece === UNKNOWN_ID) continue;
        const score = scoreBefore + (this.#scores[piece] ?? 0);
        // `>=`: of equally likely segmentations the reference takes the one whose last piece is shortest.
        if (last[end] === UNKNOWN_ID || score >= (best[end] ?? 0)) {
          best[end] = score;
          last[end] = piece;
        }
      }
    }
    return last;
  }

  /** Follows the best segmentation from the end; a run of unknown symbols is one unknown token. */
  #backtrack(last: Uint16Array): number[] {
    const ids: number[] = [];
    for (let end = last.length - 1; end > 0; ) {
      const id = last[end] ?? UNKNOWN_ID;
      if (id !== UNKNOWN_ID || ids.at(-1) !== UNKNOWN_ID) ids.push(id);
      end -= id === UNKNOWN_ID ? 1 : (this.#lengths[id] ?? 1);
    }
    return ids.reverse();
  }
}
