import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { hasOmniglot, loadOmniglot } from "../../bench/support/omniglot.js";
import { sha256 } from "../../src/encoder/files.js";
import { type ImagePreprocessing, openModelInputs, type PreparedInput } from "../../src/encoder/index.js";
import { describePatchCnn, preparePatchCnn } from "../../src/encoder/patch-cnn/prepare.js";
import { decodeImage, type ImagePixels } from "../../src/image/index.js";
import {
  decodeModel,
  type ModelProto,
  tensorOfProto,
  trainableWeights,
  withInitializers,
} from "../../src/onnx/index.js";
import { openSession, type Session, type Tensor } from "../../src/runtime/index.js";
import { Random } from "../../src/vector/index.js";
import { resizeImage } from "../image/support/resize-image.js";
import { checkModel } from "../onnx/zoo/check-model.js";
import { seedOf } from "../support/seed.js";

const CHECKSUM = "f7884c6ee7ea2dbb33937546502f3004a199455d2baae6671643f973d8aaa609";
const DIMENSIONS = 256;

interface Labelled {
  image: ImagePixels;
  label: number;
}

/** The share of images whose nearest other image, by cosine, is of the same label: plain loops over all pairs. */
function recallAt1(rows: readonly Float32Array[], labels: readonly number[]): number {
  const units = rows.map((row) => {
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  });
  let found = 0;
  for (const [at, row] of units.entries()) {
    let [best, label] = [-2, -1];
    for (const [other, candidate] of units.entries()) {
      if (other === at) continue;
      let cosine = 0;
      for (let along = 0; along < row.length; along++) cosine += row[along]! * candidate[along]!;
      if (cosine > best) [best, label] = [cosine, labels[other]!];
    }
    if (label === labels[at]) found++;
  }
  return found / rows.length;
}

/** Characters of a few strokes, each drawn several times by an unsteady hand, in colours of any ink on any paper. */
function drawings(random: Random, characters: number, copies: number): Labelled[] {
  const side = 56;
  const within = (lowest: number, highest: number) => lowest + (highest - lowest) * random.uniform();
  return Array.from({ length: characters }, (_, label) => {
    const strokes = Array.from({ length: 3 }, () => Array.from({ length: 4 }, () => within(10, 46)));
    return Array.from({ length: copies }, () => {
      const shift = [within(-3, 3), within(-3, 3)];
      const paper = [0, 1, 2].map(() => within(150, 255));
      const ink = [0, 1, 2].map(() => within(0, 110));
      const data = new Uint8Array(side * side * 3);
      for (let at = 0; at < data.length; at++) data[at] = paper[at % 3]!;
      for (const stroke of strokes) {
        const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = stroke.map((end, at) => end + shift[at % 2]! + 1.5 * random.normal());
        const width = within(0.8, 1.6);
        for (let step = 0; step <= 200; step++) {
          const [x, y] = [x0 + ((x1 - x0) * step) / 200, y0 + ((y1 - y0) * step) / 200];
          for (let row = Math.ceil(y - width); row <= y + width; row++) {
            for (let column = Math.ceil(x - width); column <= x + width; column++) {
              if (row < 0 || column < 0 || row >= side || column >= side) continue;
              for (let channel = 0; channel < 3; channel++) data[(row * side + column) * 3 + channel] = ink[channel]!;
            }
          }
        }
      }
      return { image: { width: side, height: side, data }, label };
    });
  }).flat();
}

describe("patch-cnn", () => {
  let session: Session;
  let preprocessing: ImagePreprocessing;
  let feeds: (batch: readonly PreparedInput[]) => Record<string, Tensor>;

  const cacheDirectory = mkdtempSync(join(tmpdir(), "attune-test-"));
  before(async () => {
    const description = await describePatchCnn({ cacheDirectory });
    preprocessing = description.preprocessing;
    session = await openSession(description.modelPath, { provider: "cpu", threads: 2 });
    const inputs = await openModelInputs(description, session.inputNames);
    feeds = (batch) => inputs.feeds(batch);
  });
  after(async () => {
    await session.close();
    rmSync(cacheDirectory, { recursive: true });
  });

  async function embed(images: readonly ImagePixels[]): Promise<Float32Array[]> {
    const rows: Float32Array[] = [];
    for (let from = 0; from < images.length; from += 64) {
      const resized = images.slice(from, from + 64).map((image) => resizeImage(image, preprocessing.size, "bilinear"));
      const batch = (await Promise.all(resized)).map((pixels) => ({ kind: "pixels" as const, pixels }));
      const { embedding } = await session.run(feeds(batch));
      assert.deepEqual(embedding!.shape, [batch.length, DIMENSIONS]);
      for (const at of batch.keys())
        rows.push(embedding!.data.slice(at * DIMENSIONS, (at + 1) * DIMENSIONS) as Float32Array);
    }
    return rows;
  }

  const rawPixels = (images: readonly ImagePixels[]) =>
    Promise.all(
      images.map(async (image) => {
        const { data } = await resizeImage(image, { width: 28, height: 28 }, "bilinear");
        return Float32Array.from(data, (byte) => 255 - byte);
      }),
    );

  async function compare(set: readonly Labelled[]): Promise<{ net: number; pixels: number }> {
    const labels = set.map(({ label }) => label);
    const images = set.map(({ image }) => image);
    const [net, pixels] = [recallAt1(await embed(images), labels), recallAt1(await rawPixels(images), labels)];
    console.log(`R@1 of ${set.length} images: ${net.toFixed(3)} untrained, ${pixels.toFixed(3)} raw pixels`);
    return { net, pixels };
  }

  it("beats raw pixels before any training, on drawings in any colours", async () => {
    const { net, pixels } = await compare(drawings(new Random(seedOf("drawings", 6)), 40, 6));
    assert.ok(net > pixels + 0.05, `${net} and ${pixels}`);
  });

  it("beats raw pixels before any training, on Omniglot", { skip: !hasOmniglot() && "no Omniglot" }, async () => {
    const all = loadOmniglot();
    const characters = [...new Set(all.map(({ character }) => character))].filter((_, at) => at % 8 === 0);
    const set = all.filter(({ character }) => characters.includes(character));
    const decoded = set.map(async ({ png, character }) => ({
      image: await decodeImage(png),
      label: characters.indexOf(character),
    }));
    const { net, pixels } = await compare(await Promise.all(decoded));
    assert.ok(net > pixels + 0.05, `${net} and ${pixels}`);
  });

  it("gives embeddings of length 1, also of images that show nothing", async () => {
    const plain = [0, 127, 128, 255].map((grey) => ({ width: 9, height: 5, data: new Uint8Array(135).fill(grey) }));
    for (const row of await embed(plain)) assert.ok(Math.abs(Math.hypot(...row) - 1) < 1e-5);
  });

  it("is the same on every machine, and built again only when the file is damaged", async () => {
    const steps: number[] = [];
    const options = { cacheDirectory, onProgress: ({ done }: { done: number }) => steps.push(done) };
    const { path, checksum } = await preparePatchCnn(options);
    assert.equal(checksum, CHECKSUM);
    assert.deepEqual(steps, []);
    truncateSync(path, 1000);
    assert.deepEqual(await preparePatchCnn(options), { path, checksum });
    assert.deepEqual(steps, [0, 1]);
    assert.equal(sha256(readFileSync(path)), CHECKSUM);
  });

  it("can be trained in every weight", async () => {
    const random = new Random(seedOf("weights", 3));
    const model = withoutZeros(decodeModel(readFileSync((await preparePatchCnn({ cacheDirectory })).path)), random);
    const weights = trainableWeights(model, ["embedding"]).map(({ name }) => name);
    const layers = ["filters", "block_0.inner", "block_0.outer", "widen", "block_1.inner", "block_1.outer", "head"];
    assert.deepEqual(weights.sort(), layers.flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]).sort());
    const { width, height } = preprocessing.size;
    const data = Float32Array.from({ length: 2 * 3 * width * height }, () => random.normal());
    const pixels: Tensor = { dtype: "float32", shape: [2, 3, height, width], data };
    await checkModel({ model, feeds: { pixels }, weights, rank: 2, step: 0.001 });
  });
});

/** The residual blocks begin as zeros, behind which every gradient is 0. */
function withoutZeros(model: ModelProto, random: Random): ModelProto {
  const filled = model.graph!.initializer!.flatMap((proto) => {
    const { dtype, shape, data } = tensorOfProto(proto);
    if (!proto.name!.includes(".outer.")) return [];
    const values = Float32Array.from({ length: data.length }, () => 0.02 * random.normal());
    return [[proto.name!, { dtype, shape, data: values }] as const];
  });
  return withInitializers(model, new Map(filled));
}
