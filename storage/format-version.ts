import { StorageError } from "./errors.js";
import { FORMAT_KEY } from "./keys.js";
import { type Database, writeBatch } from "./level.js";
import type { Operation } from "./operation.js";

/** Brings a directory from one format to the next; what it returns is written in one batch with the new version. */
export type Upgrade = (database: Database) => Promise<Operation[]>;

/** `UPGRADES[n - 1]` leads from format n to n + 1. */
const UPGRADES: readonly Upgrade[] = [];

/** The format that this version writes; FORMAT.md describes it. */
export const FORMAT_VERSION = UPGRADES.length + 1;

/**
 * Reads the format version, writes it into an empty database, and runs the upgrades that are missing, one batch a step, so
 * that a crash leaves a whole format behind.
 *
 * @throws data_version
 */
export async function checkFormat(
  database: Database,
  log: (message: string) => void,
  upgrades: readonly Upgrade[] = UPGRADES,
): Promise<void> {
  const current = upgrades.length + 1;
  const found = await readFormat(database, current);
  if (found > current) {
    throw new StorageError(
      "data_version",
      `${database.location} has format ${found}; this version reads up to ${current}. Use a newer version of the program.`,
    );
  }
  for (let version = found; version < current; version++) {
    const upgrade = upgrades[version - 1];
    if (upgrade === undefined) break;
    log(`upgrading ${database.location} from format ${version} to ${version + 1}`);
    await writeBatch(database, [...(await upgrade(database)), formatOperation(version + 1)], true);
  }
}

async function readFormat(database: Database, current: number): Promise<number> {
  const stored = await database.get(FORMAT_KEY);
  if (stored === undefined) {
    const [key] = await database.keys({ limit: 1 }).all();
    if (key !== undefined) {
      throw new StorageError(
        "data_version",
        `${database.location} holds records (first key ${JSON.stringify(key)}) but no format version: it was not written by this program.`,
      );
    }
    await writeBatch(database, [formatOperation(current)], true);
    return current;
  }
  const version = /^[1-9][0-9]{0,8}$/.test(stored) ? Number(stored) : undefined;
  if (version === undefined) {
    throw new StorageError(
      "data_version",
      `${database.location} names its format ${JSON.stringify(stored)}; expected a whole number from 1.`,
    );
  }
  return version;
}

function formatOperation(version: number): Operation {
  return { type: "put", key: FORMAT_KEY, value: String(version) };
}
