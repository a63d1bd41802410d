export { type ImportedModel, type ImportOptions, importModel } from "./import-model.js";
export { normalizeModel } from "./normalize-model.js";
export { type TrainableWeight, trainableWeights } from "./trainable-weights.js";
export { withInitializers } from "./with-initializers.js";
