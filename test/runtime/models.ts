import { differentiate, encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import type { Tensor } from "../../src/runtime/index.js";

/** y = x W, W of ones of (3, 2), and z = -y. */
export function smallModel(): Uint8Array {
  const graph = new GraphBuilder("small");
  const x = graph.input("x", "float32", ["n", 3]);
  const w = graph.initializer("w", { dtype: "float32", shape: [3, 2], data: new Float32Array(6).fill(1) });
  const y = graph.matMul(x, w);
  graph.output(y, "y");
  graph.output(graph.neg(y), "z");
  return encodeModel(graph.model());
}

/** A chain of products long enough to be seen on a clock: x is (size, size), all weights the identity. */
export function slowModel(size: number, depth: number): Uint8Array {
  const graph = new GraphBuilder("slow");
  let x = graph.input("x", "float32", [size, size]);
  const data = new Float32Array(size * size);
  for (let row = 0; row < size; row++) data[row * size + row] = 1;
  const identity = graph.initializer("identity", { dtype: "float32", shape: [size, size], data });
  for (let step = 0; step < depth; step++) x = graph.matMul(x, identity);
  graph.output(x, "y");
  return encodeModel(graph.model());
}

/** A step of gradient descent on sum((x W)^2): in `x` and `w`, out `loss` and `next`. */
export function descentModel(dimensions: number): Uint8Array {
  const graph = new GraphBuilder("descent");
  const x = graph.input("x", "float32", [64, dimensions]);
  const w = graph.input("w", "float32", [dimensions, dimensions]);
  const loss = graph.reduceMean(graph.pow(graph.matMul(x, w), 2));
  const [gradient = w] = differentiate(graph, loss, [w]);
  graph.output(loss, "loss");
  graph.output(graph.sub(w, gradient), "next");
  return encodeModel(graph.model());
}

export function tensor(shape: number[], at: (index: number) => number): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: "float32", shape, data: Float32Array.from({ length }, (_, index) => at(index)) };
}
