import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import { differentiate, encodeModel, GraphBuilder, type Shape, type Value } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";
import { CONVOLUTIONS, POOLS } from "./convolution-cases.js";

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
