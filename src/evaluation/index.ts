export { type BootstrapOptions, type BootstrapResult, bootstrap, meanOf } from "./bootstrap.js";
export { logRank, midRank } from "./log-rank.js";
export { mrrAtK } from "./mrr-at-k.js";
export { ndcgAtK } from "./ndcg-at-k.js";
export { precisionAtK } from "./precision-at-k.js";
export { recallAtK } from "./recall-at-k.js";
export { type TripletDistances, tripletAccuracy } from "./triplet-accuracy.js";
