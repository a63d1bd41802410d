/** docs/binary.md says what is where. */
const MAGIC = "ATNV";
const VERSION = 1;
const FIXED_BYTES = 20;

/**
 * The binary body of some vectors, all of one length, with what else there is to say in a JSON header.
 * @throws RangeError for vectors of different lengths
 */
export function binaryBody(header: object, vectors: readonly Float32Array[]): Buffer {
  const dimensions = vectors[0]?.length ?? 0;
  const json = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / 4) * 4;
  const start = FIXED_BYTES + headerBytes;
  const body = Buffer.alloc(start + vectors.length * dimensions * 4, " ");
  body.write(MAGIC, "latin1");
  for (const [i, value] of [VERSION, headerBytes, vectors.length, dimensions].entries()) {
    body.writeUInt32LE(value, 4 + 4 * i);
  }
  body.set(json, FIXED_BYTES);
  for (const [i, vector] of vectors.entries()) {
    if (vector.length !== dimensions) {
      throw new RangeError(`vector ${i} has ${vector.length} numbers and vector 0 has ${dimensions}; all have as many`);
    }
    body.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), start + i * dimensions * 4);
  }
  return body;
}
