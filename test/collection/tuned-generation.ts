import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../src/vector/index.js";
import { encoderFile, generationDirectory, Storage } from "../../storage/index.js";
import { bertTokenizer, tinyModel, VOCABULARY, writeEncoder } from "../encoder/support/tiny-encoder.js";

/** A folder with a tiny text encoder; returns its specification. */
export function tinyEncoder(directory: string, seed: number): string {
  const folder = join(directory, `encoder-${seed}`);
  writeEncoder(folder, {
    "model.onnx": tinyModel({ seed }).bytes,
    "tokenizer.json": bertTokenizer(),
    "config.json": { max_position_embeddings: 64 },
  });
  return `file:${folder}`;
}

/** Gives a collection of a closed database a generation 1 whose tuned encoder is the tiny one of `seed`, with no rows yet. */
export async function addTunedGeneration(data: string, collection: string, seed: number): Promise<void> {
  const storage = await Storage.open(data);
  const record = (await storage.collections.get(collection))!;
  const directory = storage.collectionDirectory(record.uid);
  mkdirSync(generationDirectory(directory, 1), { recursive: true });
  writeFileSync(encoderFile(directory, 1), tinyModel({ seed }).bytes);
  const generation = { number: 1, createdAt: new Date().toISOString(), scope: "encoder", rowsSequence: 0, items: 0 };
  await storage.write([
    storage.collections.put(collection, { ...record, nextGeneration: 2 }),
    storage.collection(record.uid).generations.put(1, generation),
  ]);
  await storage.close();
}

/** One to six words that the tiny encoder knows. */
export function words(random: Random): string {
  const known = VOCABULARY.slice(4).filter((word) => !word.startsWith("##"));
  return Array.from({ length: 1 + random.integer(6) }, () => known[random.integer(known.length)]).join(" ");
}

/** Texts of a class word among noise words, in which the tiny encoder sees noise first: what it has to learn is to look at the class. */
export function classTexts(random: Random, count: number): { id: string; text: string; class: string }[] {
  const [classes, noise] = [
    ["card", "lost", "my", "pay"],
    ["the", "where", "is", "hello", "world"],
  ];
  return Array.from({ length: count }, (_, i) => {
    const word = classes[i % classes.length]!;
    const text = Array.from({ length: 4 }, () => noise[random.integer(noise.length)]!);
    text.splice(random.integer(5), 0, word);
    return { id: `i${i}`, text: text.join(" "), class: word };
  });
}
