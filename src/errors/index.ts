export { AttuneError, type ErrorDetail } from "./attune-error.js";
export { CATALOGUE, type ErrorCode } from "./catalogue.js";
