import { describe, it } from "node:test";
import type { Tensor } from "../../src/runtime/index.js";
import { generator } from "./gradient-check.js";
import { checkModel } from "./zoo/check-model.js";
import { ModelWriter } from "./zoo/model-writer.js";

/* Convolutional nets in the node patterns that torch.onnx.export writes of torchvision and timm, with few channels and random weights. */

const SIZE = 12;
const SHAPE = ["batch_size", 3, SIZE, SIZE];

interface Window {
  kernel: number;
  stride?: number;
  pad?: number;
  group?: number;
}

class ConvolutionWriter extends ModelWriter {
  /** Weights that are no weights of training: the statistics of a batch normalisation. */
  readonly statistics = new Set<string>();

  conv(x: string, name: string, from: number, to: number, window: Window, bias = true): string {
    const { kernel, stride = 1, pad = 0, group = 1 } = window;
    const filters = this.weight(`${name}.weight`, [to, from / group, kernel, kernel]);
    return this.node("Conv", [x, filters, ...(bias ? [this.weight(`${name}.bias`, [to])] : [])], {
      dilations: [1, 1],
      group,
      kernel_shape: [kernel, kernel],
      pads: [pad, pad, pad, pad],
      strides: [stride, stride],
    });
  }

  batchNorm(x: string, name: string, channels: number): string {
    for (const each of ["running_mean", "running_var"]) this.statistics.add(`${name}.${each}`);
    const parameters = [
      this.weight(`${name}.weight`, [channels], 1),
      this.weight(`${name}.bias`, [channels], 0.2),
      this.weight(`${name}.running_mean`, [channels]),
      this.weight(`${name}.running_var`, [channels], 1),
    ];
    return this.node("BatchNormalization", [x, ...parameters], { epsilon: { float: 1e-5 }, momentum: { float: 0.9 } });
  }

  /** A convolution and its normalisation, as two nodes or as one. */
  convNorm(x: string, name: string, from: number, to: number, window: Window, folded: boolean): string {
    const y = this.conv(x, name, from, to, window, folded);
    return folded ? y : this.batchNorm(y, `${name}.bn`, to);
  }

  linear(x: string, name: string, from: number, to: number): string {
    const inputs = [x, this.weight(`${name}.weight`, [to, from]), this.weight(`${name}.bias`, [to])];
    return this.node("Gemm", inputs, { alpha: { float: 1 }, beta: { float: 1 }, transB: 1 });
  }

  pooled(x: string): string {
    return this.node("Flatten", [this.node("GlobalAveragePool", [x])], { axis: 1 });
  }

  relu6(x: string): string {
    return this.node("Clip", [x, this.constant(0), this.constant(6)]);
  }

  swish(x: string): string {
    return this.node("Mul", [x, this.node("Sigmoid", [x])]);
  }

  /** Channels weighed by what all of the image holds (Hu et al. 2018). */
  squeezeExcite(x: string, name: string, channels: number, gate: string): string {
    const squeezed = this.conv(this.node("GlobalAveragePool", [x]), `${name}.fc1`, channels, 2, { kernel: 1 });
    const excited = this.conv(this.node("Relu", [squeezed]), `${name}.fc2`, 2, channels, { kernel: 1 });
    return this.node("Mul", [this.node(gate, [excited]), x]);
  }
}

/** ResNet: a stem with max pooling, a block that halves the size with a projection beside it, and the mean of the last map. */
const resNet = (folded: boolean) => (w: ConvolutionWriter, pixels: string) => {
  const stem = w.convNorm(pixels, "conv1", 3, 6, { kernel: 7, stride: 2, pad: 3 }, folded);
  const x = w.node("MaxPool", [w.node("Relu", [stem])], {
    ceil_mode: 0,
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
    strides: [2, 2],
  });
  const inner = w.node("Relu", [w.convNorm(x, "layer1.conv1", 6, 8, { kernel: 3, stride: 2, pad: 1 }, folded)]);
  const outer = w.convNorm(inner, "layer1.conv2", 8, 8, { kernel: 3, pad: 1 }, folded);
  const beside = w.convNorm(x, "layer1.downsample", 6, 8, { kernel: 1, stride: 2 }, folded);
  return w.pooled(w.node("Relu", [w.node("Add", [outer, beside])]));
};

/** MobileNetV2: widened, filtered channel by channel, narrowed again, around which the input is added. */
function mobileNetV2(w: ConvolutionWriter, pixels: string): string {
  const x = w.relu6(w.convNorm(pixels, "features.0", 3, 4, { kernel: 3, stride: 2, pad: 1 }, false));
  const wide = w.relu6(w.convNorm(x, "features.1.expand", 4, 12, { kernel: 1 }, true));
  const filtered = w.relu6(w.convNorm(wide, "features.1.depthwise", 12, 12, { kernel: 3, pad: 1, group: 12 }, false));
  return w.pooled(w.node("Add", [x, w.convNorm(filtered, "features.1.project", 12, 4, { kernel: 1 }, false)]));
}

/** MobileNetV3: HardSwish, and channels weighed by a HardSigmoid. */
function mobileNetV3(w: ConvolutionWriter, pixels: string): string {
  const hardSwish = (x: string) => w.node("HardSwish", [x]);
  const x = hardSwish(w.convNorm(pixels, "features.0", 3, 4, { kernel: 3, stride: 2, pad: 1 }, true));
  const wide = hardSwish(w.convNorm(x, "features.1.expand", 4, 8, { kernel: 1 }, true));
  const filtered = hardSwish(
    w.convNorm(wide, "features.1.depthwise", 8, 8, { kernel: 5, stride: 2, pad: 2, group: 8 }, true),
  );
  const weighed = w.squeezeExcite(filtered, "features.1.se", 8, "HardSigmoid");
  return w.linear(w.pooled(w.convNorm(weighed, "features.1.project", 8, 6, { kernel: 1 }, true)), "classifier", 6, 5);
}

/** EfficientNet and RegNet: swish, channels weighed by a Sigmoid, convolutions in groups. */
function efficientNet(w: ConvolutionWriter, pixels: string): string {
  const x = w.swish(w.convNorm(pixels, "stem", 3, 8, { kernel: 3, stride: 2, pad: 1 }, false));
  const grouped = w.swish(w.convNorm(x, "blocks.0.grouped", 8, 8, { kernel: 3, pad: 1, group: 2 }, false));
  const weighed = w.squeezeExcite(grouped, "blocks.0.se", 8, "Sigmoid");
  return w.pooled(w.node("Add", [w.convNorm(weighed, "blocks.0.project", 8, 8, { kernel: 1 }, false), x]));
}

/** LeNet and VGG: convolutions, pools, and linear layers over the flattened map. */
function leNet(w: ConvolutionWriter, pixels: string): string {
  const first = w.node("Relu", [w.conv(pixels, "features.0", 3, 6, { kernel: 3, pad: 1 })]);
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  const second = w.node("Relu", [w.conv(w.node("MaxPool", [first], pool), "features.3", 6, 8, { kernel: 3 })]);
  const flat = w.node("Flatten", [w.node("AveragePool", [second], pool)], { axis: 1 });
  return w.linear(w.node("Relu", [w.linear(flat, "classifier.0", 32, 6)]), "classifier.2", 6, 4);
}

/** ConvNeXt: patches, filters of 7 x 7 channel by channel, layer normalisation over the channels, Gelu, and a scale for each channel. */
function convNeXt(w: ConvolutionWriter, pixels: string): string {
  const [channelsLast, channelsFirst] = [{ perm: [0, 2, 3, 1] }, { perm: [0, 3, 1, 2] }];
  const norm = (x: string, name: string) => {
    const parameters = [w.weight(`${name}.weight`, [6], 1), w.weight(`${name}.bias`, [6])];
    return w.node("LayerNormalization", [x, ...parameters], { axis: -1, epsilon: { float: 1e-6 } });
  };
  const dense = (x: string, name: string, from: number, to: number) =>
    w.node("Add", [w.node("MatMul", [x, w.weight(`${name}.weight`, [from, to])]), w.weight(`${name}.bias`, [to])]);
  const patches = w.node("Transpose", [w.conv(pixels, "stem.0", 3, 6, { kernel: 4, stride: 4 })], channelsLast);
  const x = w.node("Transpose", [norm(patches, "stem.1")], channelsFirst);
  const filtered = w.conv(x, "block.dwconv", 6, 6, { kernel: 7, pad: 3, group: 6 });
  const inner = dense(norm(w.node("Transpose", [filtered], channelsLast), "block.norm"), "block.fc1", 6, 12);
  const erf = w.node("Erf", [w.node("Div", [inner, w.constant(Math.SQRT2)])]);
  const gelu = w.node("Mul", [w.node("Mul", [inner, w.node("Add", [erf, w.constant(1)])]), w.constant(0.5)]);
  const outer = w.node("Mul", [dense(gelu, "block.fc2", 12, 6), w.weight("block.gamma", [6], 1)]);
  const sum = w.node("Add", [x, w.node("Transpose", [outer], channelsFirst)]);
  return w.node("Flatten", [w.reduceMean(sum, [2, 3])], { axis: 1 });
}

/** A feature pyramid: a small map enlarged beside a large one. */
function pyramid(w: ConvolutionWriter, pixels: string): string {
  const large = w.node("LeakyRelu", [w.conv(pixels, "large", 3, 5, { kernel: 3, stride: 2, pad: 1 })], {
    alpha: { float: 0.1 },
  });
  const small = w.node("Elu", [w.conv(large, "small", 5, 6, { kernel: 3, stride: 2, pad: 1 })]);
  const enlarged = w.node("Resize", [small, "", w.buffer("scales", "float32", [4], [1, 1, 2, 2])], {
    coordinate_transformation_mode: "asymmetric",
    mode: "nearest",
    nearest_mode: "floor",
  });
  const joined = w.node("Concat", [large, enlarged], { axis: 1 });
  const normal = w.node("InstanceNormalization", [
    joined,
    w.weight("norm.weight", [11], 1),
    w.weight("norm.bias", [11]),
  ]);
  const slope = w.weight("slope", [11, 1, 1], 0.3);
  return w.pooled(w.conv(w.node("PRelu", [normal, slope]), "top", 11, 5, { kernel: 3, pad: 1 }));
}

describe("convolutional nets as exported", () => {
  const random = generator(5);
  const pixels: Tensor = {
    dtype: "float32",
    shape: [2, 3, SIZE, SIZE],
    data: Float32Array.from({ length: 2 * 3 * SIZE * SIZE }, () => 2 * random() - 1),
  };
  const nets: [string, number, (w: ConvolutionWriter, pixels: string) => string][] = [
    ["ResNet", 13, resNet(false)],
    ["ResNet, normalisation folded into the convolutions", 17, resNet(true)],
    ["MobileNetV2", 11, mobileNetV2],
    ["MobileNetV3", 17, mobileNetV3],
    ["EfficientNet", 14, efficientNet],
    ["LeNet", 18, leNet],
    ["ConvNeXt", 17, convNeXt],
    ["a feature pyramid", 13, pyramid],
  ];
  for (const [name, opset, write] of nets) {
    it(name, async () => {
      const writer = new ConvolutionWriter(opset, 2);
      writer.output(write(writer, writer.input("pixel_values", "float32", SHAPE)));
      await checkModel({
        model: writer.model(),
        feeds: { pixel_values: pixels },
        weights: [...writer.weights.keys()].filter((weight) => !writer.statistics.has(weight)),
        rank: 2,
        step: 0.001,
      });
    });
  }
});
