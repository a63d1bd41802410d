import { AttuneError } from "../errors/index.js";
import { isFloating } from "./format/data-type.js";
import { gradientPath, refuseNode, ruleOf } from "./gradient-path.js";
import { GradientContext, isNarrower } from "./gradients/index.js";
import type { GraphBuilder } from "./graph-builder.js";
import { elementCount, formatShape, mayEqual, sameShape } from "./shape.js";
import type { Value } from "./value.js";

/**
 * Appends to a graph the nodes that compute the gradient of a scalar with respect to parameters (inputs, initializers or any
 * other values), by reverse-mode differentiation. A value that is used several times gathers the gradients of all its uses.
 * The gradients are ordinary values, of the parameters' shapes and in their order.
 *
 * Where a function has no derivative the rule picks one: 0 for sqrt, relu and abs at 0, equal shares for a tie of max or min.
 *
 * @throws invalid_model when the loss is no floating scalar or does not depend on a parameter, or when an operator between
 * them has no gradient rule (the message names the node)
 */
export function differentiate(graph: GraphBuilder, loss: Value, parameters: readonly Value[]): Value[] {
  if (elementCount(loss.shape) !== 1 || !isFloating(loss.dtype)) {
    throw new AttuneError(
      "invalid_model",
      `Only a floating scalar has a gradient; "${loss.name}" is ${loss.dtype} ${formatShape(loss.shape)}.`,
    );
  }
  // Everything is looked up before a node is added: a refusal leaves the graph as it was.
  const path = gradientPath(graph, parameters, [loss], refuseNode);
  return graph.scope("gradient", () => {
    const gradients = backward(graph, loss, path);
    return parameters.map((parameter) => {
      const gradient = gradients.get(parameter);
      if (gradient === undefined) {
        throw new AttuneError("invalid_model", `"${loss.name}" does not depend on the parameter "${parameter.name}".`);
      }
      return whole(graph, gradient, parameter);
    });
  });
}

/** Walks the nodes from the loss back, passing gradients from outputs to inputs. */
function backward(graph: GraphBuilder, loss: Value, path: ReadonlySet<Value>): Map<Value, Value> {
  const gradients = new Map<Value, Value>([[loss, graph.constant([1], loss.dtype, loss.shape.map(Number))]]);
  for (const node of [...graph.nodes].reverse()) {
    const incoming = node.outputs.map((output) => (path.has(output) ? gradients.get(output) : undefined));
    if (incoming.every((gradient) => gradient === undefined)) continue;
    if (!node.inputs.some((input) => input !== undefined && path.has(input))) continue;
    const context = new GradientContext(graph, node, incoming);
    // The rule of Split alone gathers the gradients of all outputs.
    if (node.opType !== "Split" && incoming.slice(1).some((gradient) => gradient !== undefined)) {
      context.fail("more of its outputs than the first lead to the loss");
    }
    addInputGradients(context, path, gradients);
  }
  return gradients;
}

/** Adds the gradients of a node's inputs to those of their other uses. */
function addInputGradients(context: GradientContext, path: ReadonlySet<Value>, gathered: Map<Value, Value>): void {
  const { graph, node } = context;
  const gradients = (ruleOf(node) ?? refuseNode(node))(context);
  for (const [at, input] of node.inputs.entries()) {
    const make = gradients[at];
    if (input === undefined || make === undefined || !path.has(input)) continue;
    const sum = gathered.get(input);
    if (sum === undefined || make.addedTo === undefined || !sameShape(sum.shape, input.shape)) {
      const gradient = checked(context, at, make());
      gathered.set(input, sum === undefined ? gradient : graph.add(sum, gradient));
    } else gathered.set(input, checked(context, at, make.addedTo(sum)));
  }
}

/** What a rule gave for input `at`, which must have its type and, but for axes of size 1, its shape. */
function checked(context: GradientContext, at: number, gradient: Value): Value {
  const input = context.input(at);
  const narrower = isNarrower(gradient.shape, input.shape);
  if (!(narrower || mayEqual(gradient.shape, input.shape)) || gradient.dtype !== input.dtype) {
    const found = `${gradient.dtype} ${formatShape(gradient.shape)}`;
    context.fail(`its rule gave ${found} for input ${at}, which is ${input.dtype} ${formatShape(input.shape)}`);
  }
  // Rules lose names of dimensions; what is known of the input holds of its gradient.
  if (narrower || sameShape(gradient.shape, input.shape)) return gradient;
  return context.graph.withShape(gradient, input.shape);
}

/** A gradient in the shape of its parameter. */
function whole(graph: GraphBuilder, gradient: Value, parameter: Value): Value {
  return isNarrower(gradient.shape, parameter.shape) ? graph.expand(gradient, graph.shape(parameter)) : gradient;
}
