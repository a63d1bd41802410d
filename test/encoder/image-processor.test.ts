import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeEncoder, type ImagePreprocessing, openModelInputs } from "../../src/encoder/index.js";
import { Random } from "../../src/vector/index.js";
import { naiveResize } from "../image/support/naive-resize.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { writeEncoder } from "./support/tiny-encoder.js";
import { pngOf, randomImage } from "./support/tiny-image-encoder.js";

type Config = Record<string, unknown>;

async function describeWith(t: { after(work: () => void): void }, files: Record<string, object>) {
  const directory = temporaryDirectory(t as never);
  // Describing reads the model's bytes only.
  writeEncoder(directory, { "model.onnx": "model", ...files });
  const description = await describeEncoder(`file:${directory}`);
  assert.ok(description.modality === "image");
  return description;
}

const IMAGENET_MEAN = [0.485, 0.456, 0.406];
const IMAGENET_STD = [0.229, 0.224, 0.225];
const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];
const HALF = [0.5, 0.5, 0.5];
const imagenet = { image_mean: IMAGENET_MEAN, image_std: IMAGENET_STD };
const square = (side: number) => ({ width: side, height: side });

/** Configurations as they are on the hub, and what they mean, worked out by hand from the processors' code. */
const TRANSFORMERS: [string, Config, Partial<ImagePreprocessing>][] = [
  [
    "ViT as google/vit-base-patch16-224",
    {
      do_normalize: true,
      do_rescale: true,
      do_resize: true,
      image_mean: HALF,
      image_processor_type: "ViTImageProcessor",
      image_std: HALF,
      resample: 2,
      rescale_factor: 0.00392156862745098,
      size: { height: 224, width: 224 },
    },
    { size: square(224), resize: square(224), resampling: "bilinear", scale: 1 / 255, mean: [0.5, 0.5, 0.5] },
  ],
  [
    "DINO in the older form, one number for the size",
    {
      do_normalize: true,
      do_resize: true,
      feature_extractor_type: "ViTFeatureExtractor",
      ...imagenet,
      resample: 3,
      size: 224,
    },
    { size: square(224), resize: square(224), resampling: "bicubic", mean: [0.485, 0.456, 0.406] },
  ],
  [
    "DINOv2",
    {
      crop_size: { height: 224, width: 224 },
      do_center_crop: true,
      do_convert_rgb: true,
      image_processor_type: "BitImageProcessor",
      ...imagenet,
      resample: 3,
      size: { shortest_edge: 256 },
    },
    { size: square(224), resize: { shortestEdge: 256 }, resampling: "bicubic", std: [0.229, 0.224, 0.225] },
  ],
  [
    "CLIP in the older form",
    {
      crop_size: 224,
      do_center_crop: true,
      do_normalize: true,
      do_resize: true,
      feature_extractor_type: "CLIPFeatureExtractor",
      image_mean: CLIP_MEAN,
      image_std: CLIP_STD,
      resample: 3,
      size: 224,
    },
    {
      size: square(224),
      resize: { shortestEdge: 224 },
      resampling: "bicubic",
      std: [0.26862954, 0.26130258, 0.27577711],
    },
  ],
  [
    "DeiT",
    {
      image_processor_type: "DeiTImageProcessor",
      ...imagenet,
      size: { height: 256, width: 256 },
      crop_size: 224,
      resample: 3,
    },
    { size: square(224), resize: square(256) },
  ],
  [
    "ConvNeXt and ResNet below 384 pixels",
    { feature_extractor_type: "ConvNextFeatureExtractor", crop_pct: 0.875, ...imagenet, size: 224, resample: 3 },
    { size: square(224), resize: { shortestEdge: 256 }, resampling: "bicubic" },
  ],
  [
    "ConvNeXt at 384 pixels",
    { image_processor_type: "ConvNextImageProcessor", crop_pct: 0.95, ...imagenet, size: { shortest_edge: 384 } },
    { size: square(384), resize: square(384), resampling: "bilinear" },
  ],
  [
    "MobileNet V2",
    {
      image_processor_type: "MobileNetV2ImageProcessor",
      crop_size: { height: 224, width: 224 },
      size: { shortest_edge: 256 },
      image_mean: HALF,
      image_std: HALF,
      resample: 2,
    },
    { size: square(224), resize: { shortestEdge: 256 }, mean: [0.5, 0.5, 0.5] },
  ],
  [
    "MobileNet V1 that says nothing more",
    { image_processor_type: "MobileNetV1ImageProcessor" },
    { size: square(224), resize: { shortestEdge: 256 } },
  ],
  [
    "SigLIP",
    { image_processor_type: "SiglipImageProcessor", size: { height: 384, width: 384 }, resample: 3 },
    { size: square(384), resize: square(384), std: [0.5, 0.5, 0.5] },
  ],
  [
    "the fast form of a processor",
    { image_processor_type: "DINOv3ViTImageProcessorFast", size: { height: 518, width: 518 } },
    { size: square(518), mean: [0.485, 0.456, 0.406] },
  ],
  [
    "neither rescaling nor normalisation",
    {
      image_processor_type: "ViTImageProcessor",
      do_rescale: false,
      do_normalize: false,
      size: { height: 32, width: 48 },
    },
    { size: { width: 48, height: 32 }, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
  ],
  [
    "no resizing, only the centre",
    { image_processor_type: "CLIPImageProcessor", do_resize: false, crop_size: 96 },
    { size: square(96), resize: "none", mean: [0.48145466, 0.4578275, 0.40821073] },
  ],
];

const TIMM: [string, Config, Partial<ImagePreprocessing>][] = [
  [
    "a centre crop",
    { input_size: [3, 224, 224], interpolation: "bicubic", crop_pct: 0.9, mean: IMAGENET_MEAN, std: IMAGENET_STD },
    { size: square(224), resize: { shortestEdge: 248 }, resampling: "bicubic", scale: 1 / 255 },
  ],
  [
    "squashing",
    { input_size: [3, 256, 192], crop_pct: 1, crop_mode: "squash", mean: HALF, std: HALF },
    // As timm.data.resolve_data_config has it where a model's configuration is silent.
    { size: { width: 192, height: 256 }, resize: { width: 192, height: 256 }, resampling: "bicubic" },
  ],
];

describe("the preprocessing of images", () => {
  for (const [what, config, expected] of TRANSFORMERS) {
    it(`is read for ${what}`, async (t) => {
      const { preprocessing } = await describeWith(t, { "preprocessor_config.json": config });
      for (const [field, value] of Object.entries(expected)) {
        const actual = preprocessing[field as keyof ImagePreprocessing];
        if (typeof value === "number") assert.ok(Math.abs((actual as number) - value) < 1e-12);
        else assert.deepEqual(actual, value, field);
      }
    });
  }

  for (const [what, config, expected] of TIMM) {
    it(`is read from timm's config.json, with ${what}`, async (t) => {
      const files = { "config.json": { architecture: "resnet50", num_classes: 0, pretrained_cfg: config } };
      const { preprocessing } = await describeWith(t, files);
      for (const [field, value] of Object.entries(expected)) {
        assert.deepEqual(preprocessing[field as keyof ImagePreprocessing], value, field);
      }
    });
  }

  const refused: [string, Config, RegExp][] = [
    ["a processor that is not known", { image_processor_type: "EfficientNetImageProcessor" }, /EfficientNet/],
    [
      "a size that is not known",
      { image_processor_type: "ViTImageProcessor", size: { longest_edge: 224 } },
      /longest_edge/,
    ],
    ["images of different sizes", { image_processor_type: "CLIPImageProcessor", do_center_crop: false }, /crop_size/],
    ["a resampling that is not known", { image_processor_type: "ViTImageProcessor", resample: 4 }, /resample/],
    ["means of another number of channels", { image_mean: [0.5] }, /image_mean/],
    ["a flag that is none", { do_resize: "yes" }, /do_resize/],
    ["a standard deviation of 0", { image_std: [0, 1, 1] }, /std/],
    ["a side of 0", { size: 0 }, /sides/],
    ["an enormous side", { size: 100_000 }, /sides/],
    ["BGR", { do_flip_channel_order: true }, /BGR/],
  ];
  for (const [what, config, message] of refused) {
    it(`is refused for ${what}`, async (t) => {
      await assert.rejects(describeWith(t, { "preprocessor_config.json": config }), {
        code: "invalid_encoder",
        message,
      });
    });
  }

  it("is refused for a crop of timm's that is not known", async (t) => {
    const files = { "config.json": { pretrained_cfg: { input_size: [3, 64, 64], crop_mode: "border" } } };
    await assert.rejects(describeWith(t, files), { code: "invalid_encoder", message: /border/ });
  });

  it("gives what plain loops give: resized, cut out, and normalised channel by channel", async (t) => {
    const config = {
      image_processor_type: "CLIPImageProcessor",
      size: { shortest_edge: 10 },
      crop_size: 8,
      ...imagenet,
    };
    const inputs = await openModelInputs(await describeWith(t, { "preprocessor_config.json": config }));
    // Enlarging is exact to a level of 255.
    const image = randomImage(new Random(seedOf("image preprocessing", 2)), 9, 6);
    const [prepared, again] = await inputs.prepare([await pngOf(image), await pngOf(image)]);
    const { pixel_values: tensor } = inputs.feeds([prepared!, again!]);
    assert.deepEqual(tensor!.shape, [2, 3, 8, 8]);
    const resized = naiveResize(image, { width: 15, height: 10 }, "bicubic");
    for (let at = 0; at < 3 * 8 * 8; at++) {
      const [channel, y, x] = [Math.floor(at / 64), Math.floor(at / 8) % 8, at % 8];
      const byte = resized.data[((y + 1) * 15 + x + 3) * 3 + channel]!;
      const expected = (byte / 255 - IMAGENET_MEAN[channel]!) / IMAGENET_STD[channel]!;
      assert.ok(
        Math.abs((tensor!.data[at] as number) - expected) <= 1.01 / 255 / IMAGENET_STD[channel]!,
        `number ${at}`,
      );
      assert.equal(tensor!.data[at], tensor!.data[192 + at]);
    }
  });

  it("refuses an image so narrow that its resized longer side would be enormous", async (t) => {
    const config = { image_processor_type: "CLIPImageProcessor" };
    const inputs = await openModelInputs(await describeWith(t, { "preprocessor_config.json": config }));
    const narrow = await pngOf(randomImage(new Random(1), 1, 4_000));
    await assert.rejects(inputs.prepare([narrow]), { code: "image_too_large" });
  });
});
