import { AttuneError } from "../../errors/index.js";
import type { ModelProto } from "../format/proto.js";
import { checkTensorProto, type TensorData, tensorToProto } from "../format/tensor-proto.js";
import { formatShape, sameShape } from "../shape.js";

/**
 * The same model with other data in some initializers; neither the given model nor its data is touched.
 * @throws invalid_model for a name that is no initializer, or data of another type or shape
 */
export function withInitializers(model: ModelProto, tensors: ReadonlyMap<string, TensorData>): ModelProto {
  const left = new Set(tensors.keys());
  const initializer = (model.graph?.initializer ?? []).map((proto) => {
    const { name = "" } = proto;
    const tensor = tensors.get(name);
    if (tensor === undefined) return proto;
    left.delete(name);
    const { dtype, shape } = checkTensorProto(proto);
    if (tensor.dtype !== dtype || !sameShape(tensor.shape, shape)) {
      throw new AttuneError(
        "invalid_model",
        `The initializer "${name}" is ${dtype} ${formatShape(shape)}; got ${tensor.dtype} ${formatShape(tensor.shape)}.`,
      );
    }
    return { ...proto, ...tensorToProto(name, tensor), floatData: [], doubleData: [], int32Data: [], int64Data: [] };
  });
  for (const name of left) throw new AttuneError("invalid_model", `The model has no initializer "${name}".`);
  return { ...model, graph: { ...model.graph, initializer } };
}
