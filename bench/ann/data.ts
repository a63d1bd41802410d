import { createReadStream, existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { openEncoder } from "../../src/encoder/index.js";
import { normaliseRows, Random } from "../../src/vector/index.js";
import { loadBanking77 } from "../support/banking77.js";
import { clusteredVectors } from "../support/clustered-vectors.js";

/** Rows of length 1, flat, and queries of their kind that are not among them. */
export interface AnnData {
  name: string;
  dimensions: number;
  rows: Float32Array;
  queries: Float32Array;
}

export interface AnnDataOptions {
  data: string;
  count: number;
  queries: number;
  dimensions: number;
  seed: number;
}

/** @param options.data `synthetic`, `spectrum`, `banking77`, or the path of a file of word vectors */
export function loadAnnData(options: AnnDataOptions): Promise<AnnData> {
  if (options.data === "synthetic") return Promise.resolve(clusters(options));
  if (options.data === "spectrum") return Promise.resolve(spectrum(options));
  return options.data === "banking77" ? banking77(options) : wordVectors(options);
}

function clusters({ seed, count, queries, dimensions }: AnnDataOptions): AnnData {
  return { name: `synthetic (seed ${seed})`, dimensions, ...clusteredVectors(seed, count, queries, dimensions) };
}

/**
 * With it 100,000 x 100 are about as hard as GloVe's: recall@10 is .85, .93 and .98 at efSearch 80, 160 and 320, where that
 * of GloVe's words is .89, .94 and .975.
 */
const FALL = 0.4;

/** Normal numbers whose deviation falls with the dimension `i` as `i ** -FALL`: no clusters, and hard to search, as word vectors are. */
function spectrum({ seed, count, queries, dimensions }: AnnDataOptions): AnnData {
  const random = new Random(seed);
  const fill = (n: number) => {
    const rows = Float32Array.from(
      { length: n * dimensions },
      (_, i) => random.normal() * ((i % dimensions) + 1) ** -FALL,
    );
    normaliseRows(rows, dimensions);
    return rows;
  };
  return { name: `spectrum (seed ${seed})`, dimensions, rows: fill(count), queries: fill(queries) };
}

async function banking77(options: AnnDataOptions): Promise<AnnData> {
  const { name, train, test } = loadBanking77();
  const encoder = await openEncoder("use-lite");
  try {
    const embed = async (texts: string[]) => {
      const { vectors } = await encoder.encode(texts);
      normaliseRows(vectors, encoder.dimensions);
      return vectors;
    };
    const rows = await embed(train.map(({ text }) => text));
    const queries = await embed(test.slice(0, options.queries).map(({ text }) => text));
    return { name, dimensions: encoder.dimensions, rows, queries };
  } finally {
    await encoder.close();
  }
}

/**
 * The first `count + queries` lines of a text file with a word and its numbers in each, as GloVe's (`glove.6B.100d.txt`);
 * the queries are spread evenly over them.
 *
 * @throws Error when the file is too short or a line has another number of dimensions than the first
 */
async function wordVectors({ data: file, count, queries }: AnnDataOptions): Promise<AnnData> {
  if (!existsSync(file)) throw new Error(`"${file}" is no file, and not synthetic, spectrum or banking77`);
  const wanted = count + queries;
  const [rows, held]: [number[][], number[][]] = [[], []];
  const stream = createReadStream(file);
  for await (const line of createInterface({ input: stream })) {
    const at = rows.length + held.length;
    const vector = line.trim().split(" ").slice(1).map(Number);
    if (vector.length !== (rows[0] ?? held[0] ?? vector).length || vector.some(Number.isNaN)) {
      throw new Error(`${file}:${at + 1}: expected a word and as many numbers as in the first line`);
    }
    // True `queries` times in `wanted` lines.
    const isQuery = Math.floor(((at + 1) * queries) / wanted) > Math.floor((at * queries) / wanted);
    (isQuery ? held : rows).push(vector);
    if (at + 1 === wanted) break;
  }
  stream.destroy();
  const dimensions = rows[0]?.length ?? 0;
  if (rows.length + held.length < wanted) {
    throw new Error(`${file} has ${rows.length + held.length} lines, expected ${count} rows and ${queries} queries`);
  }
  const flat = (vectors: number[][]) => {
    const numbers = Float32Array.from(vectors.flat());
    normaliseRows(numbers, dimensions);
    return numbers;
  };
  return { name: path.basename(file), dimensions, rows: flat(rows), queries: flat(held) };
}
