import { stat } from "node:fs/promises";
import type { GenerationList } from "../../../schemas/index.js";
import { diskUsage, encoderFile, generationDirectory, headFile } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { CollectionState, StoredGeneration } from "../collection-state.js";

/** The ONNX file of a generation. */
export interface GenerationModel {
  path: string;
  bytes: number;
  /** A name for a copy of it. */
  name: string;
  /** SHA-256 in hexadecimal; unknown of a generation made by an older version. */
  checksum: string | undefined;
}

/** What is kept of each generation, oldest first. */
export async function listGenerations({ tables, active, table, directory }: CollectionState): Promise<GenerationList> {
  const generations: GenerationList["generations"] = [];
  for await (const [
    generation,
    { rowsSequence: _, number: __, breadth: ___, ...stored },
  ] of tables.generations.entries()) {
    const isActive = generation === active.number;
    generations.push({
      generation,
      active: isActive,
      ...stored,
      items: isActive ? table.count : stored.items,
      bytes: await diskUsage(generationDirectory(directory, generation)),
    });
  }
  return { generations };
}

/** @throws generation_not_found */
export async function findGeneration(generation: number, { tables }: CollectionState): Promise<StoredGeneration> {
  const stored = await tables.generations.get(generation);
  if (stored === undefined) throw noGeneration(generation);
  return stored;
}

/** Its tuned encoder, or its head. @throws generation_not_found, model_not_found */
export async function findModel(generation: number, state: CollectionState): Promise<GenerationModel> {
  const { scope, checksum } = await findGeneration(generation, state);
  if (scope === null) {
    throw new AttuneError(
      "model_not_found",
      `Generation ${generation} is the untuned one and has no model of its own; generations of a fine-tune have.`,
    );
  }
  const path = modelFile(scope, state.directory, generation);
  const { size } = await stat(path).catch(() => {
    throw noGeneration(generation);
  });
  return { path, bytes: size, name: `${state.record.name}-${generation}-${scope}.onnx`, checksum };
}

export function modelFile(scope: "head" | "encoder", directory: string, generation: number): string {
  return scope === "head" ? headFile(directory, generation) : encoderFile(directory, generation);
}

function noGeneration(generation: number): AttuneError {
  return new AttuneError(
    "generation_not_found",
    `There is no generation ${generation}; it never was, or it was collected.`,
  );
}
