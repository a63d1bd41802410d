import { prepareUseLite } from "../../../src/encoder/use-lite/prepare.js";

console.log(JSON.stringify(await prepareUseLite({ cacheDirectory: process.argv[2]! })));
