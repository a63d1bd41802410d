/* Run as a child process, to be killed: writes items one after the other and prints what was acknowledged; with a second
   argument it also gives feedback and starts a fine-tune, and prints each phase. */
import { writeSync } from "node:fs";
import { Database } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { learnable, triplets } from "../support/learnable.js";
import { fill } from "./support.js";

const [directory = "", seed = "1", tune] = process.argv.slice(2);
const random = new Random(Number(seed));
const data = learnable(random, 600);
const say = (line: string) => writeSync(1, `${line}\n`);

const database = await Database.open({ directory, threads: 2 });
await database.createCollection("things", { modality: "vector", dimensions: data.dimensions });
const things = database.collection("things");
if (tune !== undefined) {
  await fill(things, data);
  say("acknowledged item-0");
  await things.submitFeedback({ triplets: triplets(random, data, 300) });
  const { id } = await things.startFineTune({ learningRate: 0.01, epochs: 60 });
  let last = "";
  things.watchJob(id, ({ status, phase = "" }) => {
    const state = status === "running" ? phase : status;
    if (state !== last) say(`phase ${state}`);
    last = state;
  });
}
const extra = learnable(random, 5000);
for (let i = 0; i < 5000; i++) {
  const id = `extra-${seed}-${i}`;
  await things.upsert([{ id, vector: extra.vectors[i] ?? [], payload: { i } }]);
  say(`acknowledged ${id}`);
}
