import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { AttuneError } from "../../errors/index.js";
import { isFile, sha256, sha256OfFile } from "../files.js";

/**
 * SHA-256 (hex) over a model file and the files of external data beside it (model.onnx_data, model.onnx.data).
 * @throws invalid_encoder when there is no such file
 */
export async function checksumOfModel(modelPath: string): Promise<string> {
  if (!(await isFile(modelPath))) throw new AttuneError("invalid_encoder", `There is no model ${modelPath}.`);
  const name = basename(modelPath);
  const names = (await readdir(dirname(modelPath))).filter((each) => each.startsWith(name) && each !== name).sort();
  const checksum = await sha256OfFile(modelPath);
  const parts = [checksum];
  for (const each of names) parts.push(await sha256OfFile(join(dirname(modelPath), each)));
  return parts.length === 1 ? checksum : sha256(parts.join("\n"));
}
