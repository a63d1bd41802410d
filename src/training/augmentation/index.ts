export { augmentPixels, changePixels } from "./augment-pixels.js";
export { augmentText } from "./augment-text.js";
export { type CropWindow, drawPixelChanges, type PixelChanges } from "./pixel-changes.js";
