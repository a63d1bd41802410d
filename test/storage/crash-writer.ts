/* Run as a child process: writes items as a collection does (row, sync, records) and prints the ids it got acknowledged, until killed. */
import { writeSync } from "node:fs";
import { baseVectorsFile, Storage, VectorFile } from "../../storage/index.js";
import { crashItem, crashRow, DIMENSIONS } from "./crash-item.js";

const [directory = "", first = "0"] = process.argv.slice(2);
const storage = await Storage.open(directory);
const { items } = storage.collection("crash");
const vectors = await VectorFile.open(baseVectorsFile(storage.collectionDirectory("crash"), 1), DIMENSIONS);

let next = Number(first);
async function writer(): Promise<void> {
  for (;;) {
    const labels = [next, next + 1, next + 2];
    next += labels.length;
    await vectors.write(labels, Float32Array.from(labels.flatMap(crashRow)));
    await vectors.sync();
    await storage.write(labels.map((label) => items.put(`item ${label}`, crashItem(label))));
    // Straight to the pipe: console.log may still hold lines back when the process is killed.
    for (const label of labels) writeSync(1, `${label}\n`);
  }
}
await Promise.all(Array.from({ length: 8 }, writer));
