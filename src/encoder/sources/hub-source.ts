import { stat } from "node:fs/promises";
import { join } from "node:path";
import { HubApiError, type ListFileEntry, listFiles, modelInfo } from "@huggingface/hub";
import { AttuneError } from "../../errors/index.js";
import type { PreparationProgress } from "../encoder.js";
import { readIfPresent, readJson, writeFileAtomic } from "../files.js";
import { download, type RemoteFile } from "./download.js";
import { isTimmConfig, layoutOf } from "./layout.js";
import { withLock } from "./lock.js";

const DEFAULT_ENDPOINT = "https://huggingface.co";
const COMMIT = /^[0-9a-f]{40}$/;
/** Lists what a complete snapshot holds; written last. */
const MANIFEST = "attune-snapshot.json";
const CONFIGURATION = new Set([
  "tokenizer.json",
  "tokenizer_config.json",
  "preprocessor_config.json",
  "config.json",
  "modules.json",
  "sentence_bert_config.json",
]);
/** Configuration of a module of sentence-transformers, such as 1_Pooling/config.json. */
const MODULE_CONFIGURATION = /^\d+_\w+\/config\.json$/;

export interface HubRepository {
  /** ORGANISATION/REPOSITORY */
  repository: string;
  /** A branch, a tag or a commit. */
  revision: string;
}

export interface HubOptions {
  cacheDirectory: string;
  log?: (message: string) => void;
  signal?: AbortSignal;
  onProgress?: (progress: PreparationProgress) => void;
}

export interface HubSnapshot {
  /** A directory as `describeDirectory` reads it. */
  directory: string;
  /** The specification with the revision resolved to its commit. */
  id: string;
}

interface Manifest {
  repository: string;
  commit: string;
  files: { path: string; size: number }[];
}

/**
 * Fetches an encoder from the Hugging Face hub into the cache, once. A branch or tag is resolved to its commit the first
 * time, and stays at that commit in this cache; a specification with another revision gets another.
 * `HF_ENDPOINT` names another hub, `HF_TOKEN` opens private repositories.
 * @throws unknown_encoder when the repository or revision cannot be found or reached; invalid_encoder when it holds no
 * ONNX encoder or arrives damaged.
 */
export async function fetchFromHub(wanted: HubRepository, options: HubOptions): Promise<HubSnapshot> {
  const root = join(options.cacheDirectory, "hub", wanted.repository.replace("/", "--"));
  const hub = new Hub(wanted, options);
  const commit = await resolveCommit(hub, wanted, join(root, "refs", encodeURIComponent(wanted.revision)));
  const directory = join(root, "snapshots", commit);
  const snapshot = { directory, id: `hf:${wanted.repository}@${commit}` };
  if (await isComplete(directory)) return snapshot;
  await withLock(join(root, `${commit}.lock`), options.signal, async () => {
    if (!(await isComplete(directory))) await fetchSnapshot(hub, commit, directory);
  });
  return snapshot;
}

async function resolveCommit(hub: Hub, { revision }: HubRepository, refPath: string): Promise<string> {
  if (COMMIT.test(revision)) return revision;
  const known = (await readIfPresent(refPath))?.trim();
  if (known !== undefined && COMMIT.test(known)) return known;
  const commit = await hub.commitOf(revision);
  await writeFileAtomic(refPath, `${commit}\n`);
  return commit;
}

async function isComplete(directory: string): Promise<boolean> {
  const text = await readIfPresent(join(directory, MANIFEST));
  if (text === undefined) return false;
  const { files } = parseManifest(text);
  const sizes = await Promise.all(files.map(({ path }) => stat(join(directory, path)).catch(() => undefined)));
  return files.length > 0 && files.every((file, index) => sizes[index]?.size === file.size);
}

/** A damaged manifest lists nothing: the files are then fetched again. */
function parseManifest(text: string): Pick<Manifest, "files"> {
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    return { files: [] };
  }
}

async function fetchSnapshot(hub: Hub, commit: string, directory: string): Promise<void> {
  const listed = (await hub.list(commit)).filter(({ type }) => type === "file");
  const files = chooseFiles(listed, hub.name, await isTimm(hub, commit, directory, listed));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  hub.log(`Fetching ${hub.name} at ${commit}: ${files.length} files, ${(total / 1e6).toFixed(1)} MB.`);
  let before = 0;
  for (const file of files) {
    await download(hub.remote(file, commit), join(directory, file.path), {
      fetch: hub.fetch,
      signal: hub.signal,
      onProgress: (done) => hub.report(before + done, total),
    });
    before += file.size;
  }
  const manifest: Manifest = {
    repository: hub.name,
    commit,
    files: files.map(({ path, size }) => ({ path, size })),
  };
  await writeFileAtomic(join(directory, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Whether the repository is one of timm; asked only where no other file says what it is, by its config.json. */
async function isTimm(hub: Hub, commit: string, directory: string, files: readonly ListFileEntry[]): Promise<boolean> {
  const config = files.find(({ path }) => path === "config.json");
  const known = files.some(({ path }) => path === "tokenizer.json" || path === "preprocessor_config.json");
  if (known || config === undefined) return false;
  const path = join(directory, config.path);
  await download(hub.remote(config, commit), path, { fetch: hub.fetch, signal: hub.signal });
  return isTimmConfig(await readJson(path));
}

/** The files an encoder needs: its models with their external data, the tokenizer, and the configuration. */
function chooseFiles(files: readonly ListFileEntry[], name: string, timm: boolean): ListFileEntry[] {
  const layout = layoutOf(new Set(files.map(({ path }) => path)), `The repository ${name}`, timm);
  const models = [layout.image, layout.text].filter((model) => model !== undefined);
  // "onnx/model.onnx_data" belongs to the model; a path that goes on with a folder does not.
  const ofModel = (path: string) =>
    models.some((model) => path.startsWith(model) && !path.slice(model.length).includes("/"));
  return files.filter(({ path }) => ofModel(path) || CONFIGURATION.has(path) || MODULE_CONFIGURATION.test(path));
}

/** The requests to one repository of a hub. */
class Hub {
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  readonly #endpoint = (process.env.HF_ENDPOINT || DEFAULT_ENDPOINT).replace(/\/+$/, "");

  constructor(
    { repository }: HubRepository,
    private readonly options: HubOptions,
  ) {
    this.name = repository;
    this.signal = options.signal;
  }

  /** Like the global fetch, with the token for the hub itself; it is not sent on to where the hub redirects. */
  readonly fetch: typeof fetch = (input, init = {}) => {
    const headers = new Headers(init.headers);
    const token = process.env.HF_TOKEN;
    const url = input instanceof Request ? input.url : String(input);
    if (token && new URL(url).origin === new URL(this.#endpoint).origin)
      headers.set("Authorization", `Bearer ${token}`);
    return fetch(input, { ...init, headers, signal: init.signal ?? this.signal });
  };

  async commitOf(revision: string): Promise<string> {
    const info = await this.#ask(`revision ${revision}`, () =>
      modelInfo({
        name: this.name,
        revision,
        additionalFields: ["sha"],
        hubUrl: this.#endpoint,
        fetch: this.fetch,
      }),
    );
    if (COMMIT.test(info.sha)) return info.sha;
    throw new AttuneError(
      "unknown_encoder",
      `${this.#endpoint} gave no commit for revision ${revision} of ${this.name}.`,
    );
  }

  list(commit: string): Promise<ListFileEntry[]> {
    return this.#ask(`the files at ${commit}`, async () => {
      const files: ListFileEntry[] = [];
      const repo = { type: "model" as const, name: this.name };
      for await (const file of listFiles({
        repo,
        revision: commit,
        recursive: true,
        hubUrl: this.#endpoint,
        fetch: this.fetch,
      })) {
        files.push(file);
      }
      return files;
    });
  }

  remote({ path, size, oid, lfs }: ListFileEntry, commit: string): RemoteFile {
    const url = `${this.#endpoint}/${this.name}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
    if (lfs !== undefined) return { url, size: lfs.size, checksum: { kind: "sha256", hex: lfs.oid } };
    return { url, size, checksum: { kind: "git-blob", hex: oid ?? "" } };
  }

  log(message: string): void {
    this.options.log?.(message);
  }

  report(done: number, total: number): void {
    this.options.onProgress?.({ what: `the encoder ${this.name}`, done, total, unit: "bytes" });
  }

  /** Turns what the hub or the network answers into words for the person who named the repository. */
  async #ask<Answer>(what: string, question: () => Promise<Answer>): Promise<Answer> {
    try {
      return await question();
    } catch (cause) {
      this.signal?.throwIfAborted();
      throw new AttuneError("unknown_encoder", `${what} of ${this.name}: ${this.#explain(cause)}`, { cause });
    }
  }

  #explain(error: unknown): string {
    if (error instanceof HubApiError) {
      if (error.statusCode === 401 || error.statusCode === 403) {
        return `${this.#endpoint} refuses access; a private or gated repository needs a token in HF_TOKEN. Also check the spelling.`;
      }
      if (error.statusCode === 404) return `${this.#endpoint} does not know it; check the spelling and the revision.`;
      return `${this.#endpoint} answered ${error.statusCode}.`;
    }
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
    return `${this.#endpoint} cannot be reached (${why}); HF_ENDPOINT may name a mirror.`;
  }
}
