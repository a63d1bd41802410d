import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type ServerProcess, startServerProcess } from "../../bench/support/server-process.js";
import { EXIT } from "../../src/cli/exit-codes.js";
import type { CollectionInfo, Generation, Job, QueryResult } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { learnable, triplets } from "../support/learnable.js";
import { seedOf } from "../support/seed.js";
import { type CliOptions, parseOutput, runCli, startCli } from "./cli.js";

describe("the attune command against a server", () => {
  let server: ServerProcess;
  const folder = mkdtempSync(path.join(os.tmpdir(), "attune-cli-"));
  before(async () => {
    server = await startServerProcess({ data: path.join(folder, "data") });
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const env = () => ({ ATTUNE_URL: server.url, XDG_STATE_HOME: path.join(folder, "state") });
  const attune = (args: string, options: CliOptions = {}) => runCli(args.split(" "), { ...options, env: env() });
  const file = (name: string, text: string) => {
    const full = path.join(folder, name);
    writeFileSync(full, text);
    return full;
  };
  const vectorLine = (i: number) =>
    `${JSON.stringify({ id: `v${i}`, vector: [Math.sin(i), Math.cos(i)], payload: { i } })}\n`;

  it("creates, lists, shows and deletes collections", async () => {
    const created = parseOutput<CollectionInfo & { created: boolean }>(
      await attune("collections create one --modality vector --dimensions 2 --m 8 --shards 2 --json"),
    );
    assert.deepEqual([created.created, created.name, created.index.m, created.index.shards], [true, "one", 8, 2]);
    assert.match(
      (await attune("collections create one --modality vector --dimensions 2 --m 8 --shards 2")).stdout,
      /exists with the same/,
    );
    assert.match((await attune("collections list")).stdout, /^name .*\n-+.*\none +vector/);
    const shown = parseOutput<CollectionInfo>(await attune("collections show one --json"));
    assert.equal(shown.dimensions, 2);
    const unsure = await attune("collections delete one");
    assert.deepEqual([unsure.code, /add --yes/.test(unsure.stderr)], [EXIT.usage, true]);
    assert.equal((await attune("collections delete one --yes")).code, EXIT.ok);
    const gone = await attune("collections show one");
    assert.deepEqual([gone.code, gone.stdout], [EXIT.refused, ""]);
    assert.match(gone.stderr, /^refused \(collection_not_found\): /);
  });

  it("imports from a pipe, reports bad lines by number, queries and exports what came in", async () => {
    await attune("collections create pipe --modality vector --dimensions 2");
    const input = `${vectorLine(1)}\nnot json\n${vectorLine(2)}{"id":"bad","vector":[1,2,3]}\n${vectorLine(3)}`;
    const imported = await attune("import - -c pipe --batch 2 --json", { input });
    assert.equal(imported.code, EXIT.failure, imported.stderr);
    const summary = parseOutput<{ upserted: number; failed: number; errors: { line: number; code: string }[] }>(
      imported,
    );
    assert.deepEqual([summary.upserted, summary.failed], [3, 2]);
    assert.deepEqual(
      summary.errors.map(({ line, code }) => [line, code]),
      [
        [3, "unreadable_line"],
        [5, "wrong_dimensions"],
      ],
    );
    assert.match(imported.stderr, /line 5: .*\(wrong_dimensions\)/);

    const query = ["query", "pipe", "--vector", JSON.stringify([Math.sin(2), Math.cos(2)]), "-k", "1"];
    const found = parseOutput<QueryResult>(await runCli([...query, "--json"], { env: env() }));
    assert.deepEqual([found.results[0]?.id, found.results[0]?.payload], ["v2", { i: 2 }]);
    assert.match(
      (await runCli(query, { env: env() })).stdout,
      /#.*score.*id.*payload\n-.*\n1 +1\.0000 +v2 +\{"i":2\}\n1 results/,
    );

    const exported = await attune("export pipe");
    const items = exported.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string; payload: { i: number } });
    assert.deepEqual(
      items.map(({ id, payload }) => [id, payload.i]),
      [
        ["v1", 1],
        ["v2", 2],
        ["v3", 3],
      ],
    );
    await attune("collections create copy --modality vector --dimensions 2");
    const again = await attune("import - -c copy --json", { input: exported.stdout });
    assert.deepEqual([again.code, parseOutput<{ upserted: number }>(again).upserted], [EXIT.ok, 3]);
  });

  it("imports CSV by column names into a new text collection", async () => {
    const csv = file("notes.csv", 'sku,title,price\na1,"a dog, barking",3.5\na2,a cat purring,9\n');
    const imported = await attune(
      `import ${csv} -c notes --create --id-field sku --text-field title --number-fields price`,
    );
    assert.deepEqual([imported.code, imported.stdout], [EXIT.ok, ""], imported.stderr);
    assert.match(imported.stderr, /imported: 2 items in, /);
    const args = [
      "query",
      "notes",
      "the",
      "hound",
      "--filter",
      '{"must":[{"key":"price","range":{"lt":9}}]}',
      "--json",
    ];
    const { results } = parseOutput<QueryResult>(await runCli(args, { env: env() }));
    assert.deepEqual(
      results.map(({ id, payload }) => [id, payload]),
      [["a1", { price: 3.5 }]],
    );
  });

  it("goes on with --resume after the last acknowledged line when it was killed", async () => {
    await attune("collections create resumed --modality vector --dimensions 2");
    const lines = Array.from({ length: 4000 }, (_, i) => vectorLine(i));
    const source = file("many.jsonl", lines.join(""));
    const state = path.join(folder, "many.state");
    const args = `import ${source} -c resumed --batch 20 --state ${state}`.split(" ");
    const killed = startCli(args, { env: env() });
    while (stateLine(state) < 200 && killed.child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 5));
    killed.child.kill("SIGKILL");
    await killed.ended;
    const stoppedAt = stateLine(state);
    assert.ok(stoppedAt >= 200 && stoppedAt < 4000, `killed after line ${stoppedAt}`);
    const resumed = await runCli([...args, "--resume", "--json"], { env: env() });
    assert.equal(resumed.code, EXIT.ok, resumed.stderr);
    assert.match(resumed.stderr, new RegExp(`going on after line ${stoppedAt.toLocaleString("en-US")}\n`));
    assert.equal(parseOutput<{ upserted: number }>(resumed).upserted, 4000);
    const info = parseOutput<CollectionInfo>(await attune("collections show resumed --json"));
    assert.equal(info.status.items, 4000);
    assert.throws(() => readFileSync(state), { code: "ENOENT" });
  });

  it("stops an import at Ctrl-C with 130 and the line it came to", async () => {
    await attune("collections create stopped --modality vector --dimensions 2");
    const endless = startCli("import - -c stopped --batch 10 --json".split(" "), { env: env() });
    endless.child.stdin.write(Array.from({ length: 10 }, (_, i) => vectorLine(i)).join(""));
    while (!endless.result.stderr.includes("importing into stopped"))
      await new Promise((resolve) => setTimeout(resolve, 5));
    endless.child.kill("SIGINT");
    while (!endless.result.stderr.includes("stopping after")) await new Promise((resolve) => setTimeout(resolve, 5));
    endless.child.stdin.write(Array.from({ length: 10 }, (_, i) => vectorLine(10 + i)).join(""));
    const { code, stdout } = await endless.ended;
    assert.equal(code, EXIT.interrupted);
    const summary = JSON.parse(stdout) as { stopped: boolean; line: number };
    assert.deepEqual([summary.stopped, summary.line], [true, 20]);
  });

  it("refuses to resume another file of the same name", async () => {
    await attune("collections create other --modality vector --dimensions 2");
    const state = file("other.state", JSON.stringify({ version: 1, collection: "other", head: "elsewhere", line: 3 }));
    const refused = await attune(`import ${file("other.jsonl", vectorLine(1))} -c other --state ${state} --resume`);
    assert.deepEqual([refused.code, /another one/.test(refused.stderr)], [EXIT.usage, true]);
  });

  it("submits feedback, fine-tunes, lists generations and goes back", async () => {
    const seed = seedOf("attune tune", 5);
    const random = new Random(seed);
    const data = learnable(random, 400);
    await attune(`collections create tuned --modality vector --dimensions ${data.dimensions}`);
    const items = data.vectors.map((vector, i) => `${JSON.stringify({ id: `item-${i}`, vector })}\n`).join("");
    await attune("import - -c tuned", { input: items });
    const early = await attune("tune tuned");
    assert.deepEqual([early.code, /not_enough_feedback/.test(early.stderr)], [EXIT.refused, true]);

    const lines = triplets(random, data, 300).map((triplet) => `${JSON.stringify(triplet)}\n`);
    const given = parseOutput<{ accepted: number; total: number }>(
      await attune("feedback tuned --file - --json", { input: lines.join("") }),
    );
    assert.deepEqual([given.accepted, given.total], [300, 300]);
    const dry = await attune("tune tuned --seed 1 --dry-run");
    assert.equal(dry.code, EXIT.ok, dry.stderr);
    assert.match(dry.stderr, /^plan: up to [\d,]+ steps over [\d,]+ parameters on cpu, about [\d.]+ MiB of memory$/m);
    for (const part of [
      /^trained with: triplet, /,
      /^logRank +\d/m,
      /90% interval/,
      /^got better/m,
      /nothing was kept$/m,
    ])
      assert.match(dry.stdout, part);
    const mixed = await attune("tune tuned --resume 1 --epochs 3");
    assert.deepEqual([mixed.code, /leave out the others/.test(mixed.stderr)], [EXIT.usage, true]);
    assert.match((await attune("tune tuned --resume 1")).stderr, /^refused \(job_not_resumable\)/);
    assert.match((await attune("tune tuned --scope encoder --crop .2")).stderr, /^refused \(no_encoder\)/);

    const tuned = await attune("tune tuned --seed 1 --json");
    assert.equal(tuned.code, EXIT.ok, tuned.stderr);
    const job = parseOutput<Job>(tuned);
    assert.deepEqual([job.status, job.generation], ["promoted", 1]);
    assert.match(tuned.stderr, /training: /);
    assert.match(tuned.stderr, /: promoted/);

    const listed = parseOutput<{ generations: Generation[] }>(await attune("generations list tuned --json"));
    assert.deepEqual(
      listed.generations.filter(({ active }) => active).map(({ generation }) => generation),
      [1],
    );
    const model = path.join(folder, "head.onnx");
    const saved = await attune(`generations download tuned 1 -o ${model} --json`);
    const { sha256, bytes } = parseOutput<{ sha256: string; bytes: number }>(saved);
    const written = readFileSync(model);
    assert.deepEqual([bytes, sha256], [written.length, createHash("sha256").update(written).digest("hex")]);
    assert.match((await attune("generations list tuned")).stdout, /trained .*\n.*\n.*\n +1 +yes .* head /);
    assert.match((await attune("generations download tuned 0")).stderr, /^refused \(model_not_found\)/);

    const back = await attune("generations activate tuned 0");
    assert.deepEqual([back.code, back.stdout], [EXIT.ok, "generation 0 is active\n"], back.stderr);
  });

  it("takes feedback from flags, and says which line of a file is at fault", async () => {
    const flags = [
      "feedback",
      "tuned",
      "--similar",
      "item-1",
      "item-21",
      "--label",
      "item-2",
      "b",
      "item-3",
      "c",
      "--json",
    ];
    const given = parseOutput<{ accepted: number }>(await runCli(flags, { env: env() }));
    assert.equal(given.accepted, 3);
    const odd = await attune("feedback tuned --similar item-1");
    assert.deepEqual([odd.code, /--similar takes two items; got 1 values/.test(odd.stderr)], [EXIT.usage, true]);
    const input = '{"a":"item-1","b":"item-2","label":"dissimilar"}\n\n{"a":"item-1","b":"nobody","label":"similar"}\n';
    const refused = await attune("feedback tuned --file -", { input });
    assert.equal(refused.code, EXIT.refused);
    assert.match(refused.stderr, /lines 1 to 3 were refused as a whole; 0 above them were accepted\n/);
    assert.match(refused.stderr, /refused \(unknown_item\)/);
    const nonsense = await attune("feedback tuned --file -", { input: '{"x":1}\n' });
    assert.match(nonsense.stderr, /line 1: expected \{a, b, label\}/);
    assert.equal((await attune("feedback tuned")).code, EXIT.usage);
  });

  it("cancels the fine-tune at Ctrl-C", async () => {
    const tuning = startCli("tune tuned --epochs 5000 --json".split(" "), { env: env() });
    while (!tuning.result.stderr.includes("training: ")) await new Promise((resolve) => setTimeout(resolve, 10));
    tuning.child.kill("SIGINT");
    const { code, stdout, stderr } = await tuning.ended;
    assert.equal(code, EXIT.interrupted, stderr);
    assert.equal((JSON.parse(stdout) as Job).status, "cancelled");
  });
});

function stateLine(file: string): number {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { line: number }).line;
  } catch {
    return 0;
  }
}
