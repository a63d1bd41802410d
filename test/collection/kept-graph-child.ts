/* Run as a child process, to be killed: a fine-tune over enough items that the graph is kept, which says when it went live. */
import { writeSync } from "node:fs";
import { Database } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { learnable, triplets } from "../support/learnable.js";
import { ended, fill } from "./support.js";

const [directory = "", seed = "1", count = "2500"] = process.argv.slice(2);
const random = new Random(Number(seed));
const data = learnable(random, Number(count));
const database = await Database.open({ directory, threads: 2 });
const settings = { modality: "vector", dimensions: data.dimensions, index: { m: 8, efConstruction: 60 } } as const;
await database.createCollection("things", settings);
const things = database.collection("things");
await fill(things, data);
await things.submitFeedback({ triplets: triplets(random, data, 100) });
const { id } = await things.startFineTune({ learningRate: 0.01, epochs: 1, promote: "always" });
const { status, index } = await ended(things, id);
writeSync(1, `${status === "promoted" && index?.kept === true ? status : JSON.stringify({ status, index })}\n`);
