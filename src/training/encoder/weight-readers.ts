import type { ModelProto, NodeProto } from "../../onnx/index.js";

/** A node that reads a weight, and as which of its inputs. */
export interface WeightReader {
  node: NodeProto;
  input: number;
}

/** The nodes that read each initializer of a model, in graph order. */
export function weightReaders(model: ModelProto): Map<string, WeightReader[]> {
  const readers = new Map<string, WeightReader[]>();
  for (const { name } of model.graph?.initializer ?? []) readers.set(name ?? "", []);
  for (const node of model.graph?.node ?? []) {
    for (const [input, name] of (node.input ?? []).entries()) readers.get(name)?.push({ node, input });
  }
  return readers;
}

/** Whether all that reads a weight are matrix products. */
export function isMatrixOfProducts(readers: readonly WeightReader[]): boolean {
  return readers.length > 0 && readers.every(({ node, input }) => isProduct(node) && input < 2);
}

/** Whether a weight is a table that rows are looked up in, as token and position embeddings are. */
export function isLookUpTable(readers: readonly WeightReader[]): boolean {
  return readers.some(({ node, input }) => node.opType === "Gather" && input === 0);
}

function isProduct({ opType }: NodeProto): boolean {
  return opType === "MatMul" || opType === "Gemm";
}

/**
 * The layer that a weight belongs to, by the names that exporters give: what comes before and with the first number of its path, as
 * in `encoder.layer.11` or `layer_1`, else the first part of it, as in `pooler`. A weight whose own name tells nothing
 * (`onnx::MatMul_397`) is named by the node that reads it.
 */
export function layerOf(weight: string, readers: readonly WeightReader[]): string {
  const telling = weight.includes("::") || !/[./]/.test(weight) ? (readers[0]?.node.name ?? weight) : weight;
  const parts = telling.split(/[./]/).filter((part) => part !== "");
  // The last part names the weight or the operator itself.
  const path = parts.length > 1 ? parts.slice(0, -1) : parts;
  const numbered = path.findIndex((part) => /\d$/.test(part));
  return path.slice(0, numbered < 0 ? 1 : numbered + 1).join(".");
}
