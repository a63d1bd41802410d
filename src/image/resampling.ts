import type { KernelEnum } from "sharp";

/** How new pixels are made of old ones, by Pillow's names. */
export type Resampling = "nearest" | "bilinear" | "bicubic" | "lanczos";

/** libvips's kernels for them: its cubic is Catmull-Rom (a = -1/2) and its Lanczos has three lobes, as Pillow's. */
export const KERNELS: Record<Exclude<Resampling, "nearest">, keyof KernelEnum> = {
  bilinear: "linear",
  bicubic: "cubic",
  lanczos: "lanczos3",
};
