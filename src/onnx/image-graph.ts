import { Graph } from "./graph.js";
import { float, type Value } from "./value.js";

/** How a window slides; each list has a number for every spatial axis, `pads` those before all axes, then those after. */
export interface WindowOptions {
  /** @default 1 along each axis */
  readonly strides?: readonly number[];
  /** @default 1 along each axis */
  readonly dilations?: readonly number[];
  /** Zeros around the image. @default 0 on all sides */
  readonly pads?: readonly number[];
}

export interface PoolOptions extends WindowOptions {
  /** Whether padding counts in an average. @default false */
  readonly countIncludePad?: boolean;
}

/** The operators of convolutional nets. Images are (n, channels, ...spatial), as in (n, channels, height, width). */
export class ImageGraph extends Graph {
  /**
   * Convolution; with one group for each channel it is depthwise.
   * @param filters (out, channels / group, ...kernel)
   * @param bias (out)
   * @default group 1
   */
  conv(x: Value, filters: Value, bias?: Value, options: WindowOptions & { group?: number } = {}): Value {
    const { group = 1, ...window } = options;
    return this.operator("Conv", bias === undefined ? [x, filters] : [x, filters, bias], { ...window, group });
  }

  /** The largest element of each window. */
  maxPool(x: Value, kernel: readonly number[], options: WindowOptions = {}): Value {
    return this.operator("MaxPool", [x], { kernel_shape: kernel, ...options });
  }

  /** The mean of each window. */
  averagePool(x: Value, kernel: readonly number[], options: PoolOptions = {}): Value {
    const { countIncludePad = false, ...window } = options;
    const count = countIncludePad ? 1 : 0;
    return this.operator("AveragePool", [x], { kernel_shape: kernel, count_include_pad: count, ...window });
  }

  /** The mean over the spatial axes, which stay with size 1. */
  globalAveragePool(x: Value): Value {
    return this.operator("GlobalAveragePool", [x]);
  }

  globalMaxPool(x: Value): Value {
    return this.operator("GlobalMaxPool", [x]);
  }

  /** (x - mean) / sqrt(variance + epsilon) * scale + bias for each channel, with fixed statistics (Ioffe, Szegedy 2015). */
  batchNormalization(
    x: Value,
    parameters: { scale: Value; bias: Value; mean: Value; variance: Value },
    epsilon = 1e-5,
  ): Value {
    const { scale, bias, mean, variance } = parameters;
    return this.operator("BatchNormalization", [x, scale, bias, mean, variance], { epsilon: float(epsilon) });
  }

  /** Each channel of each image, normalised over its spatial axes. */
  instanceNormalization(x: Value, scale: Value, bias: Value, epsilon = 1e-5): Value {
    return this.operator("InstanceNormalization", [x, scale, bias], { epsilon: float(epsilon) });
  }

  /** x max(0, min(1, x/6 + 1/2)) (Howard et al. 2019). */
  hardSwish(x: Value): Value {
    return this.operator("HardSwish", [x]);
  }

  /** max(0, min(1, alpha x + beta)). */
  hardSigmoid(x: Value, alpha = 0.2, beta = 0.5): Value {
    return this.operator("HardSigmoid", [x], { alpha: float(alpha), beta: float(beta) });
  }

  /** x above 0, else alpha x. */
  leakyRelu(x: Value, alpha = 0.01): Value {
    return this.operator("LeakyRelu", [x], { alpha: float(alpha) });
  }

  /** (n, ...) as (n, all the rest), or split at another axis. */
  flatten(x: Value, axis = 1): Value {
    return this.operator("Flatten", [x], { axis });
  }

  /** Repeats each element of an image along its spatial axes by whole factors. */
  upscale(x: Value, factors: readonly number[]): Value {
    return this.operator("Resize", [x, undefined, this.constant([1, 1, ...factors])], {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    });
  }
}
