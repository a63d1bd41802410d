import { int64ToNumber } from "../int64.js";
import type { ModelProto } from "../proto.js";

/** The version of ONNX's own operator set that a model uses, or 0 where it names none. */
export function opsetOf(model: ModelProto): number {
  const own = (model.opsetImport ?? []).find(({ domain = "" }) => domain === "" || domain === "ai.onnx");
  return own?.version === undefined ? 0 : int64ToNumber(own.version);
}
