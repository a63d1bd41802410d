import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/vector/index.js";
import { learnable, triplets } from "../support/learnable.js";
import { ended, fill, openDatabase, vectorCollection } from "./support.js";

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

async function filled(t: Parameters<typeof openDatabase>[0]) {
  const database = await openDatabase(t);
  const things = await vectorCollection(database, 2);
  await things.upsert(["a", "b", "c", "d"].map((id, i) => ({ id, vector: [1, i] })));
  return { database, things };
}

test("a pair said again, either way round, with the other label replaces the first", async (t) => {
  const { database, things } = await filled(t);
  const first = await things.submitFeedback({ pairs: [{ a: "a", b: "b", label: "similar" }] });
  assert.deepEqual([first.accepted, first.total, first.replaced], [1, 1, 0]);
  const same = await things.submitFeedback({ pairs: [{ a: "b", b: "a", label: "similar" }] });
  assert.deepEqual([same.ids, same.total, same.replaced], [first.ids, 1, 0]);
  const other = await things.submitFeedback({ pairs: [{ a: "b", b: "a", label: "dissimilar" }] });
  assert.deepEqual([other.ids, other.total, other.replaced], [first.ids, 1, 1]);
  await things.submitFeedback({ labels: [{ item: "a", label: "x" }] });
  assert.equal((await things.submitFeedback({ labels: [{ item: "a", label: "y" }] })).replaced, 1);

  const { directory } = database;
  const before = await things.listFeedback({});
  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  assert.deepEqual(await again.listFeedback({}), before);
  assert.equal((await again.info()).status.feedback.sinceFineTune, 4);
});

test("feedback is set aside when the content it was about goes away, and payloads do not matter", async (t) => {
  const { things } = await filled(t);
  await things.submitFeedback({
    pairs: [
      { a: "a", b: "b", label: "similar" },
      { a: "c", b: { vector: [3, 3] }, label: "similar" },
    ],
    labels: [{ item: "d", label: "x" }],
  });
  const stale = async () => (await things.listFeedback({})).feedback.map((entry) => entry.stale);
  await things.patchItem("a", { n: 1 });
  await things.upsert([{ id: "a", vector: [1, 0], payload: { n: 2 } }]);
  assert.deepEqual(await stale(), [false, false, false]);
  await things.upsert([{ id: "b", vector: [9, 9] }]);
  assert.deepEqual(await stale(), [true, false, false]);
  await things.deleteItem("d");
  await things.upsert([{ id: "d", vector: [1, 3] }]);
  assert.deepEqual(await stale(), [true, false, true], "an id used again is a new item");
  assert.deepEqual((await things.info()).status.feedback, { pairs: 1, triplets: 0, labels: 0, sinceFineTune: 3 });
  await assert.rejects(
    things.submitFeedback({ pairs: [{ a: "gone", b: "a", label: "similar" }] }),
    code("unknown_item"),
  );
});

test("a submission that contradicts itself, or that names an unknown item, stores nothing", async (t) => {
  const { things } = await filled(t);
  const pair = (a: string, b: string, label: "similar" | "dissimilar") => ({ a, b, label });
  const refusals: [string, Parameters<typeof things.submitFeedback>[0]][] = [
    ["contradictory_feedback", { pairs: [pair("a", "b", "similar"), pair("b", "a", "dissimilar")] }],
    ["contradictory_feedback", { pairs: [pair("a", "a", "similar")] }],
    ["contradictory_feedback", { triplets: [{ anchor: "a", positive: "b", negative: "b" }] }],
    [
      "contradictory_feedback",
      {
        triplets: [
          ["b", "c"],
          ["c", "b"],
        ].map(([p = "", n = ""]) => ({ anchor: "a", positive: p, negative: n })),
      },
    ],
    [
      "contradictory_feedback",
      { pairs: [pair("a", "b", "dissimilar")], triplets: [{ anchor: "a", positive: "b", negative: "c" }] },
    ],
    [
      "contradictory_feedback",
      {
        labels: [
          { item: "a", label: "x" },
          { item: "a", label: "y" },
        ],
      },
    ],
    ["unknown_item", { pairs: [pair("a", "b", "similar"), pair("a", "nobody", "similar")] }],
    ["wrong_dimensions", { pairs: [{ a: "a", b: { vector: [1] }, label: "similar" }] }],
    ["wrong_modality", { pairs: [{ a: "a", b: { text: "words" }, label: "similar" }] }],
  ];
  for (const [expected, submission] of refusals) {
    await assert.rejects(things.submitFeedback(submission), code(expected), expected);
  }
  assert.equal((await things.listFeedback({})).feedback.length, 0);
  // Triplets are relative: these two say b is nearer than c, and c nearer than d.
  const chain = [
    ["b", "c"],
    ["c", "d"],
  ].map(([p = "", n = ""]) => ({ anchor: "a", positive: p, negative: n }));
  assert.equal((await things.submitFeedback({ triplets: chain })).accepted, 2);
});

test("feedback can be listed page by page and deleted", async (t) => {
  const { things } = await filled(t);
  await things.submitFeedback({ labels: ["a", "b", "c", "d"].map((item) => ({ item, label: "x" })) });
  const page = await things.listFeedback({ limit: 3 });
  assert.equal(page.feedback.length, 3);
  const rest = await things.listFeedback({ limit: 3, cursor: page.nextCursor });
  assert.equal(rest.feedback.length, 1);
  await things.deleteFeedback(rest.feedback[0]!.id);
  await assert.rejects(things.deleteFeedback(rest.feedback[0]!.id), code("feedback_not_found"));
  assert.equal((await things.info()).status.feedback.labels, 3);
});

test("autoTune starts a job when enough feedback came since the last one began", async (t) => {
  const random = new Random(5);
  const data = learnable(random, 300);
  const things = await vectorCollection(await openDatabase(t), data.dimensions, {
    autoTune: { minFeedback: 60, epochs: 2 },
  });
  await fill(things, data);
  const feed = (count: number) => things.submitFeedback({ triplets: triplets(random, data, count) });
  assert.equal((await feed(40)).fineTune, undefined);
  const { fineTune } = await feed(30);
  assert.ok(fineTune, "70 pieces are more than 60");
  assert.equal((await feed(5)).fineTune, undefined, "one is running");
  const job = await ended(things, fineTune.id);
  assert.equal(job.options.epochs, 2);
  assert.equal((await feed(5)).fineTune, undefined, "the count began anew");
});
