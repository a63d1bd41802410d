import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { AttuneError } from "../errors/index.js";

/** SHA-256 of bytes or of a text, as lower-case hex. */
export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** SHA-256 of a file's content, read in pieces, as lower-case hex. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Writes a file so that a reader finds either the old content or the whole new one, also when two processes write
 * at once or one of them dies: a temporary file beside it, flushed, then renamed over it.
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** The content of a text file, or undefined when there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * The JSON value in a file, or undefined when there is no such file.
 * @throws invalid_encoder when the file is not JSON; the message names it.
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readIfPresent(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AttuneError("invalid_encoder", `${path} is not valid JSON: ${(cause as Error).message}`, { cause });
  }
}

export type JsonObject = Record<string, unknown>;

/**
 * The JSON object in a file, or undefined when there is no such file.
 * @throws invalid_encoder when the file does not hold a JSON object; the message names it.
 */
export async function readJsonObject(path: string): Promise<JsonObject | undefined> {
  const value = await readJson(path);
  if (value === undefined || isJsonObject(value)) return value;
  throw new AttuneError("invalid_encoder", `${path} should hold a JSON object.`);
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
