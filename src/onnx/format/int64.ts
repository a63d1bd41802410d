/** A 64-bit integer of a decoded message: a number where it was written by us, else two 32-bit halves, which lose nothing. */
export type Int64 = number | { readonly low: number; readonly high: number; readonly unsigned: boolean };

/** Exact value of a 64-bit integer. */
export function int64ToBigInt(value: Int64): bigint {
  if (typeof value === "number") return BigInt(value);
  const bits = (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
  return value.unsigned ? bits : BigInt.asIntN(64, bits);
}

/** The value as a number: exact within 2^53, the nearest number beyond (as the "to the end" of a slice). */
export function int64ToNumber(value: Int64): number {
  return typeof value === "number" ? value : Number(int64ToBigInt(value));
}

/** A bigint as a message's 64-bit integer. */
export function int64Of(value: bigint, unsigned = false): Int64 {
  return {
    low: Number(BigInt.asIntN(32, value)),
    high: Number(BigInt.asIntN(32, value >> 32n)),
    unsigned,
  };
}
