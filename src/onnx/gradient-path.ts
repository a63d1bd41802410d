import { AttuneError } from "../errors/index.js";
import { isFloating } from "./format/data-type.js";
import { GradientContext, type GradientRule, gradientRuleOf } from "./gradients/index.js";
import { UNOPTIMISED } from "./graph.js";
import type { GraphBuilder } from "./graph-builder.js";
import type { GraphNode, Value } from "./value.js";

/**
 * The values on the paths along which gradients flow from targets back to parameters, both included: through floating outputs, and
 * only through those inputs that the operator's rule has a gradient for. An operator without a rule counts as one that passes
 * gradients to all its floating inputs, and is told to `unsupported`. The graph is left as it is.
 *
 * @param ends Nodes whose inputs are not followed. @default none
 */
export function gradientPath(
  graph: GraphBuilder,
  parameters: Iterable<Value>,
  targets: Iterable<Value>,
  unsupported: (node: GraphNode) => void = () => {},
  ends: (node: GraphNode) => boolean = () => false,
): Set<Value> {
  const dependent = dependents(graph, parameters);
  const path = new Set([...targets].filter((target) => dependent.has(target)));
  for (const node of graph.nodes.toReversed()) {
    const inputs = readsOf(node).filter((input) => dependent.has(input));
    if (inputs.length === 0 || ends(node) || !node.outputs.some((output) => path.has(output))) continue;
    const rule = ruleOf(node);
    if (rule === undefined) {
      unsupported(node);
      for (const input of inputs) path.add(input);
      continue;
    }
    // A gradient has the type of its output: the outputs stand in for theirs, since only which gradients exist is asked.
    const gradients = rule(new GradientContext(graph, node, node.outputs));
    for (const [at, input] of node.inputs.entries()) {
      if (input !== undefined && gradients[at] !== undefined && dependent.has(input)) path.add(input);
    }
  }
  return path;
}

/** The floating values that depend on a parameter, the parameters included. */
function dependents(graph: GraphBuilder, parameters: Iterable<Value>): Set<Value> {
  const dependent = new Set(parameters);
  for (const node of graph.nodes) {
    if (!readsOf(node).some((input) => dependent.has(input))) continue;
    for (const output of node.outputs) if (isFloating(output.dtype)) dependent.add(output);
  }
  return dependent;
}

/** The gradient rule of a node, or undefined where there is none. */
export function ruleOf(node: GraphNode): GradientRule | undefined {
  return node.domain === "" ? gradientRuleOf(node.opType) : undefined;
}

function readsOf(node: GraphNode): Value[] {
  return [...node.inputs.filter((input) => input !== undefined), ...node.captures.values()];
}

/** @throws invalid_model always, naming the node */
export function refuseNode(node: GraphNode): never {
  const type = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
  throw new AttuneError(
    "invalid_model",
    `Node "${node.origin}" (${type}) has no gradient rule, and lies between the loss and a trained parameter.${node.domain === "" ? "" : ` ${UNOPTIMISED}`}`,
  );
}
