import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { headModel } from "../../src/training/head/head.js";
import { reEmbed } from "../../src/training/head/re-embed.js";
import { RowFile } from "../../src/training/rows/row-files.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

test("a head whose vectors are not finite is refused", async (t) => {
  const path = (name: string) => join(temporaryDirectory(t), name);
  const base = path("base.f32");
  writeFileSync(base, Float32Array.of(1, 2, 3e38, 3));
  const rows = new RowFile(base, 2);
  const request = { dimensions: 2, rows, provider: "cpu", threads: 1, onBlock: async () => {} } as const;
  const doubling = headModel(Float32Array.of(2, 0, 0, 2), 2);
  const write = (labels: Uint32Array) => reEmbed({ ...request, head: doubling, labels, path: path("vectors.f32") });
  await write(Uint32Array.of(0));
  await assert.rejects(write(Uint32Array.of(0, 1)), { code: "fine_tune_failed", message: /not finite.*smaller/ });
  rows.close();
});
