import { AttuneError } from "../errors/index.js";
import { int64ToNumber } from "./format/int64.js";
import type { ModelProto, ValueInfoProto } from "./format/proto.js";
import { GraphBuilder } from "./graph-builder.js";
import { typeOfValueInfo } from "./import/value-info.js";
import type { ValueType } from "./value.js";

export interface ScanOptions {
  /** Inputs that are given once, each with the output that takes its place in the next round; of such outputs the last is handed out. */
  readonly state: Readonly<Record<string, string>>;
  /** Inputs that each round has its own of. */
  readonly each: readonly string[];
}

/**
 * A model that runs another several times, state passing from round to round inside of the runtime. What each round has its own of, inputs
 * and outputs, gets one more dimension in front, `rounds`; any other input is the same in all rounds.
 *
 * @throws invalid_model when an input or output named is none of the model's
 */
export function scanModel(
  { graph: body = {}, opsetImport = [] }: ModelProto,
  { state, each }: ScanOptions,
): ModelProto {
  const opset = opsetImport.find(({ domain = "" }) => domain === "")?.version;
  const graph = new GraphBuilder(`${body.name}_scan`, opset === undefined ? {} : { opset: int64ToNumber(opset) });
  const [before, after] = [Object.keys(state), Object.values(state)];
  const namesBut = (list: readonly ValueInfoProto[] = [], others: readonly string[]) =>
    list.map(({ name = "" }) => name).filter((name) => !others.includes(name));
  const results = namesBut(body.output, after);
  const inputs = (names: readonly string[], lead: readonly string[] = []) =>
    names.map((name) => {
      const { dtype, shape } = typeOf(infoOf(body.input, name));
      return graph.input(name, dtype, [...lead, ...shape]);
    });
  const scanned = [...inputs(before), ...inputs(each, ["rounds"])];
  const same = namesBut(body.input, [...before, ...each]);
  const captures = new Map(inputs(same).map((value) => [value.name, value]));
  const round = {
    ...body,
    input: [...before, ...each].map((name) => infoOf(body.input, name)),
    output: [...after, ...results].map((name) => infoOf(body.output, name)),
  };
  const types = round.output.map((info, i): ValueType => {
    const { dtype, shape } = typeOf(info);
    return { dtype, shape: i < after.length ? shape : ["rounds", ...shape] };
  });
  const attributes = { body: { graph: round }, num_scan_inputs: each.length };
  for (const [i, value] of graph.node("Scan", scanned, attributes, types, { captures }).entries()) {
    graph.output(value, round.output[i]?.name);
  }
  return graph.model();
}

function infoOf(list: readonly ValueInfoProto[] = [], wanted: string): ValueInfoProto {
  const info = list.find(({ name }) => name === wanted);
  if (info === undefined)
    throw new AttuneError("invalid_model", `The model has no input or output "${wanted}" to scan.`);
  return info;
}

function typeOf(info: ValueInfoProto): ValueType {
  const type = typeOfValueInfo(info, (name) => name);
  if (type === undefined) throw new AttuneError("invalid_model", `"${info.name}" is no tensor of a known type.`);
  return type;
}
