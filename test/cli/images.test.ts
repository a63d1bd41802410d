import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type ServerProcess, startServerProcess } from "../../bench/support/server-process.js";
import { EXIT, UsageError } from "../../src/cli/exit-codes.js";
import { findImageFolder, readImageFolder } from "../../src/cli/input/image-folder.js";
import type { InputRecord } from "../../src/cli/input/input-record.js";
import { AttuneClient, type FeedbackEntry, type FeedbackResult, type QueryResult } from "../../src/client/index.js";
import { writeColourEncoder } from "../support/colour-encoder.js";
import { plain } from "../support/pictures.js";
import { type CliOptions, parseOutput, runCli, startCli } from "./cli.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "attune-cli-images-"));
const put = (name: string, content: Buffer | string) => {
  const full = path.join(folder, name);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
};
after(() => rmSync(folder, { recursive: true, force: true }));

describe("a folder of images", () => {
  it("is read in the order of the paths, which are the ids; what is hidden or no image is left out", async () => {
    const root = path.join(folder, "mixed");
    put("mixed/b/two.PNG", plain("red"));
    put("mixed/b/c/three.jpeg", plain("green"));
    put("mixed/a.webp", plain("blue"));
    put("mixed/notes.txt", "no image");
    put("mixed/.hidden.png", plain("red"));
    put("mixed/.git/x.png", plain("red"));
    symlinkSync(path.join(root, "a.webp"), path.join(root, "link.gif"));
    symlinkSync(root, path.join(root, "loop"));
    const found = findImageFolder(root);
    assert.deepEqual(
      found.files.map((file) => file.path),
      ["a.webp", "b/c/three.jpeg", "b/two.PNG", "link.gif"],
    );
    assert.equal(found.others, 1);
    const records: InputRecord[] = [];
    for await (const record of readImageFolder(found, 1)) records.push(record);
    assert.deepEqual(
      records.map(({ line, item }) => [line, item?.id, item?.payload]),
      [
        [2, "b/c/three.jpeg", { path: "b/c/three.jpeg", folder: "c" }],
        [3, "b/two.PNG", { path: "b/two.PNG", folder: "b" }],
        [4, "link.gif", { path: "link.gif" }],
      ],
    );
    assert.equal(records.at(-1)?.bytes, found.bytes);
    put("mixed/z.png", plain("red"));
    assert.notEqual(findImageFolder(root).head, found.head, "another folder than before");
  });

  it("without an image in it is a mistake", () => {
    put("empty/readme.txt", "nothing");
    assert.throws(() => findImageFolder(path.join(folder, "empty")), UsageError);
  });
});

describe("the attune command with images", () => {
  let server: ServerProcess;
  before(async () => {
    server = await startServerProcess({ data: path.join(folder, "data") });
    const encoder = writeColourEncoder(path.join(folder, "encoder"));
    assert.equal(
      (await attune("collections", "create", "photos", "--modality", "image", "--encoder", encoder)).code,
      EXIT.ok,
    );
  });
  after(() => server.stop());

  const env = () => ({ ATTUNE_URL: server.url, XDG_STATE_HOME: path.join(folder, "state") });
  const attune = (...args: string[]) => runCli(args, { env: env() });

  it("imports a folder, tells refused files by name, and finds by an image file", async () => {
    for (const [i, colour] of (["red", "green", "blue"] as const).entries()) {
      for (const n of [0, 1, 2]) put(`photos/${colour}/${n}.png`, plain(colour, n + i));
    }
    put("photos/green/broken.png", plain("green").subarray(0, 60));
    const imported = await attune("import", path.join(folder, "photos"), "-c", "photos", "--batch", "4", "--json");
    assert.equal(imported.code, EXIT.failure, imported.stderr);
    const summary = parseOutput<{ upserted: number; failed: number; errors: { file: string; code: string }[] }>(
      imported,
    );
    assert.deepEqual([summary.upserted, summary.failed], [9, 1]);
    assert.deepEqual(
      summary.errors.map(({ file, code }) => [file, code]),
      [["green/broken.png", "invalid_image"]],
    );
    assert.match(imported.stderr, /^green\/broken\.png: .*\(invalid_image\)$/m);

    const query = put("query.png", plain("blue", 5));
    const found = parseOutput<QueryResult>(await attune("query", "photos", "--image", query, "-k", "3", "--json"));
    assert.deepEqual(
      found.results.map(({ payload }) => payload?.folder),
      ["blue", "blue", "blue"],
    );
    assert.equal((await attune("query", "photos", "--image", query, "--item", "x")).code, EXIT.usage);
    assert.equal((await attune("query", "photos", "--image", path.join(folder, "none.png"))).code, EXIT.failure);
    assert.equal((await attune("import", path.join(folder, "photos"), "-c", "photos", "--line-ids")).code, EXIT.usage);
  });

  it("takes labels from the folders, and images that are no items as references", async () => {
    const labelled = parseOutput<FeedbackResult>(
      await attune("feedback", "photos", "--labels-from", "folder", "--json"),
    );
    assert.equal(labelled.accepted, 9);
    const image = put("other.png", plain("white"));
    assert.equal((await attune("feedback", "photos", "--similar", `image:${image}`, "red/0.png")).code, EXIT.ok);
    const none = await attune("feedback", "photos", "--labels-from", "colour");
    assert.match(none.stderr, /no item has .*"colour"/);
    const lines = (await attune("feedback", "photos", "--list")).stdout.trim().split("\n");
    const entries = lines.map((line) => JSON.parse(line) as FeedbackEntry);
    assert.deepEqual(
      new Set(entries.flatMap(({ label }) => (label === undefined ? [] : [label.label]))),
      new Set(["red", "green", "blue"]),
    );
    assert.equal(entries.length, 10);
  });

  it("exports images, so that an import brings them back", async () => {
    const encoder = `file:${path.join(folder, "encoder")}`;
    const output = path.join(folder, "photos.jsonl");
    assert.equal((await attune("export", "photos", "--output", output)).code, EXIT.ok);
    assert.equal(readFileSync(output, "utf8").trim().split("\n").length, 9);
    await attune("collections", "create", "copy", "--modality", "image", "--encoder", encoder);
    assert.equal((await attune("import", output, "-c", "copy")).code, EXIT.ok);
    const client = new AttuneClient({ baseUrl: server.url });
    const { bytes, type } = await client.collection("copy").image("red/1.png");
    assert.deepEqual([bytes, type], [plain("red", 1), "image/png"]);
    client.close();
  });

  it("goes on after the last acknowledged file when an import was stopped", async () => {
    for (let n = 0; n < 300; n++) put(`many/${String(n).padStart(3, "0")}.png`, plain("red", n % 100));
    const args = ["import", path.join(folder, "many"), "-c", "photos", "--batch", "3"];
    const { child, result, ended } = startCli(args, { env: env() } satisfies CliOptions);
    const client = new AttuneClient({ baseUrl: server.url });
    const photos = client.collection("photos");
    while (child.exitCode === null && (await photos.count()) < 20)
      await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    await ended;
    assert.equal(result.code, EXIT.interrupted, result.stderr);
    const resumed = await attune(...args, "--resume");
    assert.equal(resumed.code, EXIT.ok, resumed.stderr);
    assert.match(resumed.stderr, /going on after file \d+/);
    assert.match(resumed.stderr, /imported: 300 items/);
    assert.equal(await photos.count(), 309);
    client.close();
  });
});
