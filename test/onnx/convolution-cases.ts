import type { Attributes } from "../../src/onnx/index.js";

/** A convolution, with its image [n, channels, ...] and filters [out, in / groups, ...]. */
export interface ConvCase {
  name: string;
  image: readonly number[];
  filters: readonly number[];
  attributes: Attributes;
}

export const CONVOLUTIONS: ConvCase[] = [
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
/** A pool, with its image. */
export interface PoolCase {
  name: string;
  image: readonly number[];
  attributes: Attributes;
}

export const POOLS: PoolCase[] = [
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
