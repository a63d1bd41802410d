import type { Random } from "../../src/vector/index.js";

/** Vectors around some centres, so that they have near and far neighbours as embeddings do; unit length. */
export function randomVectors(random: Random, count: number, dimensions: number, centres = 50): Float32Array[] {
  const draw = () => Float32Array.from({ length: dimensions }, () => random.normal());
  const middles = Array.from({ length: centres }, draw);
  return Array.from({ length: count }, () => {
    const middle = middles[random.integer(centres)] ?? draw();
    const vector = middle.map((value) => value + 0.7 * random.normal());
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  });
}
