import type { Vector, WithVector } from "../../../schemas/index.js";
import { encodeFloat32 } from "../../vector/index.js";

/** One of `rows` (flat, `dimensions` numbers each) as it is shown to whoever asked for it. */
export function shownVector(rows: Float32Array, position: number, dimensions: number, form: WithVector): Vector {
  const row = rows.subarray(position * dimensions, (position + 1) * dimensions);
  if (form !== "base64") return Array.from(row);
  const { buffer, byteOffset, byteLength } = encodeFloat32(row);
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
