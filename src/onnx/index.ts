export { differentiate } from "./differentiate.js";
export { decodeModel, encodeModel } from "./format/codec.js";
export type { DataType, TypedArray } from "./format/data-type.js";
export { type Int64, int64Of, int64ToBigInt, int64ToNumber } from "./format/int64.js";
export type * from "./format/proto.js";
export { type TensorData, tensorOfProto, tensorToProto } from "./format/tensor-proto.js";
export { differentiableOperators } from "./gradients/index.js";
export type { GraphOptions, NodeOptions } from "./graph.js";
export { GraphBuilder, type Integers, type Operand } from "./graph-builder.js";
export {
  type ImportedModel,
  type ImportOptions,
  importModel,
  normalizeModel,
  type TrainableWeight,
  trainableWeights,
  withInitializers,
} from "./import/index.js";
export { type ScanOptions, scanModel } from "./scan.js";
export type { Dimension, Shape } from "./shape.js";
export {
  type Attributes,
  type AttributeValue,
  FloatAttribute,
  float,
  type GraphNode,
  type Value,
  type ValueType,
} from "./value.js";
