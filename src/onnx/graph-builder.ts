import { AttuneError } from "../errors/index.js";
import { type DataType, dataTypeCode, elementsOf } from "./format/data-type.js";
import { tensorToProto } from "./format/tensor-proto.js";
import { ImageGraph } from "./image-graph.js";
import { formatShape, mayEqual, type Shape } from "./shape.js";
import { float, type Value } from "./value.js";

/** A value, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Value | number;
/** A list of integers: constants, or a value computed by the graph. */
export type Integers = Value | readonly number[];

/**
 * Builds a typed ONNX graph: every method adds one operator of the ONNX standard and gives its result, with the data type and
 * shape inferred and checked. Every method throws `invalid_model`, naming the node, where types or shapes do not fit.
 */
export class GraphBuilder extends ImageGraph {
  // Arithmetic, with broadcasting.

  add(a: Operand, b: Operand): Value {
    return this.#binary("Add", a, b);
  }

  sub(a: Operand, b: Operand): Value {
    return this.#binary("Sub", a, b);
  }

  mul(a: Operand, b: Operand): Value {
    return this.#binary("Mul", a, b);
  }

  /** Quotient; of integers rounded towards 0. */
  div(a: Operand, b: Operand): Value {
    return this.#binary("Div", a, b);
  }

  pow(a: Operand, b: Operand): Value {
    return this.#binary("Pow", a, b);
  }

  /** The larger of two values, element by element. */
  max(a: Operand, b: Operand): Value {
    return this.#binary("Max", a, b);
  }

  /** The smaller of two values, element by element. */
  min(a: Operand, b: Operand): Value {
    return this.#binary("Min", a, b);
  }

  /** Sum of at least one value. Not the operator Sum: the WebGPU provider has none, and would fetch every value. */
  sum(values: readonly Value[]): Value {
    return values.reduce((sum, value) => this.add(sum, value));
  }

  neg(x: Value): Value {
    return this.operator("Neg", [x]);
  }

  abs(x: Value): Value {
    return this.operator("Abs", [x]);
  }

  sign(x: Value): Value {
    return this.operator("Sign", [x]);
  }

  /** Square root. Its gradient at 0 is defined as 0. */
  sqrt(x: Value): Value {
    return this.operator("Sqrt", [x]);
  }

  exp(x: Value): Value {
    return this.operator("Exp", [x]);
  }

  log(x: Value): Value {
    return this.operator("Log", [x]);
  }

  reciprocal(x: Value): Value {
    return this.operator("Reciprocal", [x]);
  }

  erf(x: Value): Value {
    return this.operator("Erf", [x]);
  }

  sin(x: Value): Value {
    return this.operator("Sin", [x]);
  }

  cos(x: Value): Value {
    return this.operator("Cos", [x]);
  }

  floor(x: Value): Value {
    return this.operator("Floor", [x]);
  }

  relu(x: Value): Value {
    return this.operator("Relu", [x]);
  }

  sigmoid(x: Value): Value {
    return this.operator("Sigmoid", [x]);
  }

  tanh(x: Value): Value {
    return this.operator("Tanh", [x]);
  }

  /** log(1 + exp(x)). */
  softplus(x: Value): Value {
    return this.operator("Softplus", [x]);
  }

  /** Limits to lowest..highest; either bound may be left out. */
  clip(x: Value, lowest?: number, highest?: number): Value {
    const bound = (value: number | undefined) => (value === undefined ? undefined : this.constant(value, x.dtype));
    return this.operator("Clip", [x, bound(lowest), bound(highest)]);
  }

  identity(x: Value): Value {
    return this.operator("Identity", [x]);
  }

  cast(x: Value, dtype: DataType): Value {
    return this.operator("Cast", [x], { to: dataTypeCode(dtype) });
  }

  // Comparison and choice.

  greater(a: Operand, b: Operand): Value {
    return this.#binary("Greater", a, b);
  }

  greaterOrEqual(a: Operand, b: Operand): Value {
    return this.#binary("GreaterOrEqual", a, b);
  }

  less(a: Operand, b: Operand): Value {
    return this.#binary("Less", a, b);
  }

  lessOrEqual(a: Operand, b: Operand): Value {
    return this.#binary("LessOrEqual", a, b);
  }

  equal(a: Operand, b: Operand): Value {
    return this.#binary("Equal", a, b);
  }

  and(a: Value, b: Value): Value {
    return this.operator("And", [a, b]);
  }

  or(a: Value, b: Value): Value {
    return this.operator("Or", [a, b]);
  }

  not(x: Value): Value {
    return this.operator("Not", [x]);
  }

  /** `a` where the condition holds, else `b`, with broadcasting. */
  where(condition: Value, a: Operand, b: Operand): Value {
    return this.operator("Where", [condition, ...this.#operands("Where", a, b)]);
  }

  // Matrix products.

  /** Matrix product over the last two axes; the axes before them broadcast (numpy.matmul). */
  matMul(a: Value, b: Value): Value {
    return this.operator("MatMul", [a, b]);
  }

  /**
   * alpha * a' * b' + beta * c of matrices, where ' is an optional transposition.
   * @default alpha 1, beta 1, transA false, transB false
   */
  gemm(
    a: Value,
    b: Value,
    c?: Value,
    options: { alpha?: number; beta?: number; transA?: boolean; transB?: boolean } = {},
  ): Value {
    const { alpha = 1, beta = 1, transA = false, transB = false } = options;
    return this.operator("Gemm", c === undefined ? [a, b] : [a, b, c], {
      alpha: float(alpha),
      beta: float(beta),
      transA: transA ? 1 : 0,
      transB: transB ? 1 : 0,
    });
  }

  // Reductions. Without axes, over all of them.

  reduceSum(x: Value, axes?: readonly number[], keepDims = false): Value {
    return this.#reduce("ReduceSum", x, axes, keepDims);
  }

  reduceMean(x: Value, axes?: readonly number[], keepDims = false): Value {
    return this.#reduce("ReduceMean", x, axes, keepDims);
  }

  reduceMax(x: Value, axes?: readonly number[], keepDims = false): Value {
    return this.#reduce("ReduceMax", x, axes, keepDims);
  }

  reduceMin(x: Value, axes?: readonly number[], keepDims = false): Value {
    return this.#reduce("ReduceMin", x, axes, keepDims);
  }

  /** log(sum(exp(x))), computed without overflow. */
  reduceLogSumExp(x: Value, axes?: readonly number[], keepDims = false): Value {
    return this.#reduce("ReduceLogSumExp", x, axes, keepDims);
  }

  softmax(x: Value, axis = -1): Value {
    return this.operator("Softmax", [x], { axis });
  }

  logSoftmax(x: Value, axis = -1): Value {
    return this.operator("LogSoftmax", [x], { axis });
  }

  /** (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on (Ba, Kiros, Hinton 2016). */
  layerNormalization(x: Value, scale: Value, bias?: Value, options: { axis?: number; epsilon?: number } = {}): Value {
    const { axis = -1, epsilon = 1e-5 } = options;
    const inputs = bias === undefined ? [x, scale] : [x, scale, bias];
    return this.operator("LayerNormalization", inputs, { axis, epsilon: float(epsilon) });
  }

  /** Running sum along an axis. */
  cumSum(x: Value, axis: number, options: { exclusive?: boolean; reverse?: boolean } = {}): Value {
    const { exclusive = false, reverse = false } = options;
    return this.operator("CumSum", [x, this.constant(axis, "int64")], {
      exclusive: exclusive ? 1 : 0,
      reverse: reverse ? 1 : 0,
    });
  }

  /** Position (int64) of the largest element along an axis; the first of several. */
  argMax(x: Value, axis: number, keepDims = false): Value {
    return this.operator("ArgMax", [x], { axis, keepdims: keepDims ? 1 : 0 });
  }

  argMin(x: Value, axis: number, keepDims = false): Value {
    return this.operator("ArgMin", [x], { axis, keepdims: keepDims ? 1 : 0 });
  }

  /** The k largest (or smallest) elements along an axis, in order, and their positions (int64). */
  topK(
    x: Value,
    k: number | Value,
    options: { axis?: number; largest?: boolean } = {},
  ): { values: Value; indices: Value } {
    const { axis = -1, largest = true } = options;
    const count = typeof k === "number" ? this.constant([k], "int64") : k;
    const [values, indices] = this.node("TopK", [x, count], { axis, largest: largest ? 1 : 0, sorted: 1 });
    if (values === undefined || indices === undefined) throw new AttuneError("invalid_model", "TopK has two outputs.");
    return { values, indices };
  }

  // Layout.

  /** @default axes reversed */
  transpose(x: Value, order?: readonly number[]): Value {
    return this.operator("Transpose", [x], { perm: order });
  }

  /** New shape: -1 takes what is left (once), 0 copies the dimension of `x` at this place. */
  reshape(x: Value, shape: Integers): Value {
    return this.operator("Reshape", [x, this.#integers(shape)]);
  }

  /** Broadcasts to a shape. */
  expand(x: Value, shape: Integers): Value {
    return this.operator("Expand", [x, this.#integers(shape)]);
  }

  unsqueeze(x: Value, axes: readonly number[]): Value {
    return this.operator("Unsqueeze", [x, this.#integers(axes)]);
  }

  /** @default all axes of size 1 */
  squeeze(x: Value, axes?: readonly number[]): Value {
    return this.operator("Squeeze", axes === undefined ? [x] : [x, this.#integers(axes)]);
  }

  concat(values: readonly Value[], axis: number): Value {
    return this.operator("Concat", values, { axis });
  }

  /** Parts of the given sizes along an axis. */
  split(x: Value, sizes: readonly number[], axis = 0): Value[] {
    return this.node("Split", [x, this.#integers(sizes)], { axis });
  }

  /** Repeats the tensor along each axis. */
  tile(x: Value, repeats: Integers): Value {
    return this.operator("Tile", [x, this.#integers(repeats)]);
  }

  /** Elements from `starts` up to `ends` (exclusive, negative from the end, clamped) along `axes`. @default axes 0.., steps 1 */
  slice(x: Value, starts: Integers, ends: Integers, axes?: readonly number[], steps?: Integers): Value {
    const count = "name" in starts ? starts.shape[0] : starts.length;
    const inputs = [x, this.#integers(starts), this.#integers(ends)];
    if (axes !== undefined || steps !== undefined) {
      const all = Array.from({ length: typeof count === "number" ? count : 0 }, (_, axis) => axis);
      inputs.push(this.#integers(axes ?? all));
    }
    if (steps !== undefined) inputs.push(this.#integers(steps));
    return this.operator("Slice", inputs);
  }

  /** The upper triangle of the last two axes (from the k-th diagonal on), or the lower one. */
  trilu(x: Value, options: { upper?: boolean; k?: number } = {}): Value {
    const { upper = true, k = 0 } = options;
    return this.operator("Trilu", [x, this.constant(k, "int64")], { upper: upper ? 1 : 0 });
  }

  /**
   * The same value with dimensions named otherwise, where the caller knows what inference cannot: for instance that two dimensions
   * computed in different ways are equal. Known sizes must stay as they are.
   */
  withShape(x: Value, shape: Shape): Value {
    if (!mayEqual(x.shape, shape)) {
      throw new AttuneError(
        "invalid_model",
        `"${x.name}" of shape ${formatShape(x.shape)} cannot have the shape ${formatShape(shape)}.`,
      );
    }
    const [renamed = x] = this.node("Identity", [x], {}, [{ dtype: x.dtype, shape }]);
    return renamed;
  }

  // Selection.

  /** Slices of `x` along an axis at integer positions. A number drops the axis. */
  gather(x: Value, indices: Value | number | readonly number[], axis = 0): Value {
    const positions = isValue(indices) ? indices : this.constant(indices, "int64");
    return this.operator("Gather", [x, positions], { axis });
  }

  /** Elements of `x` at positions along an axis; the indices have the shape of the result. */
  gatherElements(x: Value, indices: Value, axis = 0): Value {
    return this.operator("GatherElements", [x, indices], { axis });
  }

  /** `x` with the updates written, or added, at positions along an axis. */
  scatterElements(
    x: Value,
    indices: Value,
    updates: Value,
    options: { axis?: number; reduction?: "none" | "add" } = {},
  ): Value {
    const { axis = 0, reduction = "none" } = options;
    return this.operator("ScatterElements", [x, indices, updates], { axis, reduction });
  }

  /** A row for every index: `on` at its position, else `off`. */
  oneHot(indices: Value, depth: number, dtype: DataType = "float32", axis = -1): Value {
    return this.operator("OneHot", [indices, this.constant(depth, "int64"), this.constant([0, 1], dtype)], { axis });
  }

  /** Positions of the elements that are not 0: (rank, count). */
  nonZero(x: Value): Value {
    return this.operator("NonZero", [x]);
  }

  // Shapes.

  /** The shape of a tensor, as an int64 vector. */
  shape(x: Value): Value {
    return this.operator("Shape", [x]);
  }

  /** A tensor of one value. */
  constantOfShape(shape: Integers, value: number, dtype: DataType = "float32"): Value {
    const tensor = tensorToProto("", { dtype, shape: [1], data: elementsOf(dtype, [value]) });
    return this.operator("ConstantOfShape", [this.#integers(shape)], { value: { tensor } });
  }

  /** start, start + step, ... below the limit. Numbers count as int64. */
  range(start: Operand, limit: Operand, step: Operand = 1): Value {
    const given = [start, limit, step].find((bound) => typeof bound !== "number");
    const dtype = given === undefined ? "int64" : given.dtype;
    const bounds = [start, limit, step].map((bound) =>
      typeof bound === "number" ? this.constant(bound, dtype) : bound,
    );
    return this.operator("Range", bounds);
  }

  #binary(opType: string, a: Operand, b: Operand): Value {
    return this.operator(opType, this.#operands(opType, a, b));
  }

  #operands(opType: string, a: Operand, b: Operand): [Value, Value] {
    if (typeof a !== "number") return [a, typeof b === "number" ? this.constant(b, a.dtype) : b];
    if (typeof b !== "number") return [this.constant(a, b.dtype), b];
    if (opType === "Where") return [this.constant(a), this.constant(b)];
    throw new AttuneError(
      "invalid_model",
      `${opType} of two numbers, ${a} and ${b}, needs no graph; compute it before.`,
    );
  }

  #integers(list: Integers): Value {
    return isValue(list) ? list : this.constant(list, "int64");
  }

  #reduce(opType: string, x: Value, axes: readonly number[] | undefined, keepDims: boolean): Value {
    const inputs = axes === undefined ? [x] : [x, this.#integers(axes)];
    // An empty list means no axis here, while ONNX takes it for all of them unless told.
    return this.operator(opType, inputs, {
      keepdims: keepDims ? 1 : 0,
      noop_with_empty_axes: axes?.length === 0 ? 1 : 0,
    });
  }
}

function isValue(given: Value | number | readonly number[]): given is Value {
  return typeof given === "object" && "dtype" in given;
}
