/** Memory that small arrays share. */
const BLOCK_BYTES = 16 * 1024;
/** Larger ones have memory of their own. */
const MOST_BYTES = BLOCK_BYTES / 4;
/** Numbers of any size stand where the processor wants them. */
const ALIGNMENT = 8;

/** The block that is being given away, and how much of it is. */
let block: ArrayBufferLike = new ArrayBuffer(0);
let used = 0;

/**
 * Bytes, with whatever is in them, for an array that is soon done with. V8 takes memory outside its heap for each array of more than 64 bytes, which has to be found,
 * cleared and freed again; small ones share a block.
 */
export function smallBytes(length: number): Uint8Array {
  if (length > MOST_BYTES) return new Uint8Array(length);
  const place = placeOf(length);
  return new Uint8Array(block, place, length);
}

/** The same for numbers. */
export function smallFloat64(length: number): Float64Array {
  const bytes = length * Float64Array.BYTES_PER_ELEMENT;
  if (bytes > MOST_BYTES) return new Float64Array(length);
  const place = placeOf(bytes);
  return new Float64Array(block, place, length);
}

/** Where so many bytes are free in what is `block` then. */
function placeOf(bytes: number): number {
  if (used + bytes > block.byteLength) {
    block = Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer;
    used = 0;
  }
  const place = used;
  used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  return place;
}
