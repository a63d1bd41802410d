import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { dataDirectory } from "./banking77.js";
import { readZip } from "./zip.js";

/** Lake, Salakhutdinov, Tenenbaum 2015, MIT licence. */
const SOURCE = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_background_small1.zip";
const CHECKSUM = "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4";
const FILE = path.join("omniglot", "images_background_small1.zip");

/** One drawing of a character, 105 x 105, black on white. */
export interface Drawing {
  /** Alphabet, character and number, as a path. */
  id: string;
  alphabet: string;
  /** Alphabet and character. */
  character: string;
  png: Buffer;
}

/** Whether the archive is there. */
export function hasOmniglot(directory = dataDirectory()): boolean {
  return existsSync(path.join(directory, FILE));
}

/**
 * Omniglot, the first small background set: 2,720 drawings, 20 of each of 136 characters in 5 alphabets, ordered by id.
 * @throws Error when the file is missing or is not the one that the figures of this project were measured with.
 */
export function loadOmniglot(directory = dataDirectory()): Drawing[] {
  const file = path.join(directory, FILE);
  if (!existsSync(file)) {
    throw new Error(`no ${file}: fetch ${SOURCE}, and set ATTUNE_TEST_DATA to the folder that holds omniglot/`);
  }
  const archive = readFileSync(file);
  const checksum = createHash("sha256").update(archive).digest("hex");
  if (checksum !== CHECKSUM) {
    throw new Error(`${file} has SHA-256 ${checksum}, expected ${CHECKSUM}; fetch it again from ${SOURCE}`);
  }
  const drawings: Drawing[] = [];
  for (const [name, png] of readZip(archive)) {
    const [, alphabet = "", character = "", drawing = ""] = name.split("/");
    if (!drawing.endsWith(".png")) continue;
    const id = `${alphabet}/${character}/${drawing.slice(0, -".png".length)}`;
    drawings.push({ id, alphabet, character: `${alphabet}/${character}`, png });
  }
  return drawings.sort((a, b) => (a.id < b.id ? -1 : 1));
}
