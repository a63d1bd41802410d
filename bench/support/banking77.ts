import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "csv-parse/sync";
import type { IntentData, IntentText } from "./intent-data.js";

/** Casanueva et al. 2020, CC BY 4.0. */
const SOURCE = "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data";
const CHECKSUMS = {
  "train.csv": "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
  "test.csv": "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
};

/** The folder of data sets: ATTUNE_TEST_DATA, else ../shared/data beside the repository. */
export function dataDirectory(): string {
  return process.env.ATTUNE_TEST_DATA ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
}

/** Whether both files of Banking77 are there. */
export function hasBanking77(directory = dataDirectory()): boolean {
  return Object.keys(CHECKSUMS).every((file) => existsSync(path.join(directory, "banking77", file)));
}

/**
 * Banking77: 10,003 train and 3,080 test queries of bank customers, with 77 intents.
 * @throws Error when a file is missing or is not the one that the figures of this project were measured with.
 */
export function loadBanking77(directory = dataDirectory()): IntentData {
  return { name: "Banking77", train: readPart(directory, "train.csv"), test: readPart(directory, "test.csv") };
}

function readPart(directory: string, file: keyof typeof CHECKSUMS): IntentText[] {
  const name = path.join(directory, "banking77", file);
  if (!existsSync(name)) {
    throw new Error(
      `no ${name}: fetch ${SOURCE}/${file}, and set ATTUNE_TEST_DATA to the folder that holds banking77/`,
    );
  }
  const bytes = readFileSync(name);
  const checksum = createHash("sha256").update(bytes).digest("hex");
  if (checksum !== CHECKSUMS[file]) {
    throw new Error(
      `${name} has SHA-256 ${checksum}, expected ${CHECKSUMS[file]}; fetch it again from ${SOURCE}/${file}`,
    );
  }
  const rows = parse(bytes, { columns: true }) as { text: string; category: string }[];
  return rows.map(({ text, category }) => ({ text, intent: category }));
}
