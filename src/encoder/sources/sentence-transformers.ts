import { join, normalize } from "node:path";
import { AttuneError } from "../../errors/index.js";
import { isJsonObject, readJson, readJsonObject } from "../files.js";
import type { ModelDescription } from "../model-description.js";

type TokenPooling = ModelDescription["pooling"];

/** Names of the pooling modes in sentence-transformers' `config.json` of a Pooling module: as flags, and as one word. */
const FLAGS: Record<string, TokenPooling | undefined> = {
  pooling_mode_mean_tokens: "mean",
  pooling_mode_cls_token: "cls",
  pooling_mode_lasttoken: "last",
  pooling_mode_max_tokens: "max",
};
const WORDS: Record<string, TokenPooling | undefined> = { mean: "mean", cls: "cls", lasttoken: "last", max: "max" };

export interface PoolingSettings {
  pooling: TokenPooling;
  normalize: boolean;
}

/**
 * How sentence-transformers would pool and normalise, by `modules.json`; without that file `1_Pooling/config.json`
 * alone is heeded, and without either it is the mean of the tokens, not normalised.
 * @throws invalid_encoder when the files ask for something that is not supported, naming the file.
 */
export async function readPoolingSettings(root: string): Promise<PoolingSettings> {
  const path = join(root, "modules.json");
  const modules = await readJson(path);
  if (modules === undefined) {
    const pooling = await readPooling(join(root, "1_Pooling", "config.json"));
    return { pooling: pooling ?? "mean", normalize: false };
  }
  if (!Array.isArray(modules) || !modules.every(isJsonObject)) {
    throw new AttuneError("invalid_encoder", `${path} should hold a list of modules.`);
  }
  const settings: PoolingSettings = { pooling: "mean", normalize: false };
  for (const module of modules) {
    const kind = String(module.type).split(".").at(-1);
    if (kind === "Normalize") settings.normalize = true;
    else if (kind === "Pooling") settings.pooling = await readModulePooling(root, String(module.path ?? ""));
    else if (kind !== "Transformer") {
      throw new AttuneError(
        "invalid_encoder",
        `${path} asks for a module ${kind}; supported are Transformer, Pooling, Normalize.`,
      );
    }
  }
  return settings;
}

async function readModulePooling(root: string, folder: string): Promise<TokenPooling> {
  if (normalize(folder).startsWith("..")) {
    throw new AttuneError("invalid_encoder", `${join(root, "modules.json")} points outside its directory: ${folder}.`);
  }
  const path = join(root, folder, "config.json");
  const pooling = await readPooling(path);
  if (pooling === undefined) throw new AttuneError("invalid_encoder", `${path}, which modules.json names, is missing.`);
  return pooling;
}

/** The pooling that a Pooling module's configuration asks for; undefined when there is no such file. */
export async function readPooling(path: string): Promise<TokenPooling | undefined> {
  const config = await readJsonObject(path);
  if (config === undefined) return undefined;
  const asked =
    typeof config.pooling_mode === "string"
      ? [config.pooling_mode]
      : Object.keys(config).filter((key) => key.startsWith("pooling_mode_") && config[key] === true);
  const pooling = FLAGS[asked[0] ?? ""] ?? WORDS[asked[0] ?? ""];
  if (asked.length === 1 && pooling !== undefined) return pooling;
  throw new AttuneError(
    "invalid_encoder",
    `${path} asks for the pooling ${asked.join(" and ") || "(none)"}; supported is one of mean, cls, lasttoken, max.`,
  );
}
