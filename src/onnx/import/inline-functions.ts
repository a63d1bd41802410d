import { AttuneError } from "../../errors/index.js";
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto } from "../format/proto.js";
import { renameNode } from "../format/rename.js";
import { definedNames } from "./graph-walk.js";
import { opsetOf } from "./opset.js";

/** Functions that call each other in a circle would never end. */
const MAX_DEPTH = 32;

/**
 * A model whose calls of its own functions are replaced by the functions' bodies.
 * @throws invalid_model when a function is written for another operator set, or functions call each other in a circle
 */
export function inlineFunctions(model: ModelProto): ModelProto {
  const { functions = [], graph } = model;
  if (functions.length === 0 || graph === undefined) return model;
  const table = new Map(functions.map((each) => [keyOf(each.domain, each.name, each.overload), each]));
  for (const each of functions) {
    const version = opsetOf(each);
    if (version !== 0 && version !== opsetOf(model)) {
      throw new AttuneError(
        "invalid_model",
        `The function "${each.name}" is written for version ${version} of the ONNX operator set, and the model for ${opsetOf(model)}. Export the model with its functions inlined.`,
      );
    }
  }
  return { ...model, functions: [], graph: inlineGraph(graph, table, 0) };
}

type FunctionTable = ReadonlyMap<string, FunctionProto>;

function keyOf(domain = "", name = "", overload = ""): string {
  return [domain, name, overload].join("\n");
}

function inlineGraph(graph: GraphProto, table: FunctionTable, depth: number): GraphProto {
  return { ...graph, node: (graph.node ?? []).flatMap((node) => inlineNode(node, table, depth)) };
}

function inlineNode(node: NodeProto, table: FunctionTable, depth: number): NodeProto[] {
  if (depth > MAX_DEPTH) {
    throw new AttuneError("invalid_model", `Node "${node.name}" (${node.opType}): its function calls itself.`);
  }
  const body = table.get(keyOf(node.domain, node.opType, node.overload));
  if (body !== undefined) return bodyOf(body, node).flatMap((inner) => inlineNode(inner, table, depth + 1));
  const attribute = (node.attribute ?? []).map((each) =>
    each.g === undefined ? each : { ...each, g: inlineGraph(each.g, table, depth) },
  );
  return [{ ...node, attribute }];
}

/** The nodes of a function in terms of the call's inputs, outputs and attributes. */
function bodyOf(body: FunctionProto, call: NodeProto): NodeProto[] {
  const label = call.name || call.output?.find((name) => name !== "") || call.opType;
  const names = new Map<string, string>();
  for (const name of definedNames({ node: body.node })) names.set(name, `${label}/${name}`);
  for (const [at, name] of (body.input ?? []).entries()) names.set(name, call.input?.[at] ?? "");
  for (const [at, name] of (body.output ?? []).entries()) {
    const given = call.output?.[at] ?? "";
    if (given !== "") names.set(name, given);
  }
  const given = new Map((body.attributeProto ?? []).map((each) => [each.name ?? "", each]));
  for (const each of call.attribute ?? []) given.set(each.name ?? "", each);
  return (body.node ?? []).map((inner) => {
    const filled = fillNode(inner, given);
    return renameNode(
      { ...filled, name: `${label}/${filled.name || filled.opType}` },
      (name) => names.get(name) ?? name,
    );
  });
}

/** References to the function's attributes take the call's values; those that it leaves out are left out. */
function fillNode(node: NodeProto, given: ReadonlyMap<string, AttributeProto>): NodeProto {
  const attribute = (node.attribute ?? []).flatMap((each) => {
    if (each.g !== undefined) return [{ ...each, g: fillGraph(each.g, given) }];
    if (each.refAttrName === undefined || each.refAttrName === "") return [each];
    const value = given.get(each.refAttrName);
    return value === undefined ? [] : [{ ...value, name: each.name }];
  });
  return { ...node, attribute };
}

function fillGraph(graph: GraphProto, given: ReadonlyMap<string, AttributeProto>): GraphProto {
  return { ...graph, node: (graph.node ?? []).map((node) => fillNode(node, given)) };
}
