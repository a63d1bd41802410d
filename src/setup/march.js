import { SetupError } from "./command.js";
import { readCpu } from "./cpu.js";

const V2 = "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3";
const V3 = `${V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave`;
const V4 = `${V3} avx512bw avx512cd avx512dq avx512f avx512vl`;

/** The levels of the x86-64 psABI, with the flags by which Linux names their instructions. */
const LEVELS = { "x86-64-v2": V2, "x86-64-v3": V3, "x86-64-v4": V4 };
const VALUES = ["native", ...Object.keys(LEVELS), "off"];

/**
 * What machine code is built for: `{ march, needs }`, the value of the compiler's option and the flags of the CPU without
 * which the result must not be run. undefined when nothing is built: by `ATTUNE_MARCH=off`, and where hnswlib has no code
 * beyond what npm builds (it has some for x86 only) or the CPU cannot be asked what it knows.
 */
export function chooseMarch(env = process.env, cpu = readCpu()) {
  const march = env.ATTUNE_MARCH || "native";
  if (!VALUES.includes(march)) {
    throw new SetupError(`ATTUNE_MARCH is "${march}", expected ${VALUES.slice(0, -1).join(", ")} or ${VALUES.at(-1)}`);
  }
  if (march === "off" || process.platform !== "linux" || process.arch !== "x64" || cpu === undefined) return undefined;
  return { march, needs: LEVELS[march] ?? cpu.flags };
}
