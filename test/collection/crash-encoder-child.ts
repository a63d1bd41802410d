/* Run as a child process, to be killed: fills a text collection, fine-tunes its encoder, prints each phase, and writes on meanwhile,
   printing what was acknowledged. */
import { writeSync } from "node:fs";
import { Database } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { classTexts } from "./tuned-generation.js";

const [directory = "", seed = "1", encoder = ""] = process.argv.slice(2);
const random = new Random(Number(seed));
const say = (line: string) => writeSync(1, `${line}\n`);

const database = await Database.open({ directory, threads: 2 });
await database.createCollection("texts", { modality: "text", encoder });
const texts = database.collection("texts");
const items = classTexts(random, 240);
await texts.upsert(items.map(({ id, text }) => ({ id, text })));
say("acknowledged i0");
await texts.submitFeedback({ labels: items.slice(0, 120).map(({ id, class: label }) => ({ item: id, label })) });
const { id } = await texts.startFineTune({ scope: "encoder", learningRate: 0.02, epochs: 3, batchSize: 32, seed: 1 });
let last = "";
texts.watchJob(id, ({ status, phase = "", progress }) => {
  const begins = phase === "training" && progress.done === 0;
  const state = status === "running" ? (begins ? "preparing" : phase) : status;
  if (state !== last) say(`phase ${state}`);
  last = state;
});
for (let i = 0; i < 5000; i++) {
  const item = { id: `extra-${i}`, text: classTexts(random, 1)[0]?.text ?? "" };
  await texts.upsert([item]);
  say(`acknowledged ${item.id}`);
  // The training has the other core.
  await new Promise((resolve) => setTimeout(resolve, 3));
}
