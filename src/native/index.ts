export {
  findTunedBuild,
  type GivenVector,
  type HierarchicalNSW,
  HNSWLIB_VERSION,
  type Hnswlib,
  hasNativeFunctions,
  hnswlib,
  loadHnswlib,
  march,
  type NativeFunctions,
  type NativeGraph,
  type NativeWalkers,
} from "./hnswlib.js";
