import { readFile } from "node:fs/promises";
import { chooseOutput, type ModelDescription, type ModelInputs, openModelInputs } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import { decodeModel, type ModelProto, normalizeModel } from "../../onnx/index.js";
import type { Random } from "../../vector/random.js";
import type { FineTuneOptions } from "../task/options.js";
import type { EncoderGraphInput, TunableEncoder } from "./encoder-graph.js";
import { chooseWeights } from "./trained-weights.js";

/**
 * Reads an encoder's model and chooses what is trained of it.
 * @param dimensions of an embedding
 * @throws invalid_model, invalid_encoder, invalid_setting
 */
export async function openTunableEncoder(
  description: ModelDescription,
  dimensions: number,
  options: Pick<FineTuneOptions, "parameters" | "layers" | "rank" | "targets">,
  random: Random,
): Promise<{ encoder: TunableEncoder; inputs: ModelInputs }> {
  const model = normalizeModel(decodeModel(await readFile(description.modelPath)));
  const output = chooseOutput(
    (model.graph?.output ?? []).map(({ name = "" }) => name),
    description,
  );
  const trained = chooseWeights(model, output, options, random);
  const inputs = await openModelInputs(description, inputNames(model));
  return { encoder: { model, description, inputs: graphInputs(inputs, description), dimensions, trained }, inputs };
}

function inputNames({ graph }: ModelProto): string[] {
  // Until version 4 of the format every initializer was listed as an input too.
  const stored = new Set((graph?.initializer ?? []).map(({ name }) => name));
  return (graph?.input ?? []).flatMap(({ name = "" }) => (stored.has(name) ? [] : [name]));
}

/** The inputs as they are fed: sizes of tokens vary from batch to batch, those of images do not. */
function graphInputs(inputs: ModelInputs, description: ModelDescription): EncoderGraphInput[] {
  const varies = description.modality === "text" && description.padToMaximum !== true;
  return Object.entries(inputs.feeds(inputs.probes())).map(([name, { dtype, shape }]) => {
    if (dtype !== "int64" && dtype !== "float32") {
      throw new AttuneError(
        "invalid_encoder",
        `${description.modelPath} cannot be trained: its input ${name} is ${dtype}.`,
      );
    }
    return { name, dtype, shape: ["rows", ...shape.slice(1).map((size) => (varies ? "tokens" : size))] };
  });
}
