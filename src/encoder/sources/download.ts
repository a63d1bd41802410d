import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneError } from "../../errors/index.js";

/** What a finished file must be: its size, and a checksum of its content as a hub gives it. */
export interface RemoteFile {
  url: string;
  size: number;
  /** `sha256` of the content, or the `git-blob` SHA-1 that git gives a file. */
  checksum: { kind: "sha256" | "git-blob"; hex: string };
}

export interface DownloadOptions {
  fetch: typeof fetch;
  signal?: AbortSignal;
  /** Bytes of this file that are here, again and again. */
  onProgress?: (done: number) => void;
}

/** Tries in a row without a single new byte. */
const MAX_FRUITLESS_TRIES = 4;
const FIRST_PAUSE_MS = 200;

/**
 * Downloads to `path` by way of `path.part`: what an interrupted download has left, now or in an earlier process, is
 * continued with a range request. The file gets its name when size and checksum are right.
 * @throws invalid_encoder when the content is not what it should be; unknown_encoder when it cannot be fetched.
 */
export async function download(file: RemoteFile, path: string, options: DownloadOptions): Promise<void> {
  const part = `${path}.part`;
  await mkdir(dirname(path), { recursive: true });
  await fetchAll(file, part, options);
  if ((await checksumOf(part, file)) !== file.checksum.hex) {
    await rm(part, { force: true });
    throw new AttuneError(
      "invalid_encoder",
      `${file.url} was damaged on the way: its checksum is not ${file.checksum.hex}. Try again.`,
    );
  }
  await flush(part);
  await rename(part, path);
}

async function fetchAll(file: RemoteFile, part: string, options: DownloadOptions): Promise<void> {
  for (let fruitless = 0; ; ) {
    const before = await usableLength(part, file.size);
    options.onProgress?.(before);
    if (before === file.size) return;
    const failure = await fetchRest(file, part, before, options).then(
      () => new Error("the connection closed early"),
      (error: unknown) => error,
    );
    options.signal?.throwIfAborted();
    if (failure instanceof AttuneError) throw failure;
    const after = await usableLength(part, file.size);
    if (after === file.size) continue;
    fruitless = after > before ? 0 : fruitless + 1;
    if (fruitless >= MAX_FRUITLESS_TRIES) {
      const { message, cause } = failure as Error;
      const why = cause instanceof Error ? `${message} (${cause.message})` : message;
      throw new AttuneError(
        "unknown_encoder",
        `${file.url} cannot be downloaded: ${why}. The ${after} of ${file.size} bytes that came are kept; try again.`,
        { cause: failure },
      );
    }
    await sleep(FIRST_PAUSE_MS * 2 ** fruitless, undefined, { signal: options.signal });
  }
}

/** Bytes of the partial file; one that is longer than the whole is of no use and is removed. */
async function usableLength(part: string, size: number): Promise<number> {
  const length = (await stat(part).catch(() => undefined))?.size ?? 0;
  if (length <= size) {
    if (size === 0) await (await open(part, "a")).close();
    return length;
  }
  await rm(part);
  return 0;
}

/** One request for what is missing. Rejects with an AttuneError where another try would give the same. */
async function fetchRest(file: RemoteFile, part: string, offset: number, options: DownloadOptions): Promise<void> {
  const headers: Record<string, string> = offset > 0 ? { Range: `bytes=${offset}-` } : {};
  const response = await options.fetch(file.url, { headers, signal: options.signal });
  const { status } = response;
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    // The server does not know this range, so what is here is not the beginning of its file.
    if (status === 416) await rm(part, { force: true });
    else if (status < 500 && status !== 408 && status !== 429) throw refused(file.url, status);
    throw new Error(`the server answered ${status}`);
  }
  // A server that ignores the range sends the whole file again.
  const continues = status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${offset}-`) === true;
  const sink = createWriteStream(part, { flags: continues ? "a" : "w" });
  let done = continues ? offset : 0;
  const source = Readable.fromWeb(response.body as import("node:stream/web").ReadableStream<Uint8Array>);
  source.on("data", (chunk: Uint8Array) => {
    done += chunk.byteLength;
    options.onProgress?.(done);
  });
  await pipeline(source, sink, { signal: options.signal });
}

function refused(url: string, status: number): AttuneError {
  const hint = status === 401 || status === 403 ? "; a private or gated repository needs a token in HF_TOKEN" : "";
  return new AttuneError("unknown_encoder", `${url} cannot be downloaded: the server answered ${status}${hint}.`);
}

async function checksumOf(path: string, { size, checksum }: RemoteFile): Promise<string> {
  const hash = createHash(checksum.kind === "sha256" ? "sha256" : "sha1");
  if (checksum.kind === "git-blob") hash.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

async function flush(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
