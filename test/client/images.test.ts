import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { AttuneApiError } from "../../src/client/index.js";
import { serve } from "../http/support.js";
import { writeColourEncoder } from "../support/colour-encoder.js";
import { plain } from "../support/pictures.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

test("images go out as bytes or base64, and come back as bytes", async (t) => {
  const server = await serve();
  t.after(() => server.stop());
  const encoder = writeColourEncoder(temporaryDirectory(t));
  const { collection } = await server.client.createCollection("photos", { modality: "image", encoder });
  const [red, green, blue, white] = [plain("red"), plain("green"), plain("blue"), plain("white")];
  // A part of a larger buffer, as files are often read.
  const part = new Uint8Array(Buffer.concat([green, red])).subarray(green.length);
  await collection.upsert([
    { id: "as bytes", image: part },
    { id: "as base64", image: green.toString("base64") },
  ]);
  assert.equal((await collection.importItems([{ id: "streamed", image: blue }])).upserted, 1);

  const image = await collection.image("as bytes");
  const hash = createHash("sha256").update(red).digest("hex");
  assert.deepEqual(image, { bytes: red, type: "image/png", hash });
  assert.equal((await collection.query({ image: blue, k: 1 })).results[0]?.id, "streamed");
  const { results } = await collection.queryBatch([
    { image: red, k: 1 },
    { image: new Uint8Array(green), k: 1 },
  ]);
  assert.deepEqual(
    results.map(([hit]) => hit?.id),
    ["as bytes", "as base64"],
  );

  await collection.submitFeedback({
    triplets: [{ anchor: { image: white }, positive: "as bytes", negative: "streamed" }],
  });
  const anchor = (await collection.listFeedback()).feedback[0]?.triplet?.anchor;
  assert.ok(typeof anchor === "object" && "image" in anchor);
  assert.deepEqual((await collection.content(anchor.image.hash)).bytes, white);
  await assert.rejects(collection.image("nobody"), (error) => {
    return error instanceof AttuneApiError && error.code === "item_not_found" && error.status === 404;
  });
});
