import { int64ToNumber } from "../format/int64.js";
import type { OperatorSetIdProto } from "../format/proto.js";

/** The version of ONNX's own operator set that a model or function uses, or 0 where it names none. */
export function opsetOf({ opsetImport = [] }: { opsetImport?: OperatorSetIdProto[] }): number {
  const own = opsetImport.find(({ domain = "" }) => domain === "" || domain === "ai.onnx");
  return own?.version === undefined ? 0 : int64ToNumber(own.version);
}
