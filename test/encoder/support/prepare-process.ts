import { prepareBuiltInModel } from "../../../src/encoder/index.js";

console.log(JSON.stringify(await prepareBuiltInModel({ cacheDirectory: process.argv[2]! })));
