export {
  checkVector,
  decodeBase64,
  decodeFloat32,
  encodeFloat32,
  MAX_EUCLIDEAN_NORM,
  readVector,
  viewFloat32,
} from "./float32.js";
export { freeArray } from "./free-array.js";
export { KeptMemory, keptMemory } from "./kept-memory.js";
export { dot, dotAt, norm, normalise, normaliseRows, squaredDistanceAt } from "./maths.js";
export { METRICS, type Metric, type MetricSpace, metricOf } from "./metric.js";
export { Random } from "./random.js";
export { smallBytes, smallFloat64 } from "./small-arrays.js";
export { type SearchHits, TopK, tiesAscend } from "./top-k.js";
