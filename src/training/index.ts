export { assertEnoughFeedback, assertEnoughItems, MINIMUM_ANCHORS } from "./gate/judgement.js";
export { closenessModel, headModel } from "./head/head.js";
export { type SpawnOptions, spawnFineTune } from "./process/spawn-fine-tune.js";
export { runFineTune } from "./run-fine-tune.js";
export * from "./task/fine-tune-task.js";
export type { FineTuneHooks } from "./task/hooks.js";
export * from "./task/options.js";
