import { join } from "node:path";
import { builtModel, type PreparedModel, type PrepareOptions } from "../built-model.js";
import { sha256 } from "../files.js";
import type { ImagePreprocessing } from "../inputs/image-preprocessing.js";
import type { ImageModelDescription } from "../model-description.js";
import { IMAGE_SIZE, PIXEL_DEVIATION, PIXEL_MEAN } from "./architecture.js";
import { buildPatchCnn } from "./graph.js";

/** Counts changes of the net or its weights. It stands in the file's name, so that a model of another version is never used. */
const REVISION = 1;
const WHAT = "the built-in image encoder patch-cnn";

/** The whole image, whatever its shape, brought to the size of the net, with smaller ones enlarged. */
const PREPROCESSING: ImagePreprocessing = {
  size: { width: IMAGE_SIZE, height: IMAGE_SIZE },
  resize: { width: IMAGE_SIZE, height: IMAGE_SIZE },
  resampling: "bilinear",
  scale: 1 / 255,
  mean: [PIXEL_MEAN, PIXEL_MEAN, PIXEL_MEAN],
  std: [PIXEL_DEVIATION, PIXEL_DEVIATION, PIXEL_DEVIATION],
};

/**
 * Makes sure that the ONNX file of `patch-cnn` is in the cache: builds it, within seconds, when it is missing, of an older version,
 * or does not fit its checksum. It is the same on every machine.
 */
export async function preparePatchCnn(options: PrepareOptions): Promise<PreparedModel> {
  const { signal, onProgress } = options;
  const steps = (done: number) => onProgress?.({ what: WHAT, done, total: 1, unit: "steps" });
  return builtModel(join(options.cacheDirectory, "patch-cnn", `patch-cnn-r${REVISION}.onnx`), async () => {
    signal?.throwIfAborted();
    steps(0);
    const model = buildPatchCnn();
    steps(1);
    return model;
  });
}

/** What the encoder's thread needs to open `patch-cnn`; builds the model when needed. */
export async function describePatchCnn(options: PrepareOptions): Promise<ImageModelDescription> {
  const { path, checksum } = await preparePatchCnn(options);
  return {
    id: "patch-cnn",
    modality: "image",
    modelPath: path,
    outputs: ["embedding"],
    preprocessing: PREPROCESSING,
    // The net gives one embedding, of length 1 already.
    pooling: "mean",
    normalize: true,
    // Its weights are random: the gate's own gain on Omniglot without labels is 1.12, with 1e-4 .80.
    learningRate: 1e-3,
    checksums: { weights: checksum, preprocessing: sha256(JSON.stringify(PREPROCESSING)) },
  };
}
