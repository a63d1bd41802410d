import { AttuneError } from "../errors/index.js";
import type { GraphBuilder, ImportedModel, Value } from "../onnx/index.js";
import type { ModelDescription } from "./model-description.js";
import { chooseOutput } from "./outputs.js";

/** Squared lengths below this count as this, so that a row of zeros stays as it is and its gradient is finite. */
const SMALLEST_SQUARED_LENGTH = 1e-24;
/** Below every number that a model gives. */
const LOWEST = -3e38;

/**
 * The embeddings (n, dimensions) that an encoder makes of its model's output, as nodes of the graph that the model was imported
 * into: pooled over tokens or patches and scaled to length 1 as the encoder itself does outside of the model.
 * @throws invalid_encoder when the model has no output that holds an embedding, or one of another rank
 */
export function embeddingGraph(graph: GraphBuilder, imported: ImportedModel, description: ModelDescription): Value {
  const name = chooseOutput([...imported.outputs.keys()], description);
  const output = imported.outputs.get(name);
  if (output === undefined) throw unusable(description, `it has no output ${name}`);
  return graph.scope("embedding", () => {
    const pooled = output.shape.length === 2 ? output : pool(graph, imported, description, output);
    return description.normalize ? unitRows(graph, pooled) : pooled;
  });
}

/** Pools (n, tokens, dimensions), padding left out, or (n, dimensions, height, width). */
function pool(graph: GraphBuilder, imported: ImportedModel, description: ModelDescription, output: Value): Value {
  const rank = output.shape.length;
  if (rank === 4 && description.modality === "image") return graph.reduceMean(output, [2, 3]);
  if (rank !== 3) throw unusable(description, `its output has the shape [${output.shape}]; expected rank 2 or 3`);
  if (description.pooling === "cls") return graph.gather(output, 0, 1);
  const mask = maskOf(graph, imported, description);
  switch (description.pooling) {
    case "mean":
      return mask === undefined ? graph.reduceMean(output, [1]) : meanOfTokens(graph, output, mask);
    case "max":
      return graph.reduceMax(mask === undefined ? output : onlyTokens(graph, output, mask), [1]);
    case "last":
      return mask === undefined ? graph.gather(output, -1, 1) : lastToken(graph, output, mask);
  }
}

/** 1 for a token and 0 for padding (n, tokens), float32; undefined where nothing is padded. */
function maskOf(graph: GraphBuilder, imported: ImportedModel, description: ModelDescription): Value | undefined {
  if (description.modality === "image") return undefined;
  const mask = imported.inputs.get("attention_mask");
  if (mask !== undefined) return graph.cast(mask, "float32");
  if (description.padToMaximum !== true) return undefined;
  throw unusable(description, "it pads every text without a mask and gives an embedding for each token");
}

function meanOfTokens(graph: GraphBuilder, output: Value, mask: Value): Value {
  const sum = graph.reduceSum(graph.mul(output, graph.unsqueeze(mask, [2])), [1]);
  return graph.div(sum, graph.reduceSum(mask, [1], true));
}

function onlyTokens(graph: GraphBuilder, output: Value, mask: Value): Value {
  return graph.where(graph.unsqueeze(graph.greater(mask, 0), [2]), output, LOWEST);
}

function lastToken(graph: GraphBuilder, output: Value, mask: Value): Value {
  const places = graph.cast(graph.range(0, graph.gather(graph.shape(mask), 1)), "float32");
  const last = graph.sub(graph.reduceSum(mask, [1], true), 1);
  const isLast = graph.cast(graph.equal(places, last), "float32");
  return graph.reduceSum(graph.mul(output, graph.unsqueeze(isLast, [2])), [1]);
}

function unitRows(graph: GraphBuilder, rows: Value): Value {
  const squares = graph.reduceSum(graph.mul(rows, rows), [1], true);
  return graph.div(rows, graph.sqrt(graph.max(squares, SMALLEST_SQUARED_LENGTH)));
}

function unusable({ modelPath }: ModelDescription, what: string): AttuneError {
  return new AttuneError("invalid_encoder", `${modelPath} cannot be trained: ${what}.`);
}
