export * from "./fine-tune-task.js";
export { type SpawnOptions, spawnFineTune } from "./spawn-fine-tune.js";
