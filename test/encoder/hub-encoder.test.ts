import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, it, type TestContext } from "node:test";
import { type OpenEncoderOptions, openEncoder } from "../../src/encoder/index.js";
import { Random } from "../../src/vector/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { HubServer } from "./support/hub-server.js";
import { bertTokenizer, tinyModel, writeEncoder } from "./support/tiny-encoder.js";
import { pngOf, randomImage, SIDE, tinyImageModel } from "./support/tiny-image-encoder.js";

const REPOSITORY = "tiny-org/tiny-encoder";
const SPEC = `hf:${REPOSITORY}`;
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const MODEL = Uint8Array.from(tinyModel().bytes);
const FILES = {
  ".gitattributes": new TextEncoder().encode("*.onnx filter=lfs"),
  "README.md": new TextEncoder().encode("# tiny"),
  "config.json": json({ model_type: "bert", max_position_embeddings: 64 }),
  "modules.json": json([
    { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
    { idx: 1, name: "1", path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
  ]),
  "1_Pooling/config.json": json({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }),
  "onnx/model.onnx": MODEL,
  "onnx/model_quantized.onnx": MODEL,
  "tokenizer.json": json(bertTokenizer()),
  "pytorch_model.bin": new Uint8Array(1000),
};

const PROCESSOR = { image_processor_type: "ViTImageProcessor", size: { height: SIDE, width: SIDE } };

async function startHub(t: TestContext, files: Record<string, Uint8Array> = FILES) {
  const hub = await HubServer.start(t, REPOSITORY, files);
  process.env.HF_ENDPOINT = hub.endpoint;
  const cacheDirectory = temporaryDirectory(t);
  /** Opens, embeds one text, and closes. */
  const use = async (spec = SPEC, options: OpenEncoderOptions = {}) => {
    const encoder = await openEncoder(spec, { provider: "cpu", threads: 1, cacheDirectory, ...options });
    try {
      return { id: encoder.id, identity: encoder.identity, ...(await encoder.encode(["my card"])) };
    } finally {
      await encoder.close();
    }
  };
  const modelRequests = () => hub.requests.filter(({ url }) => url.includes("model.onnx?signature"));
  const part = () =>
    join(cacheDirectory, "hub", "tiny-org--tiny-encoder", "snapshots", hub.commit, "onnx", "model.onnx.part");
  return { hub, cacheDirectory, use, modelRequests, part };
}

describe("an encoder from a hub", () => {
  afterEach(() => {
    delete process.env.HF_ENDPOINT;
    delete process.env.HF_TOKEN;
  });

  it("is what the same files in a directory are, and is pinned to its commit", async (t) => {
    const { hub, use } = await startHub(t);
    const directory = temporaryDirectory(t);
    writeEncoder(directory, FILES);
    const { id, identity, vectors } = await use();
    const local = await use(`file:${directory}`);
    assert.equal(id, `${SPEC}@${hub.commit}`);
    assert.deepEqual(identity, local.identity);
    assert.deepEqual(vectors, local.vectors);
    assert.equal(identity.pooling, "cls");
  });

  it("fetches only what an encoder needs, once, and then needs no hub", async (t) => {
    const { hub, use } = await startHub(t);
    const progress: { done: number; total: number }[] = [];
    const first = await use(SPEC, { onProgress: ({ done, total }) => progress.push({ done, total }) });
    const fetched = hub.requests.map(({ url }) => url).filter((url) => url.includes("/resolve/"));
    assert.ok(!fetched.some((url) => /pytorch_model|README|quantized/.test(url)), fetched.join(" "));
    const last = progress.at(-1)!;
    assert.equal(last.done, last.total);
    await hub.close();
    assert.deepEqual(await use(), first);
    assert.deepEqual(await use(first.id), first);
  });

  it("stays at its commit when the branch moves on; another revision is another encoder", async (t) => {
    const { hub, use } = await startHub(t);
    const first = await use();
    const commit = createHash("sha1").update("second").digest("hex");
    hub.revisions.set("old", hub.revisions.get("main")!);
    hub.revisions.set("main", { commit, files: { ...FILES, "onnx/model.onnx": tinyModel({ seed: 8 }).bytes } });
    assert.deepEqual(await use(), first);
    assert.equal((await use(`${SPEC}@old`)).id, first.id);
    const second = await use(`${SPEC}@${commit}`);
    assert.notEqual(second.identity.weights, first.identity.weights);
  });

  it("resumes a download that breaks in the middle, within one call", async (t) => {
    const { hub, use, modelRequests } = await startHub(t);
    hub.breaks = [300, 200];
    await use();
    assert.deepEqual(
      modelRequests().map(({ range }) => range),
      [undefined, "bytes=300-", "bytes=500-"],
    );
  });

  it("keeps what came when the connection keeps breaking, and resumes from there the next time", async (t) => {
    const { hub, use, modelRequests, part } = await startHub(t);
    hub.breaks = [400, 0, 0, 0, 0];
    await assert.rejects(use(), { code: "unknown_encoder", message: /400 of \d+ bytes/ });
    assert.equal(statSync(part()).size, 400);
    hub.breaks = [];
    const before = modelRequests().length;
    await use();
    assert.deepEqual(
      modelRequests()
        .slice(before)
        .map(({ range }) => range),
      ["bytes=400-"],
    );
    assert.ok(!existsSync(part()));
  });

  it("begins again where a server ignores ranges", async (t) => {
    const { hub, use } = await startHub(t);
    hub.ranges = false;
    hub.breaks = [300];
    assert.equal((await use()).vectors.length, 6);
  });

  it("stops when asked to, and resumes later", async (t) => {
    const { hub, use, part } = await startHub(t);
    const controller = new AbortController();
    hub.breaks = [300];
    const onProgress = () => existsSync(part()) && statSync(part()).size > 0 && controller.abort(new Error("enough"));
    await assert.rejects(use(SPEC, { signal: controller.signal, onProgress }), /enough/);
    await use();
  });

  it("refuses content that is not what the hub promised, and does not keep it", async (t) => {
    const { hub, use, part } = await startHub(t);
    hub.damaged["onnx/model.onnx"] = MODEL.map((byte, at) => (at === 200 ? byte ^ 1 : byte));
    await assert.rejects(use(), { code: "invalid_encoder", message: /damaged/ });
    assert.ok(!existsSync(part()));
    delete hub.damaged["onnx/model.onnx"];
    hub.damaged["tokenizer.json"] = FILES["tokenizer.json"].map((byte, at) => (at === 20 ? byte ^ 1 : byte));
    await assert.rejects(use(), { code: "invalid_encoder", message: /tokenizer\.json/ });
    delete hub.damaged["tokenizer.json"];
    await use();
  });

  it("fetches again what was cut short in the cache", async (t) => {
    const { use, part } = await startHub(t);
    const first = await use();
    const model = part().replace(/\.part$/, "");
    truncateSync(model, 10);
    assert.deepEqual(await use(), first);
    assert.deepEqual(new Uint8Array(readFileSync(model)), MODEL);
  });

  it("is fetched once when it is opened twice at once", async (t) => {
    const { cacheDirectory, use, modelRequests } = await startHub(t);
    await Promise.all([use(), use()]);
    assert.equal(modelRequests().length, 1);
    const left = readdirSync(join(cacheDirectory, "hub", "tiny-org--tiny-encoder"));
    assert.deepEqual(left.sort(), ["refs", "snapshots"], "no lock is left");
  });

  it("takes over the lock of a process that died", async (t) => {
    const { hub, cacheDirectory, use } = await startHub(t);
    const lock = join(cacheDirectory, "hub", "tiny-org--tiny-encoder", `${hub.commit}.lock`);
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(lock, "1\n");
    const minuteAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, minuteAgo, minuteAgo);
    await use();
    assert.ok(!existsSync(lock));
  });

  it("sends the token to the hub, and not on to the server of the content", async (t) => {
    const { hub, use } = await startHub(t);
    hub.token = "hf_secret";
    await assert.rejects(use(), { code: "unknown_encoder", message: /HF_TOKEN/ });
    process.env.HF_TOKEN = "hf_secret";
    await use();
    const [content, api] = [true, false].map((signed) =>
      hub.requests.filter(({ url }) => url.includes("signature") === signed),
    );
    assert.ok(content!.length > 0 && content!.every(({ authorization }) => authorization === undefined));
    assert.equal(api!.at(-1)!.authorization, "Bearer hf_secret");
  });

  it("is unknown when the hub does not know the repository or the revision, or is not there", async (t) => {
    const { hub, use } = await startHub(t);
    await assert.rejects(use("hf:tiny-org/other"), { code: "unknown_encoder", message: /spelling/ });
    await assert.rejects(use(`${SPEC}@nowhere`), { code: "unknown_encoder", message: /nowhere/ });
    await assert.rejects(use(`${SPEC}@${"0".repeat(40)}`), { code: "unknown_encoder" });
    await hub.close();
    await assert.rejects(use(), { code: "unknown_encoder", message: /cannot be reached/ });
  });

  it("is refused when the repository holds no ONNX model or no tokenizer", async (t) => {
    for (const missing of ["onnx/model.onnx", "tokenizer.json"]) {
      const { use } = await startHub(t, Object.fromEntries(Object.entries(FILES).filter(([path]) => path !== missing)));
      await assert.rejects(use(), { code: "invalid_encoder", message: new RegExp(missing) });
    }
  });

  const towers = {
    "onnx/text_model.onnx": tinyModel({ output: "text_embeds" }).bytes,
    "onnx/vision_model.onnx": tinyImageModel().bytes,
  };
  const timm = { pretrained_cfg: { input_size: [3, SIDE, SIDE], crop_pct: 1 }, num_classes: 0 };
  const VISION: [string, Record<string, Uint8Array>, string[], string[]][] = [
    [
      "of images",
      { "onnx/model.onnx": tinyImageModel().bytes, "preprocessor_config.json": json(PROCESSOR) },
      ["onnx/model.onnx", "preprocessor_config.json"],
      [],
    ],
    [
      "of timm",
      { "model.onnx": tinyImageModel({ input: "x" }).bytes, "config.json": json(timm) },
      ["config.json", "model.onnx"],
      [],
    ],
    [
      "of texts and images",
      {
        ...towers,
        "onnx/model.onnx": MODEL,
        "preprocessor_config.json": json(PROCESSOR),
        "tokenizer.json": json(bertTokenizer()),
      },
      ["onnx/text_model.onnx", "onnx/vision_model.onnx", "preprocessor_config.json", "tokenizer.json"],
      ["my card"],
    ],
  ];
  for (const [what, files, needed, texts] of VISION) {
    it(`${what} is fetched with the files it needs, and is what they are in a directory`, async (t) => {
      const others = {
        "pytorch_model.bin": new Uint8Array(9),
        "onnx/vision_model_fp16.onnx": MODEL,
        "README.md": MODEL,
      };
      const { hub, cacheDirectory } = await startHub(t, { ...files, ...others });
      const directory = temporaryDirectory(t);
      writeEncoder(directory, files);
      const inputs = [await pngOf(randomImage(new Random(1))), ...texts];
      const results = [];
      for (const spec of [SPEC, `file:${directory}`]) {
        const encoder = await openEncoder(spec, { provider: "cpu", threads: 1, cacheDirectory });
        results.push({ identity: encoder.identity, ...(await encoder.encode(inputs)) });
        await encoder.close();
      }
      assert.deepEqual(results[0], results[1]);
      const fetched = hub.requests.flatMap(({ url }) => url.match(/resolve\/[0-9a-f]+\/(.*)$/)?.[1] ?? []);
      assert.deepEqual([...new Set(fetched)].sort(), needed);
    });
  }
});
