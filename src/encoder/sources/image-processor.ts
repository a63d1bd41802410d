import { join } from "node:path";
import { AttuneError } from "../../errors/index.js";
import type { Resampling, Size } from "../../image/index.js";
import { isJsonObject, type JsonObject, readJsonObject } from "../files.js";
import type { ImagePreprocessing, PerChannel } from "../inputs/image-preprocessing.js";

/** What an image processor of transformers does where its configuration is silent. */
interface Defaults {
  size: Size | { shortestEdge: number };
  /** Size of the centre that is cut out; undefined where nothing is. */
  crop?: number;
  resampling: Resampling;
  mean: PerChannel;
  std: PerChannel;
}

const HALF: PerChannel = [0.5, 0.5, 0.5];
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const CLIP = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] } as const;
const square = (side: number): Size => ({ width: side, height: side });

/** By the name of the class, without `ImageProcessor`, `ImageProcessorFast` or `FeatureExtractor`. */
const PROCESSORS: Record<string, Defaults> = {
  ViT: { size: square(224), resampling: "bilinear", mean: HALF, std: HALF },
  DeiT: { size: square(256), crop: 224, resampling: "bicubic", mean: HALF, std: HALF },
  CLIP: { size: { shortestEdge: 224 }, crop: 224, resampling: "bicubic", ...CLIP },
  Bit: { size: { shortestEdge: 224 }, crop: 224, resampling: "bicubic", ...CLIP },
  ConvNext: { size: { shortestEdge: 384 }, resampling: "bilinear", mean: HALF, std: HALF },
  MobileNetV1: { size: { shortestEdge: 256 }, crop: 224, resampling: "bilinear", mean: HALF, std: HALF },
  MobileNetV2: { size: { shortestEdge: 256 }, crop: 224, resampling: "bilinear", mean: HALF, std: HALF },
  Siglip: { size: square(224), resampling: "bicubic", mean: HALF, std: HALF },
  DINOv3ViT: { size: square(224), resampling: "bilinear", ...IMAGENET },
};
/** Pillow's numbers. */
const RESAMPLINGS: Record<number, Resampling> = { 0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic" };
/** ConvNext's processor cuts nothing off from this size on. */
const CONVNEXT_UNCUT = 384;
const CONVNEXT_CROP_SHARE = 224 / 256;
const LARGEST_SIDE = 4096;

/**
 * How images are prepared for the model in a directory: by its `preprocessor_config.json` (the image processors of transformers
 * for ViT, DeiT, CLIP, DINO and DINOv2 (ViT, Bit), DINOv3, SigLIP, ConvNeXt and ResNet (ConvNext), MobileNet V1 and V2), else by
 * timm's `config.json`.
 * @throws invalid_encoder naming the file and what in it is not supported
 */
export async function readImagePreprocessing(root: string, config: JsonObject): Promise<ImagePreprocessing> {
  const path = join(root, "preprocessor_config.json");
  const processor = await readJsonObject(path);
  if (processor !== undefined) return checked(ofTransformers(new Settings(processor, path)), path);
  const timmPath = join(root, "config.json");
  const timm = isJsonObject(config.pretrained_cfg) ? config.pretrained_cfg : config;
  return checked(ofTimm(new Settings(timm, timmPath)), timmPath);
}

function ofTransformers(settings: Settings): ImagePreprocessing {
  const name = processorName(settings);
  const defaults = PROCESSORS[name];
  if (defaults === undefined) {
    throw settings.refuse(
      `is for the image processor ${name}, which is not supported; supported are ${Object.keys(PROCESSORS).join(", ")}`,
    );
  }
  if (settings.flag("do_flip_channel_order", false))
    throw settings.refuse("asks for BGR channels, which is not supported");
  const normalizes = settings.flag("do_normalize", true);
  return {
    ...(name === "ConvNext" ? convNextSizes(settings, defaults) : sizes(settings, defaults)),
    resampling: settings.resampling("resample") ?? defaults.resampling,
    scale: settings.flag("do_rescale", true) ? (settings.number("rescale_factor") ?? 1 / 255) : 1,
    mean: normalizes ? (settings.perChannel("image_mean") ?? defaults.mean) : [0, 0, 0],
    std: normalizes ? (settings.perChannel("image_std") ?? defaults.std) : [1, 1, 1],
  };
}

function processorName(settings: Settings): string {
  const name = settings.text("image_processor_type") ?? settings.text("feature_extractor_type") ?? "ViT";
  return name.replace(/(ImageProcessor(Fast)?|FeatureExtractor)$/, "");
}

function sizes(settings: Settings, defaults: Defaults): Pick<ImagePreprocessing, "size" | "resize"> {
  const resize = settings.flag("do_resize", true)
    ? (settings.size("size", "width" in defaults.size) ?? defaults.size)
    : "none";
  const crops = settings.flag("do_center_crop", defaults.crop !== undefined);
  const crop = crops ? (settings.size("crop_size", true) ?? square(defaults.crop ?? 224)) : undefined;
  const size = crop ?? resize;
  if (size !== "none" && "width" in size) return { size, resize };
  throw settings.refuse("leaves images of different sizes; set crop_size, or a size of height and width");
}

/** The processor of ConvNeXt and ResNet: up to 384 pixels the image is made larger by 1 / crop_pct and its centre is cut out. */
function convNextSizes(settings: Settings, defaults: Defaults): Pick<ImagePreprocessing, "size" | "resize"> {
  const asked = settings.size("size", false) ?? defaults.size;
  const side = "shortestEdge" in asked ? asked.shortestEdge : asked.height;
  if (!settings.flag("do_resize", true)) throw settings.refuse("leaves images of different sizes; set do_resize");
  if (side >= CONVNEXT_UNCUT) return { size: square(side), resize: square(side) };
  const share = settings.number("crop_pct") ?? CONVNEXT_CROP_SHARE;
  return { size: square(side), resize: { shortestEdge: Math.floor(side / share) } };
}

/** timm's transformation for evaluation, by the fields of its `pretrained_cfg`. */
function ofTimm(settings: Settings): ImagePreprocessing {
  const [, height = 0, width = 0] = settings.numbers("input_size", 3) ?? [3, 224, 224];
  const share = settings.number("crop_pct") ?? 0.875;
  const larger = { width: Math.floor(width / share), height: Math.floor(height / share) };
  const mode = settings.text("crop_mode") ?? "center";
  if (mode !== "squash" && !(mode === "center" && width === height)) {
    throw settings.refuse(
      `asks for crop_mode ${mode} at ${width} x ${height}; supported are squash, and center of a square`,
    );
  }
  return {
    size: { width, height },
    resize: mode === "squash" ? larger : { shortestEdge: larger.height },
    resampling: settings.resampling("interpolation") ?? "bicubic",
    scale: 1 / 255,
    mean: settings.perChannel("mean") ?? IMAGENET.mean,
    std: settings.perChannel("std") ?? IMAGENET.std,
  };
}

function checked(preprocessing: ImagePreprocessing, path: string): ImagePreprocessing {
  const { size, resize, std, scale } = preprocessing;
  const sides = [size.width, size.height, ...(resize === "none" ? [] : Object.values(resize))];
  const possible = sides.every((side) => Number.isInteger(side) && side >= 1 && side <= LARGEST_SIDE);
  if (possible && std.every((each) => each > 0) && scale > 0) return preprocessing;
  throw new AttuneError(
    "invalid_encoder",
    `${path} cannot be heeded: sides are whole numbers from 1 to ${LARGEST_SIDE} (got ${sides.join(", ")}), std and scale above 0 (got ${[...std, scale].join(", ")}).`,
  );
}

/** Fields of a configuration, checked as they are read; null counts as left out. */
class Settings {
  constructor(
    private readonly fields: JsonObject,
    private readonly path: string,
  ) {}

  flag(name: string, otherwise: boolean): boolean {
    return this.#read(name, "true or false", (value) => typeof value === "boolean") ?? otherwise;
  }

  number(name: string): number | undefined {
    return this.#read(name, "a number", isNumber);
  }

  text(name: string): string | undefined {
    return this.#read(name, "a string", (value) => typeof value === "string");
  }

  numbers(name: string, count: number): number[] | undefined {
    return this.#read(name, `${count} numbers`, (value): value is number[] => {
      return Array.isArray(value) && value.length === count && value.every(isNumber);
    });
  }

  perChannel(name: string): PerChannel | undefined {
    const [red = 0, green = 0, blue = 0] = this.numbers(name, 3) ?? [];
    return this.fields[name] == null ? undefined : [red, green, blue];
  }

  /** A size in one of the forms of transformers; a single number is the side of a square or the shorter side. */
  size(name: string, squared: boolean): Size | { shortestEdge: number } | undefined {
    const value = this.fields[name];
    if (value == null) return undefined;
    if (isNumber(value)) return squared ? square(value) : { shortestEdge: value };
    if (isJsonObject(value)) {
      const { height, width, shortest_edge: shortestEdge, longest_edge: longestEdge } = value;
      if (isNumber(height) && isNumber(width)) return { width, height };
      if (isNumber(shortestEdge) && longestEdge === undefined) return { shortestEdge };
    }
    throw this.refuse(
      `has the ${name} ${JSON.stringify(value)}; supported are a number, height and width, and shortest_edge`,
    );
  }

  /** By Pillow's number or by name. */
  resampling(name: string): Resampling | undefined {
    const value = this.fields[name];
    if (value == null) return undefined;
    const known = isNumber(value) ? RESAMPLINGS[value] : Object.values(RESAMPLINGS).find((each) => each === value);
    if (known !== undefined) return known;
    throw this.refuse(
      `has the ${name} ${JSON.stringify(value)}; supported are ${Object.values(RESAMPLINGS).join(", ")}`,
    );
  }

  refuse(what: string): AttuneError {
    return new AttuneError("invalid_encoder", `${this.path} ${what}.`);
  }

  #read<Value>(name: string, expected: string, fits: (value: unknown) => value is Value): Value | undefined {
    const value = this.fields[name];
    if (value == null) return undefined;
    if (fits(value)) return value;
    throw this.refuse(`has the ${name} ${JSON.stringify(value)}; expected ${expected}`);
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
