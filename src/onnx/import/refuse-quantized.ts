import { AttuneError } from "../../errors/index.js";
import type { NodeProto } from "../format/proto.js";

const QUANTIZED = /^(Q[A-Z]\w+|\w*[Qq]uantize\w*|\w+Integer\w*|\w+NBits|MatMulBnb4)$/;

/**
 * Refuses operators on quantised numbers: their rounding has no slope to train along.
 * @throws invalid_model naming the node
 */
export function refuseQuantized({ name = "", opType = "", domain = "" }: NodeProto): void {
  if (!QUANTIZED.test(opType) || !["", "ai.onnx", "com.microsoft"].includes(domain)) return;
  throw new AttuneError(
    "invalid_model",
    `Node "${name}" (${opType}): the model is quantised, and cannot be trained. Use the float32 export, often called model.onnx.`,
  );
}
