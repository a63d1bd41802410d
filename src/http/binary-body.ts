import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Static, type TSchema, Type } from "typebox";
import { AttuneError } from "../errors/index.js";
import { decodeFloat32, viewFloat32 } from "../vector/index.js";
import { parseJson } from "./json.js";
import { validationProblem } from "./problem.js";
import { receiveBody } from "./receive-body.js";
import { VectorBlocks } from "./vector-blocks.js";

export const OCTET_STREAM = "application/octet-stream";

/** docs/binary.md says what is where. */
const MAGIC = "ATNV";
const VERSION = 1;
const FIXED_BYTES = 20;

/** A binary body, its header not checked yet. */
export interface BinaryBody {
  header: unknown;
  /** One row for each vector, views of one block. */
  vectors: Float32Array[];
}

/** The body of a route in OpenAPI: its bytes are checked here, not by a schema. */
export const BinaryBodySchema = Type.Unsafe<BinaryBody>({
  description: "Vectors as float32 after a JSON header; docs/binary.md describes every byte.",
});

/** Takes binary bodies of vectors on the routes of `app`. */
export function readBinaryBodies(app: FastifyInstance): void {
  app.addContentTypeParser(OCTET_STREAM, { parseAs: "buffer" }, (_request, bytes, done) => {
    try {
      done(null, bytes.length === 0 ? undefined : parseBinaryBody(bytes as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** The same for bodies of many vectors, on routes that free their memory with the answer (`freeVectorBlocks`). */
export function readLargeBinaryBodies(app: FastifyInstance): void {
  app.addContentTypeParser(OCTET_STREAM, async (request: FastifyRequest, stream: IncomingMessage) => {
    const blocks = new VectorBlocks(true);
    request.vectorBlocks = blocks;
    return receiveBody(stream, request.routeOptions.bodyLimit, {
      read: () => {},
      end: (bytes) => (bytes.length === 0 ? undefined : parseBinaryBody(bytes, blocks)),
    });
  });
}

/**
 * @param memory for the vectors; without it they are views of `bytes`, where that can be
 * @throws malformed_binary, malformed_json of its header
 */
export function parseBinaryBody(bytes: Buffer, memory?: VectorBlocks): BinaryBody {
  if (bytes.length < FIXED_BYTES || bytes.toString("latin1", 0, 4) !== MAGIC) {
    throw malformed(`it does not begin with "${MAGIC}" and ${FIXED_BYTES} fixed bytes; it has ${bytes.length} in all`);
  }
  const [version, headerBytes, count, dimensions] = [4, 8, 12, 16].map((at) => bytes.readUInt32LE(at)) as Fixed;
  if (version !== VERSION) throw malformed(`it has version ${version}; this server reads version ${VERSION}`);
  if (headerBytes % 4 !== 0) {
    throw malformed(`its header has ${headerBytes} bytes; fill it up with spaces to a multiple of 4`);
  }
  if (count === 0 || dimensions === 0) throw malformed(`it says ${count} vectors of ${dimensions} numbers; send some`);
  const start = FIXED_BYTES + headerBytes;
  const expected = start + count * dimensions * 4;
  if (bytes.length !== expected) {
    const sum = `${FIXED_BYTES} + ${headerBytes} of its header + ${count} x ${dimensions} x 4`;
    throw malformed(
      `it is too ${bytes.length < expected ? "short" : "long"}: got ${bytes.length} bytes, expected ${expected} (${sum})`,
    );
  }
  const header = parseJson(bytes.subarray(FIXED_BYTES, start)) ?? null;
  const block = bytes.subarray(start);
  const numbers = memory === undefined ? toNumbers(block) : memory.takeCopy(block);
  const vectors = Array.from({ length: count }, (_, i) => numbers.subarray(i * dimensions, (i + 1) * dimensions));
  return { header, vectors };
}

function toNumbers(block: Buffer): Float32Array {
  return block.byteOffset % 4 === 0 ? viewFloat32(block) : decodeFloat32(block);
}

type Fixed = [version: number, headerBytes: number, count: number, dimensions: number];

/** The header of a binary body, as `schema` has it. @throws validation_failed */
export function checkedHeader<T extends TSchema>(request: FastifyRequest, schema: T): Static<T> {
  const { header } = request.body as BinaryBody;
  const validate = request.getValidationFunction(schema) ?? request.compileValidationSchema(schema);
  if (validate(header)) return header as Static<T>;
  const { detail, errors } = validationProblem(validate.errors ?? [], "header");
  throw new AttuneError("validation_failed", detail, { details: errors });
}

function malformed(reason: string): AttuneError {
  return new AttuneError("malformed_binary", `The binary body cannot be read: ${reason}.`);
}
