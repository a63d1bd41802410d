import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testData } from "../../support/project-root.js";

interface Golden {
  dimensions: number;
  items: { text: string; tokenIds: number[]; embedding: number[] }[];
}

const goldenPath = join(testData, "use-lite-golden.json");

/** Why a test that needs the golden file is skipped; false when the file is there. */
export const noGolden = existsSync(goldenPath) ? false : `${goldenPath} is absent; set ATTUNE_TEST_DATA`;

/** Token ids and embeddings of the reference implementation of use-lite. */
export function loadGolden(): Golden {
  return JSON.parse(readFileSync(goldenPath, "utf8")) as Golden;
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let at = 0; at < a.length; at++) {
    product += a[at]! * b[at]!;
    squaresA += a[at]! ** 2;
    squaresB += b[at]! ** 2;
  }
  return product / Math.sqrt(squaresA * squaresB);
}
