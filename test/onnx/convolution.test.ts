import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Attributes, differentiate, encodeModel, float, GraphBuilder, type Value } from "../../src/onnx/index.js";
import { openSession, type Tensor } from "../../src/runtime/index.js";
import { CONVOLUTIONS, POOLS } from "./convolution-cases.js";
import { checkGradients, type Draw, type GradientCheck, generator } from "./gradient-check.js";
import { IMAGE_OPERATORS } from "./image-operators.js";

const positive: Draw = (random) => 0.3 + 2 * random();
/** At least .2 away from 0 and from 3, so that a finite difference does not step over a kink. */
const offKinks: Draw = (random) => (random() < 0.5 ? -1 : 1) * (0.2 + 2.6 * random());
/** Values that are all at least .1 apart, so that the largest of a window stays the largest. */
const distinct = (): Draw => {
  let at = 0;
  return () => ((at++ * 7919) % 211) / 10 - 10;
};

const checked = new Set<string>();

/** ONNX Runtime's CPU provider has convolutions and pools in float32 only. */
function check(name: string, opType: string, gradientCheck: GradientCheck): void {
  checked.add(opType);
  it(name, () => checkGradients({ dtype: "float32", ...gradientCheck, opType }));
}

describe("gradients of convolutions equal central finite differences", () => {
  for (const { name, image, filters, attributes } of CONVOLUTIONS) {
    check(`Conv, ${name}`, "Conv", {
      parameters: [{ shape: image }, { shape: filters }, { shape: filters.slice(0, 1) }],
      build: (graph, inputs) => graph.operator("Conv", inputs, attributes),
    });
  }
  for (const { name, image, filters, attributes } of CONVOLUTIONS) {
    if (attributes.auto_pad !== undefined && attributes.strides !== undefined) continue;
    const declared = ["n", image[1]!, ...image.slice(2).map((_, at) => `size${at}`)];
    it(`with sizes known only when the graph runs: ${name}`, () =>
      checkGradients({
        parameters: [{ shape: image, declared }, { shape: filters }],
        build: (graph, inputs) => graph.operator("Conv", inputs, attributes),
        dtype: "float32",
      }));
  }
});

it("gradients of convolutions and pools are the same bits in every run on two threads", async () => {
  const graph = new GraphBuilder("bits");
  const images = graph.input("images", "float32", ["n", 3, 17, 17]);
  const filters = [
    [16, 3, 3, 3],
    [16, 1, 3, 3],
    [24, 16, 3, 3],
  ].map((shape, at) => graph.input(`filters${at}`, "float32", shape)) as [Value, Value, Value];
  const pads = [1, 1, 1, 1];
  let x = graph.conv(images, filters[0], undefined, { strides: [2, 2], pads });
  x = graph.maxPool(graph.conv(x, filters[1], undefined, { group: 16, pads }), [3, 3], { pads });
  x = graph.averagePool(graph.conv(x, filters[2], undefined, { pads }), [3, 3], { strides: [2, 2] });
  const loss = graph.reduceSum(graph.mul(x, x));
  for (const [at, gradient] of differentiate(graph, loss, [images, ...filters]).entries()) {
    graph.output(gradient, `gradient${at}`);
  }
  const random = generator(2);
  const feed = (shape: number[]) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return { dtype: "float32" as const, shape, data: Float32Array.from({ length }, () => 2 * random() - 1) };
  };
  const feeds: Record<string, Tensor> = { images: feed([64, 3, 17, 17]) };
  for (const { name, shape } of filters) feeds[name] = feed(shape.map(Number));
  const bits: Uint8Array[][] = [];
  for (let run = 0; run < 3; run++) {
    const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 2 });
    const gradients = Object.values(await session.run(feeds));
    bits.push(gradients.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
    await session.close();
  }
  assert.deepEqual(bits[1], bits[0]);
  assert.deepEqual(bits[2], bits[0]);
});

describe("gradients of pools equal central finite differences", () => {
  for (const { name, image, attributes } of POOLS) {
    check(`MaxPool, ${name}`, "MaxPool", {
      parameters: [{ shape: image, draw: distinct() }],
      build: (graph, inputs) => graph.operator("MaxPool", inputs, attributes),
    });
    for (const count of [0, 1]) {
      check(`AveragePool, ${name}, count_include_pad ${count}`, "AveragePool", {
        parameters: [{ shape: image }],
        build: (graph, inputs) => graph.operator("AveragePool", inputs, { ...attributes, count_include_pad: count }),
      });
    }
  }
  check("MaxPool, a window that hangs over the end", "MaxPool", {
    parameters: [{ shape: [1, 2, 6, 6], draw: distinct() }],
    build: (graph, inputs) =>
      graph.operator("MaxPool", inputs, { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  });
  check("MaxPool, dilated, of a batch not known while building", "MaxPool", {
    parameters: [{ shape: [2, 2, 5, 5], declared: ["n", 2, "height", "width"], draw: distinct() }],
    build: (graph, [x]) => graph.maxPool(x!, [2, 2], { dilations: [2, 2] }),
  });
  check("AveragePool of a batch not known while building", "AveragePool", {
    parameters: [{ shape: [2, 2, 5, 5], declared: ["n", 2, 5, 5] }],
    build: (graph, [x]) => graph.averagePool(x!, [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  });
  for (const declared of [undefined, ["n", 3, "height", "width"]]) {
    check(`GlobalAveragePool of ${declared ?? "known sizes"}`, "GlobalAveragePool", {
      parameters: [{ shape: [2, 3, 2, 4], declared }],
      build: (graph, [x]) => graph.globalAveragePool(x!),
    });
    check(`GlobalMaxPool of ${declared ?? "known sizes"}`, "GlobalMaxPool", {
      parameters: [{ shape: [2, 3, 2, 4], declared, draw: distinct() }],
      build: (graph, [x]) => graph.globalMaxPool(x!),
    });
  }

  it("a tie of MaxPool goes to the first, in every run", async () => {
    const graph = new GraphBuilder("ties");
    const x = graph.input("x", "float32", [1, 1, 3, 3]);
    graph.output(differentiate(graph, graph.reduceSum(graph.maxPool(x, [2, 2])), [x])[0]!, "gradient");
    const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 2 });
    const { gradient } = await session.run({ x: { dtype: "float32", shape: [1, 1, 3, 3], data: new Float32Array(9) } });
    await session.close();
    assert.deepEqual([...gradient!.data], [1, 1, 0, 1, 1, 0, 0, 0, 0]);
  });
});

describe("gradients of normalisations, activations and resizing equal central finite differences", () => {
  for (const shape of [
    [3, 2],
    [2, 3, 4],
    [2, 2, 2, 3],
  ]) {
    const channels = [shape[1]!];
    check(`BatchNormalization of [${shape}]`, "BatchNormalization", {
      parameters: [{ shape }, ...Array(3).fill({ shape: channels }), { shape: channels, draw: positive }],
      build: (graph, [x, scale, bias, mean, variance]) =>
        graph.batchNormalization(
          x!,
          // Statistics that are computed have gradients; stored ones have none.
          { scale: scale!, bias: bias!, mean: graph.identity(mean!), variance: graph.identity(variance!) },
          0.1,
        ),
    });
    if (shape.length === 2) continue;
    check(`InstanceNormalization of [${shape}]`, "InstanceNormalization", {
      parameters: [{ shape }, { shape: channels }, { shape: channels }],
      build: (graph, [x, scale, bias]) => graph.instanceNormalization(x!, scale!, bias!, 0.1),
    });
  }

  it("stored statistics are no weights", () => {
    const graph = new GraphBuilder("statistics");
    const x = graph.input("x", "float32", ["n", 3, 2, 2]);
    const [scale, bias, mean, variance] = ["scale", "bias", "mean", "variance"].map((name) =>
      graph.input(name, "float32", [3]),
    ) as [Value, Value, Value, Value];
    const loss = graph.reduceSum(graph.batchNormalization(x, { scale, bias, mean, variance }));
    assert.deepEqual(differentiate(graph, loss, [scale])[0]!.shape, [3]);
    assert.throws(() => differentiate(graph, loss, [variance]), /does not depend on the parameter "variance"/);
  });

  const activations: [string, Attributes][] = [
    ["HardSwish", {}],
    ["HardSigmoid", {}],
    ["HardSigmoid", { alpha: 1 / 6, beta: 0.5 }],
    ["LeakyRelu", {}],
    ["LeakyRelu", { alpha: 0.3 }],
    ["Elu", {}],
    ["Elu", { alpha: 0.5 }],
    ["Celu", { alpha: float(2) }],
    ["Selu", {}],
    ["Mish", {}],
    ["ThresholdedRelu", { alpha: 0.1 }],
  ];
  for (const [opType, attributes] of activations) {
    for (const shape of [[7], [2, 3, 4]]) {
      check(`${opType} of [${shape}] with ${JSON.stringify(attributes)}`, opType, {
        parameters: [{ shape, draw: offKinks }],
        build: (graph, inputs) => graph.operator(opType, inputs, attributes),
      });
    }
  }
  for (const slope of [[1], [3, 1, 1], [2, 3, 2, 2]]) {
    check(`PRelu, a slope of [${slope}]`, "PRelu", {
      parameters: [{ shape: [2, 3, 2, 2], draw: offKinks }, { shape: slope }],
      build: (graph, inputs) => graph.operator("PRelu", inputs),
    });
  }

  check("Resize by scales", "Resize", {
    parameters: [{ shape: [2, 2, 2, 3], declared: ["n", 2, 2, 3] }],
    build: (graph, [x]) => graph.upscale(x!, [2, 3]),
  });
  for (const [transformation, nearest] of [
    ["asymmetric", "floor"],
    ["half_pixel", "round_prefer_floor"],
    ["half_pixel", "round_prefer_ceil"],
    ["pytorch_half_pixel", "round_prefer_floor"],
  ]) {
    check(`Resize to sizes, ${transformation}, ${nearest}`, "Resize", {
      parameters: [{ shape: [1, 2, 3, 2] }],
      build: (graph, [x]) =>
        graph.operator("Resize", [x, undefined, undefined, graph.constant([1, 2, 6, 8], "int64")], {
          mode: "nearest",
          coordinate_transformation_mode: transformation,
          nearest_mode: nearest,
        }),
    });
  }

  it("covers every operator of convolutional nets", () => assert.deepEqual([...checked].sort(), IMAGE_OPERATORS));
});
