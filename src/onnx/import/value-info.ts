import { dataTypeOfCode } from "../format/data-type.js";
import { int64ToNumber } from "../format/int64.js";
import type { ValueInfoProto } from "../format/proto.js";
import type { Dimension } from "../shape.js";
import type { ValueType } from "../value.js";

/**
 * The type that a model states for a value, or undefined where it is no tensor, its rank is unknown, or its type has no plain array.
 *
 * @param named gives the dimension that a name of the model stands for; a dimension without size or name is asked for by `?`
 */
export function typeOfValueInfo(
  info: ValueInfoProto | undefined,
  named: (name: string) => Dimension,
): ValueType | undefined {
  const tensor = info?.type?.tensorType;
  const dtype = dataTypeOfCode(tensor?.elemType ?? 0);
  if (dtype === undefined || tensor?.shape === undefined) return undefined;
  const shape = (tensor.shape.dim ?? []).map(({ dimValue, dimParam = "" }) => {
    const size = dimValue === undefined ? -1 : int64ToNumber(dimValue);
    // Some exporters write -1 or 0 for a size that they do not know.
    return size > 0 ? size : named(dimParam === "" ? "?" : dimParam);
  });
  return { dtype, shape };
}
