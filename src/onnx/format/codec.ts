import protobuf from "protobufjs/light.js";
import { AttuneError } from "../../errors/index.js";
import type { ModelProto } from "./proto.js";
import { modelProtoType } from "./proto-schema.js";

/** Protobuf's limit for one message. */
const MAX_BYTES = 2 ** 31;
/** About what a node or a tensor takes beside its data: names, attributes, dimensions. */
const BYTES_PER_PART = 512;

/**
 * Serialises a model.
 * @throws invalid_model when the model exceeds the 2 GiB that protobuf allows
 */
export function encodeModel(model: ModelProto): Uint8Array {
  // Asked before writing: the writer would first fill that much memory.
  const { initializer = [], node = [] } = model.graph ?? {};
  const dataBytes = initializer.reduce((sum, tensor) => sum + (tensor.rawData?.byteLength ?? 0), 0);
  if (dataBytes >= MAX_BYTES) {
    throw new AttuneError(
      "invalid_model",
      `The ONNX model cannot be written: its tensors hold ${dataBytes} bytes, and a protobuf message holds less than ${MAX_BYTES}.`,
    );
  }
  // Left to itself the writer doubles its buffer as it goes, and copies what it wrote at the end: three times the model.
  const writer = protobuf.Writer.create();
  writer.buf = Buffer.allocUnsafe(dataBytes + BYTES_PER_PART * (1 + initializer.length + node.length));
  return modelProtoType.encode(model as protobuf.Message, writer).finish(true);
}

/**
 * Reads a serialised model. Tensor data stays a view of `bytes`, so these must not be written to afterwards.
 * @throws invalid_model when the bytes are truncated or are no ONNX model
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  // protobufjs makes views of a Buffer's bytes, and copies of a plain Uint8Array's.
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let model: ModelProto;
  try {
    const reader = protobuf.Reader.create(buffer);
    reader.discardUnknown = false;
    model = modelProtoType.decode(reader) as ModelProto;
  } catch (cause) {
    throw new AttuneError(
      "invalid_model",
      `These ${bytes.byteLength} bytes are no ONNX model, or a truncated one (${messageOf(cause)}). Fetch or export the file again.`,
      { cause },
    );
  }
  const missing = missingField(model);
  if (missing !== undefined) {
    throw new AttuneError(
      "invalid_model",
      `These ${bytes.byteLength} bytes are no ONNX model, or a truncated one: the field ${missing} is missing. Fetch or export the file again.`,
    );
  }
  return model;
}

/** Much that is no model still parses as a message of unknown fields; these three no model lacks. */
function missingField({ irVersion, graph, opsetImport = [] }: ModelProto): string | undefined {
  if (irVersion === undefined) return "ir_version";
  if (graph === undefined) return "graph";
  return opsetImport.length === 0 ? "opset_import" : undefined;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
