/* Run as a child process, to be killed: stores images, replaces and deletes them, and prints what was acknowledged. */
import { writeSync } from "node:fs";
import { Database } from "../../src/collection/index.js";
import { plain } from "../support/pictures.js";

const [directory = "", encoder = ""] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);
const image = (shade: number) => plain("red", -shade).toString("base64");

const database = await Database.open({ directory, threads: 2 });
await database.createCollection("photos", { modality: "image", encoder });
const photos = database.collection("photos");
for (let i = 0; ; i = (i + 1) % 200) {
  // Of two items that share an image one is deleted, and an earlier one gets another image.
  await photos.upsert([
    { id: `kept-${i}`, image: image(i) },
    { id: `gone-${i}`, image: image(i) },
  ]);
  await photos.deleteItem(`gone-${i}`);
  say(`acknowledged kept-${i} ${i}`);
  if (i % 5 === 4) {
    await photos.upsert([{ id: `kept-${i - 4}`, image: image(150 + (i % 7)) }]);
    say(`acknowledged kept-${i - 4} ${150 + (i % 7)}`);
  }
}
