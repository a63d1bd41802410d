import { AttuneError } from "../../errors/index.js";
import { MAX_OPSET } from "../graph.js";
import type { ModelProto } from "../proto.js";
import { opsetOf } from "./opset.js";

/** Models of older operator sets are refused: their operators differ in too many ways. */
const OLDEST_OPSET = 11;

/**
 * A model made fit for reading and training.
 * @throws invalid_model
 */
export function normalizeModel(model: ModelProto): ModelProto {
  const opset = opsetOf(model);
  if (opset < OLDEST_OPSET || opset > MAX_OPSET) {
    throw new AttuneError(
      "invalid_model",
      `The model uses version ${opset} of the ONNX operator set; ${OLDEST_OPSET} to ${MAX_OPSET} are supported. Export it again with another opset.`,
    );
  }
  return model;
}
