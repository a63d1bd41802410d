import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Tokenizer as GeneralTokenizer } from "@huggingface/tokenizers";
import { type UnigramPiece, UnigramTokenizer } from "../../src/encoder/tokenizers/unigram-tokenizer.js";
import { RESERVED_PIECES } from "../../src/encoder/use-lite/architecture.js";
import { vocabularyPath } from "../../src/encoder/use-lite/weights.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { loadGolden, noGolden } from "./support/test-data.js";

const pieces = JSON.parse(readFileSync(vocabularyPath(), "utf8")) as UnigramPiece[];
const tokenizer = new UnigramTokenizer(pieces, RESERVED_PIECES, 1_000);
const idsOf = (text: string) => tokenizer.tokenize(text).ids;

/** The same model in the general library; a piece with a plain space in it can never match. */
const general = new GeneralTokenizer(
  {
    version: "1.0",
    added_tokens: [],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFKC" },
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: pieces.map(([piece, score], id) =>
        id > 0 && id < RESERVED_PIECES ? [`no ${id}`, score] : [piece, score],
      ),
    },
  },
  {},
);
const generalIdsOf = (text: string): number[] => general.encode(text).ids;
const scoreOf = (ids: readonly number[]) => ids.reduce((sum, id) => sum + pieces[id]![1], 0);

function randomText(random: Random): string {
  const alphabet = [..."aabehilnorst  tion!!--..1110éß🙂東\n\t▁<s></s>½ﬁ"];
  return Array.from({ length: 1 + random.integer(40) }, () => alphabet[random.integer(alphabet.length)]).join("");
}

describe("the tokenizer of use-lite", () => {
  it("gives the token ids of the reference implementation", { skip: noGolden }, () => {
    for (const { text, tokenIds } of loadGolden().items) assert.deepEqual(idsOf(text), tokenIds, text);
  });

  it("finds a segmentation as likely as the general Unigram implementation does, on random texts", () => {
    const random = new Random(seedOf("unigram tokenizer", 11));
    for (let round = 0; round < 2_000; round++) {
      const text = randomText(random);
      const [ids, expected] = [idsOf(text), generalIdsOf(text)];
      assert.ok(Math.abs(scoreOf(ids) - scoreOf(expected)) < 1e-9, JSON.stringify(text));
      assert.equal(ids.length, expected.length, JSON.stringify(text));
    }
  });

  it("takes the shortest last piece where two segmentations are equally likely, as the reference does", () => {
    // "!!!" and "!!!!" in either order are equally likely; the general implementation gives the other order.
    const [three, four] = ["!!!", "!!!!"].map((text) => pieces.findIndex(([piece]) => piece === text));
    assert.deepEqual(idsOf("!!!!!!!"), [30, four, three]);
    assert.deepEqual(generalIdsOf("!!!!!!!"), [30, three, four]);
  });

  it("leaves text that spells a control token text", () => {
    for (const [control] of pieces.slice(0, RESERVED_PIECES)) {
      for (const id of idsOf(`a ${control} b`)) assert.ok(id === 0 || id >= RESERVED_PIECES, control);
    }
    assert.deepEqual(idsOf("<s>"), [4787, 7, 1431]);
  });

  it("cuts after the maximum and says so", () => {
    const short = new UnigramTokenizer(pieces, RESERVED_PIECES, 4);
    assert.deepEqual(short.tokenize("my cat is sick"), { ids: [69, 1163, 18, 2685], truncated: false });
    assert.deepEqual(short.tokenize("my cat is sick a"), { ids: [69, 1163, 18, 2685], truncated: true });
  });

  it("reads 100,000 characters of a text and says when there were more", () => {
    const unread = "東".repeat(100_000);
    assert.deepEqual(tokenizer.tokenize(unread), { ids: [30, 0], truncated: false });
    assert.deepEqual(tokenizer.tokenize(`${unread} card`), { ids: [30, 0], truncated: true });
  });

  it("makes one unknown token of a run of unknown symbols", () => {
    assert.deepEqual(idsOf("东京大学"), [30, 0]);
    assert.deepEqual(idsOf("🙂🙂🙂"), [30, 0]);
  });
});
