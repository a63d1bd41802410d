import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AttuneError, type ErrorCode } from "../../src/errors/index.js";
import { availableProviders, HeldTensor, openSession, type Session, type Tensor } from "../../src/runtime/index.js";
import { openFirst } from "../../src/runtime/session.js";
import { descentModel, smallModel, tensor } from "./models.js";

const withCode =
  (code: ErrorCode, part: RegExp = /./) =>
  (error: unknown) =>
    error instanceof AttuneError && error.code === code && part.test(error.message);

describe("a session", () => {
  let session: Session;
  before(async () => {
    session = await openSession(smallModel(), { provider: "cpu", threads: 2 });
  });
  after(() => session.close());
  const x = tensor([2, 3], (index) => index);

  it("names its inputs, outputs and provider", () => {
    assert.deepEqual([session.provider, session.inputNames, session.outputNames], ["cpu", ["x"], ["y", "z"]]);
  });

  it("computes the outputs, or only those wanted", async () => {
    const both = await session.run({ x });
    assert.deepEqual(both.y, { dtype: "float32", shape: [2, 2], data: Float32Array.of(3, 3, 12, 12) });
    assert.deepEqual([...both.z!.data], [-3, -3, -12, -12]);
    assert.deepEqual(Object.keys(await session.run({ x }, ["z"])), ["z"]);
  });

  it("takes concurrent runs", async () => {
    const runs = await Promise.all([0, 1, 2].map((offset) => session.run({ x: tensor([1, 3], () => offset) })));
    assert.deepEqual(
      runs.map(({ y }) => y!.data[0]),
      [0, 3, 6],
    );
  });

  const refused: [string, Record<string, Tensor>, ErrorCode, RegExp][] = [
    ["no input", {}, "internal", /takes the inputs x; got none/],
    ["an unknown input", { x, extra: x }, "internal", /got x, extra/],
    ["too few elements", { x: { ...x, shape: [3, 3] } }, "internal", /9 elements.*6/],
    ["an array of another type", { x: { ...x, data: new Float64Array(6) } }, "internal", /Float32Array.*Float64Array/],
    ["a shape the model does not take", { x: tensor([2, 4], () => 0) }, "invalid_model", /cannot run/],
    [
      "a type the model does not take",
      { x: { dtype: "float64", shape: [2, 3], data: new Float64Array(6) } },
      "invalid_model",
      /cannot run/,
    ],
  ];
  for (const [name, feeds, code, part] of refused) {
    it(`refuses ${name}, and runs on`, async () => {
      await assert.rejects(session.run(feeds), withCode(code, part));
      assert.equal((await session.run({ x })).y!.data[0], 3);
    });
  }

  it("closes after the run in progress, twice if asked, and then runs no more", async () => {
    const other = await openSession(smallModel(), { provider: "cpu" });
    const running = other.run({ x });
    await Promise.all([other.close(), other.close()]);
    assert.equal((await running).y!.data[0], 3);
    await assert.rejects(other.run({ x }), withCode("internal", /closed/));
  });
});

describe("opening", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "attune-runtime-"));
  });
  after(() => rm(directory, { recursive: true }));

  it("reads a file", async () => {
    const path = join(directory, "model.onnx");
    await writeFile(path, smallModel());
    const session = await openSession(path, { provider: "cpu" });
    assert.deepEqual(session.outputNames, ["y", "z"]);
    await session.close();
  });

  it("refuses what is no model, a file that is not there, and no threads", async () => {
    await assert.rejects(openSession(Buffer.from("no model"), { provider: "cpu" }), withCode("invalid_model"));
    await assert.rejects(openSession(join(directory, "absent.onnx")), withCode("invalid_model", /absent\.onnx/));
    await assert.rejects(openSession(smallModel(), { threads: 0 }), withCode("invalid_setting", /threads/));
  });
});

describe("providers", () => {
  it("auto always ends at the CPU, and starts", async () => {
    const providers = availableProviders();
    assert.equal(providers.at(-1), "cpu");
    const session = await openSession(smallModel());
    assert.ok(providers.includes(session.provider));
    await session.close();
  });

  it("auto goes on to the CPU when a provider does not start, and says so", async () => {
    const said: string[] = [];
    const absent = process.platform === "darwin" ? "dml" : "coreml";
    const session = await openFirst(
      smallModel(),
      [absent, "cpu"],
      { threads: 1, hold: [], planMemory: true },
      (message) => said.push(message),
    );
    assert.equal(session.provider, "cpu");
    assert.equal(said.length, 1);
    assert.match(said[0]!, new RegExp(`${absent} cannot start`));
    await session.close();
  });

  it("a forced provider that cannot start is refused, with the reason", async () => {
    const absent = process.platform === "darwin" ? "dml" : "coreml";
    await assert.rejects(
      openSession(smallModel(), { provider: absent }),
      withCode("provider_unavailable", new RegExp(absent)),
    );
  });

  it("a broken model is not blamed on the provider", async () => {
    await assert.rejects(openSession(Buffer.from("no model"), { provider: "webgpu" }), withCode("invalid_model"));
  });
});

describe("held tensors", () => {
  const dimensions = 64;
  const x = tensor([64, dimensions], (index) => Math.sin(index));
  const start = tensor([dimensions, dimensions], (index) => Math.cos(index));

  async function descend(session: Session, steps: number, hold: boolean): Promise<Float32Array> {
    let w: Tensor | HeldTensor = start;
    for (let step = 0; step < steps; step++) {
      if (hold) {
        const { tensors, held } = await session.runHolding({ x, w }, ["next"]);
        assert.deepEqual(Object.keys(tensors), ["loss"]);
        if (w instanceof HeldTensor) w.release();
        w = held.next!;
      } else {
        w = (await session.run({ x, w })).next!;
      }
    }
    return (w instanceof HeldTensor ? await w.read() : w).data as Float32Array;
  }

  it("feed the next run, with the bits that copies would give, run after run", async () => {
    const session = await openSession(descentModel(dimensions), { provider: "cpu", threads: 2 });
    const copied = await descend(session, 5, false);
    assert.deepEqual(await descend(session, 5, true), copied);
    assert.deepEqual(await descend(session, 5, true), copied);
    assert.notDeepEqual(copied, start.data);
    await session.close();
  });

  it("are refused once released, and so is holding what is no output", async () => {
    const session = await openSession(descentModel(dimensions), { provider: "cpu", threads: 1 });
    const { held } = await session.runHolding({ x, w: start }, ["next"]);
    const next = held.next!;
    assert.deepEqual([next.dtype, next.shape], ["float32", [dimensions, dimensions]]);
    next.release();
    await assert.rejects(session.run({ x, w: next }), withCode("internal", /released/));
    await assert.rejects(next.read(), withCode("internal", /released/));
    await assert.rejects(session.runHolding({ x, w: start }, ["nothing"]), withCode("internal", /nothing/));
    await session.close();
  });
});
