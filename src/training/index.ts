export * from "./fine-tune-task.js";
export { headModel } from "./head.js";
export type { FineTuneHooks } from "./hooks.js";
export { assertEnoughFeedback, MINIMUM_ANCHORS } from "./judgement.js";
export { runFineTune } from "./run-fine-tune.js";
export { type SpawnOptions, spawnFineTune } from "./spawn-fine-tune.js";
