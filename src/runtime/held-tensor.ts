import { Tensor as OrtTensor } from "onnxruntime-node";
import { AttuneError } from "../errors/index.js";
import { checkTensor, isTensorType, type Tensor } from "./tensor.js";

/** @internal What a held tensor needs of the session that made it. */
export interface Holder {
  /** A copy in this process's memory of a tensor on the device. */
  download(ort: OrtTensor): Promise<OrtTensor>;
  /** Told when the tensor was released. */
  forget(tensor: HeldTensor): void;
}

/**
 * A tensor that stays where a run left it, to be fed to a later run of this or of another session of the same provider. On the CPU
 * provider no copy is made. On WebGPU it stays on the device where its session was opened with `hold`; it then ends with its session.
 * CUDA, CoreML and DirectML move it to this process's memory and back: see docs/decisions/0004-weights-on-the-device.md.
 */
export class HeldTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** @internal */
  readonly ort: OrtTensor;
  readonly #holder: Holder;
  #released = false;

  /** @internal Made by a session. */
  constructor(ort: OrtTensor, holder: Holder) {
    this.ort = ort;
    this.dtype = ort.type;
    this.shape = ort.dims;
    this.#holder = holder;
  }

  /** True while the elements are on a device, outside of this process's memory. */
  get onDevice(): boolean {
    return this.ort.location !== "cpu";
  }

  /** The elements, fetched from the device where they are on one. @throws internal after `release`, or on a device after its session's end */
  async read(): Promise<Tensor> {
    if (this.#released) throw new AttuneError("internal", "This tensor was released and cannot be read any more.");
    return fromOrt("held", this.onDevice ? await this.#holder.download(this.ort) : this.ort);
  }

  /** Frees the memory now rather than at garbage collection; the tensor cannot be read or fed any more. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#holder.forget(this);
    this.ort.dispose();
  }

  /** True once `release` was called, or the session of a tensor on a device has ended. */
  get released(): boolean {
    return this.#released;
  }
}

/** @internal What ONNX Runtime is fed. */
export function toOrt(name: string, tensor: Tensor | HeldTensor): OrtTensor {
  if (tensor instanceof HeldTensor) {
    if (tensor.released)
      throw new AttuneError("internal", `The input "${name}" was released and cannot be fed any more.`);
    return tensor.ort;
  }
  checkTensor(name, tensor);
  const made = new OrtTensor(tensor.dtype, tensor.data as OrtTensor.DataType, tensor.shape);
  // From Node 24 on onnxruntime-node makes a Float16Array of the bits of float16, and then takes it for an empty one.
  if (tensor.dtype === "float16") Object.defineProperty(made, "data", { value: tensor.data });
  return made;
}

/** @internal What ONNX Runtime gave, in this process's memory. */
export function fromOrt(name: string, value: OrtTensor): Tensor {
  if (!isTensorType(value.type)) {
    throw new AttuneError("invalid_model", `The output "${name}" has the type ${value.type}, which is not supported.`);
  }
  const data = value.data as Tensor["data"];
  // From Node 24 on the numbers of float16 come as a Float16Array; here they are their bits everywhere.
  const bits = value.type === "float16" && !(data instanceof Uint16Array);
  return { dtype: value.type, shape: value.dims, data: bits ? bitsOf(data) : data };
}

function bitsOf(data: ArrayBufferView): Uint16Array {
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
}
