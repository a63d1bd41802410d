import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import {
  type Attributes,
  differentiate,
  encodeModel,
  float,
  GraphBuilder,
  type Shape,
  type Value,
} from "../../src/onnx/index.js";
import { openSession, type Tensor } from "../../src/runtime/index.js";
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

interface ConvCase {
  name: string;
  image: readonly number[];
  filters: readonly number[];
  attributes: Attributes;
}

const CONVOLUTIONS: ConvCase[] = [
  { name: "few channels", image: [2, 3, 5, 5], filters: [4, 3, 3, 3], attributes: {} },
  {
    name: "few channels, stride 2 and an element left over",
    image: [2, 3, 6, 7],
    filters: [2, 3, 3, 2],
    attributes: { strides: [2, 2], pads: [1, 0, 1, 1] },
  },
  {
    name: "few channels, dilated, with stride 2",
    image: [2, 1, 8, 7],
    filters: [2, 1, 2, 3],
    attributes: { strides: [2, 1], dilations: [2, 2], pads: [0, 1, 1, 2] },
  },
  { name: "many channels", image: [2, 6, 4, 3], filters: [3, 6, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
  {
    name: "many channels, stride 2",
    image: [1, 5, 5, 6],
    filters: [2, 5, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    name: "many channels, pads of four kinds",
    image: [1, 5, 4, 4],
    filters: [2, 5, 3, 2],
    attributes: { pads: [2, 0, 1, 1] },
  },
  {
    name: "many channels, dilated",
    image: [1, 5, 6, 5],
    filters: [2, 5, 3, 2],
    attributes: { dilations: [2, 3], pads: [1, 1, 1, 1] },
  },
  { name: "1 x 1", image: [2, 5, 3, 2], filters: [3, 5, 1, 1], attributes: {} },
  { name: "1 x 1, stride 2", image: [2, 5, 4, 3], filters: [3, 5, 1, 1], attributes: { strides: [2, 2] } },
  { name: "two groups", image: [2, 4, 4, 4], filters: [6, 2, 3, 3], attributes: { group: 2, pads: [1, 1, 1, 1] } },
  {
    name: "two groups, stride 2, dilated",
    image: [1, 4, 6, 6],
    filters: [4, 2, 2, 2],
    attributes: { group: 2, strides: [2, 2], dilations: [2, 1] },
  },
  { name: "depthwise", image: [2, 3, 4, 4], filters: [3, 1, 3, 3], attributes: { group: 3, pads: [1, 1, 1, 1] } },
  {
    name: "depthwise, stride 2",
    image: [2, 3, 5, 4],
    filters: [3, 1, 3, 3],
    attributes: { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  { name: "depthwise, two filters a channel", image: [1, 3, 4, 4], filters: [6, 1, 2, 2], attributes: { group: 3 } },
  { name: "patches side by side", image: [2, 3, 4, 6], filters: [5, 3, 2, 3], attributes: { strides: [2, 3] } },
  {
    name: "patches, the last ones cut off",
    image: [2, 3, 5, 5],
    filters: [4, 3, 2, 2],
    attributes: { strides: [2, 2] },
  },
  { name: "one spatial axis", image: [2, 5, 7], filters: [3, 5, 3], attributes: { strides: [2], pads: [1, 1] } },
  { name: "one spatial axis, few channels", image: [2, 2, 7], filters: [3, 2, 4], attributes: { pads: [2, 1] } },
  { name: "one spatial axis, patches", image: [2, 2, 7], filters: [3, 2, 3], attributes: { strides: [3] } },
  {
    name: "auto_pad SAME_UPPER, stride 2",
    image: [1, 5, 5, 4],
    filters: [2, 5, 3, 3],
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
  },
  {
    name: "auto_pad SAME_LOWER, an even kernel",
    image: [1, 2, 4, 4],
    filters: [2, 2, 2, 2],
    attributes: { auto_pad: "SAME_LOWER" },
  },
  { name: "auto_pad VALID", image: [1, 2, 4, 4], filters: [2, 2, 2, 2], attributes: { auto_pad: "VALID" } },
];

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

interface PoolCase {
  name: string;
  image: readonly number[];
  attributes: Attributes;
}

const POOLS: PoolCase[] = [
  { name: "2 x 2", image: [2, 2, 4, 4], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  { name: "an odd size", image: [1, 2, 5, 5], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  {
    name: "overlapping, padded",
    image: [2, 2, 5, 4],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  { name: "stride 1", image: [1, 2, 4, 4], attributes: { kernel_shape: [3, 2] } },
  {
    name: "windows of two steps, padded",
    image: [2, 2, 6, 7],
    attributes: { kernel_shape: [4, 2], strides: [2, 1], pads: [1, 1, 1, 0] },
  },
  {
    name: "windows of three steps, an element left over",
    image: [1, 2, 8, 4],
    attributes: { kernel_shape: [6, 3], strides: [2, 1], pads: [2, 1, 1, 1] },
  },
  {
    name: "uneven pads",
    image: [1, 2, 4, 5],
    attributes: { kernel_shape: [3, 3], strides: [1, 2], pads: [0, 1, 2, 1] },
  },
  { name: "strides beyond the kernel", image: [1, 2, 7, 7], attributes: { kernel_shape: [2, 2], strides: [3, 4] } },
  {
    name: "SAME_UPPER",
    image: [1, 2, 5, 5],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" },
  },
  { name: "one spatial axis", image: [2, 2, 6], attributes: { kernel_shape: [3], strides: [2], pads: [1, 0] } },
];

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

describe("inference of convolutional operators agrees with what ONNX Runtime computes", () => {
  const cases: [string, Shape, (graph: GraphBuilder, x: Value) => Value][] = [
    ...CONVOLUTIONS.map(
      ({ name, image, filters, attributes }): [string, Shape, (g: GraphBuilder, x: Value) => Value] => [
        `Conv, ${name}`,
        image,
        (graph, x) => graph.operator("Conv", [x, graph.constantOfShape(filters, 1)], attributes),
      ],
    ),
    ...POOLS.map(({ name, image, attributes }): [string, Shape, (g: GraphBuilder, x: Value) => Value] => [
      `MaxPool, ${name}`,
      image,
      (graph, x) => graph.operator("MaxPool", [x], attributes),
    ]),
    ...[3, 4, 5, 6, 7, 8].map((size): [string, Shape, (g: GraphBuilder, x: Value) => Value] => [
      `MaxPool with ceil_mode of ${size}`,
      [1, 1, size, size],
      (graph, x) =>
        graph.operator("MaxPool", [x], { kernel_shape: [2, 3], strides: [3, 2], pads: [1, 1, 1, 1], ceil_mode: 1 }),
    ]),
    [
      "ConvTranspose",
      [1, 4, 3, 4],
      (graph, x) =>
        graph.operator("ConvTranspose", [x, graph.constantOfShape([4, 3, 3, 2], 1)], {
          strides: [2, 3],
          pads: [1, 0, 0, 1],
          dilations: [1, 2],
          output_padding: [1, 0],
          group: 2,
        }),
    ],
    ["Resize", [1, 2, 3, 5], (graph, x) => graph.operator("Resize", [x, undefined, graph.constant([1, 1, 2.5, 0.5])])],
    [
      "Resize of some axes",
      [1, 2, 3, 5],
      (graph, x) =>
        graph.operator("Resize", [x, undefined, undefined, graph.constant([4], "int64")], {
          axes: [-1],
          mode: "linear",
        }),
    ],
  ];
  for (const [name, image, build] of cases) {
    for (const declared of [image, image.map((size, axis) => (axis === 1 ? size : `size${axis}`))]) {
      it(`${name}, x declared as [${declared}]`, async () => {
        const graph = new GraphBuilder("inference");
        const x = graph.input("x", "float32", declared);
        let y: Value;
        try {
          y = build(graph, x);
        } catch (error) {
          assert.match((error as Error).message, /known sizes/);
          assert.notEqual(declared, image, "known sizes are known");
          return;
        }
        graph.output(y, "y");
        const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
        const count = image.reduce<number>((product, size) => product * Number(size), 1);
        const outputs = await session.run({
          x: { dtype: "float32", shape: image.map(Number), data: new Float32Array(count) },
        });
        await session.close();
        const found = outputs.y!.shape;
        assert.equal(y.shape.length, found.length);
        for (const [axis, size] of y.shape.entries()) {
          if (declared === image || typeof size === "number") assert.equal(size, found[axis], `axis ${axis}`);
        }
      });
    }
  }

  it("two branches that shrink alike have dimensions of one name", () => {
    const graph = new GraphBuilder("branches");
    const x = graph.input("x", "float32", ["n", 3, "height", "width"]);
    const main = graph.conv(x, graph.constantOfShape([4, 3, 3, 3], 1), undefined, {
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
    const side = graph.conv(x, graph.constantOfShape([4, 3, 1, 1], 1), undefined, { strides: [2, 2] });
    assert.deepEqual(graph.add(main, side).shape, main.shape);
    const same = graph.conv(x, graph.constantOfShape([3, 3, 3, 3], 1), undefined, { pads: [1, 1, 1, 1] });
    assert.deepEqual(same.shape, x.shape);
  });
});

describe("refusals of convolutional operators name the node", () => {
  const filters = (graph: GraphBuilder, ...shape: number[]) => graph.constantOfShape(shape, 1);
  const sum = (graph: GraphBuilder, x: Value, y: Value) => differentiate(graph, graph.reduceSum(y), [x]);
  const cases: [string, RegExp, (graph: GraphBuilder, x: Value) => unknown][] = [
    [
      "channels that do not fit",
      /\(Conv\).*take 2 channels.*\[2, 4, 6, 6\]/,
      (g, x) => g.conv(x, filters(g, 3, 2, 3, 3)),
    ],
    [
      "filters that do not divide",
      /\(Conv\).*3 filters.*2 groups/,
      (g, x) => g.conv(x, filters(g, 3, 2, 3, 3), undefined, { group: 2 }),
    ],
    ["filters of another rank", /\(Conv\).*same rank/, (g, x) => g.conv(x, filters(g, 3, 4, 3))],
    [
      "a kernel larger than the image",
      /\(Conv\).*kernel of \[7,7\] is larger/,
      (g, x) => g.conv(x, filters(g, 3, 4, 7, 7)),
    ],
    [
      "strides of another rank",
      /\(Conv\).*strides should have 2/,
      (g, x) => g.conv(x, filters(g, 3, 4, 3, 3), undefined, { strides: [2] }),
    ],
    [
      "a stride of 0",
      /\(Conv\).*strides must be at least 1/,
      (g, x) => g.conv(x, filters(g, 3, 4, 3, 3), undefined, { strides: [0, 1] }),
    ],
    ["a bias that is no vector", /\(Conv\).*bias/, (g, x) => g.conv(x, filters(g, 3, 4, 3, 3), filters(g, 3, 1))],
    [
      "an unknown auto_pad",
      /\(Conv\).*auto_pad is SAME/,
      (g, x) => g.operator("Conv", [x, filters(g, 3, 4, 3, 3)], { auto_pad: "SAME" }),
    ],
    ["a group of 0", /\(Conv\).*group must be/, (g, x) => g.conv(x, filters(g, 3, 4, 3, 3), undefined, { group: 0 })],
    [
      "an output_shape",
      /\(ConvTranspose\).*output_shape/,
      (g, x) => g.operator("ConvTranspose", [x, filters(g, 4, 1, 3, 3)], { output_shape: [9, 9] }),
    ],
    ["a pool without kernel", /\(MaxPool\).*kernel_shape is missing/, (g, x) => g.operator("MaxPool", [x])],
    ["a pool of another rank", /\(AveragePool\).*kernel_shape \[2\]/, (g, x) => g.averagePool(x, [2])],
    ["a pool larger than the image", /\(MaxPool\).*larger/, (g, x) => g.maxPool(x, [8, 8])],
    ["a pool of a matrix", /\(GlobalAveragePool\).*\[2, 144\]/, (g, x) => g.globalAveragePool(g.flatten(x))],
    [
      "statistics of a batch",
      /\(BatchNormalization\).*training_mode/,
      (g, x) => {
        const v = g.constant([1, 1, 1, 1]);
        return g.operator("BatchNormalization", [x, v, v, v, v], { training_mode: 1 });
      },
    ],
    [
      "statistics of other channels",
      /\(BatchNormalization\).*each channel/,
      (g, x) => {
        const v = g.constant([1, 1, 1]);
        return g.batchNormalization(x, { scale: v, bias: v, mean: v, variance: v });
      },
    ],
    ["a slope that is too large", /\(PRelu\).*slope/, (g, x) => g.operator("PRelu", [x, g.unsqueeze(x, [0])])],
    ["neither scales nor sizes", /\(Resize\).*either scales or sizes/, (g, x) => g.operator("Resize", [x])],
    ["too few scales", /\(Resize\).*4 numbers/, (g, x) => g.operator("Resize", [x, undefined, g.constant([2, 2])])],
    [
      "the gradient of a linear resize",
      /\(Resize\).*mode nearest.*linear/,
      (g, x) => sum(g, x, g.operator("Resize", [x, undefined, g.constant([1, 1, 2, 2])], { mode: "linear" })),
    ],
    [
      "the gradient of a resize by 1.5",
      /\(Resize\).*whole numbers.*got 6 to 9/,
      (g, x) => sum(g, x, g.upscale(x, [1.5, 1])),
    ],
    [
      "the gradient of aligned corners",
      /\(Resize\).*align_corners/,
      (g, x) =>
        sum(
          g,
          x,
          g.operator("Resize", [x, undefined, g.constant([1, 1, 2, 2])], {
            coordinate_transformation_mode: "align_corners",
          }),
        ),
    ],
    [
      "the gradient of an average over the end",
      /\(AveragePool\).*ceil_mode/,
      (g, x) => sum(g, x, g.operator("AveragePool", [x], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 })),
    ],
    [
      "the gradient of a dilated average",
      /\(AveragePool\).*dilations/,
      (g, x) => sum(g, x, g.averagePool(x, [2, 2], { dilations: [2, 2] })),
    ],
    [
      "the gradient of a pool counted by columns",
      /\(MaxPool\).*storage_order/,
      (g, x) => sum(g, x, g.operator("MaxPool", [x], { kernel_shape: [2, 2], storage_order: 1 })),
    ],
    [
      "an average of sizes not known",
      /\(AveragePool\).*known while building/,
      (g) => {
        const x = g.input("wide", "float32", [1, 1, 8, "width"]);
        return sum(g, x, g.averagePool(x, [2, 2]));
      },
    ],
    [
      "SAME padding of sizes not known",
      /\(Conv\).*known sizes/,
      (g) =>
        g.operator("Conv", [g.input("wide", "float32", [1, 1, 8, "width"]), filters(g, 1, 1, 3, 3)], {
          auto_pad: "SAME_UPPER",
          strides: [2, 2],
        }),
    ],
  ];
  for (const [name, part, build] of cases) {
    it(name, () => {
      const graph = new GraphBuilder("refusals");
      const x = graph.input("x", "float32", [2, 4, 6, 6]);
      assert.throws(
        () => build(graph, x),
        (error) => error instanceof AttuneError && error.code === "invalid_model" && part.test(error.message),
      );
    });
  }
});
