import { endianness } from "node:os";
import { StorageError } from "./errors.js";

/**
 * Refuses a big-endian host: vector files are little-endian and are read straight into typed arrays, which have the byte
 * order of the host, so that such a host would read wrong numbers without a word.
 *
 * @throws unsupported_host
 */
export function assertLittleEndian(order: "LE" | "BE" = endianness()): void {
  if (order === "LE") return;
  throw new StorageError(
    "unsupported_host",
    "This machine is big-endian; vector files are little-endian float32 and are read without conversion. Use a little-endian machine.",
  );
}
