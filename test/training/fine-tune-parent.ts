/** A server that is about to be killed: starts the fine-tune of a task file and prints the child's process id. */
import { spawnFineTune } from "../../src/training/index.js";

await spawnFineTune(process.argv[2] ?? "", { onSpawn: (pid) => console.log(pid) });
