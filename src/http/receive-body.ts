import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { errorCodes } from "fastify";
import { slices } from "../collection/index.js";
import { AttuneError } from "../errors/index.js";
import { freeArray, keptMemory } from "../vector/index.js";

/** Memory for a body of unknown length at first. */
const FIRST_BYTES = 64 * 1024;

/** What reads a body while it arrives. Neither keeps what it is given. */
export interface BodyReader<T> {
  /** Is called with all that is there, from the beginning, whenever some has come. */
  read(received: Buffer): void;
  end(body: Buffer): T;
}

/**
 * Receives a body and reads it, in slices: the sender is held back while other work has its turn.
 *
 * @throws FST_ERR_CTP_BODY_TOO_LARGE when it has more than `limit` bytes, malformed_request when it ends too early
 */
export async function receiveBody<T>(stream: IncomingMessage, limit: number, reader: BodyReader<T>): Promise<T> {
  const declared = stream.headers["content-length"];
  const expected = declared === undefined ? FIRST_BYTES : Number(declared);
  if (expected > limit) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE();
  let memory = keptMemory.takeBytes(expected);
  let length = 0;
  try {
    for await (const chunk of chunksOf(stream)) {
      if (length + chunk.length > limit) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE();
      if (length + chunk.length > memory.length) memory = grown(memory, length + chunk.length);
      length += chunk.copy(memory, length);
      if (stream.socket instanceof Socket) freeArray(chunk);
      while (slices.over) await slices.next();
      reader.read(memory.subarray(0, length));
    }
    while (slices.over) await slices.next();
    return reader.end(memory.subarray(0, length));
  } finally {
    keptMemory.giveBack(memory);
  }
}

async function* chunksOf(stream: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // The answer to a body that is refused needs the connection.
    yield* stream.iterator({ destroyOnReturn: false });
  } catch (cause) {
    throw new AttuneError("malformed_request", "The connection ended before the body did.", { cause });
  }
}

function grown(memory: Buffer<ArrayBuffer>, bytes: number): Buffer<ArrayBuffer> {
  const larger = keptMemory.takeBytes(Math.max(bytes, 2 * memory.length));
  memory.copy(larger);
  keptMemory.giveBack(memory);
  return larger;
}
