/* Run as a child process: opens the directory it is given, says how that went, and stays until killed. */
import { Storage } from "../../storage/index.js";

try {
  await Storage.open(process.argv[2] ?? "");
  console.log("open");
  setInterval(() => {}, 60_000);
} catch (error) {
  console.log(`${(error as { code?: string }).code}: ${(error as Error).message}`);
}
