import { type EinsumEquation, parseEinsum } from "../einsum.js";
import type { Value } from "../value.js";
import type { GradientContext, GradientRule } from "./gradient-rule.js";

/**
 * With Y = einsum(A, B), dA = einsum(dY, B), each with its letters; letters that only A has were summed over, so that along them
 * the gradient is repeated.
 */
const einsum: GradientRule = (context: GradientContext) => {
  const equation = parseEinsum(String(context.attribute("equation")));
  if (equation === undefined) context.fail("only equations without ellipsis and diagonals can be");
  return equation.operands.map((_, at) => () => operandGradient(context, equation, at));
};

function operandGradient(context: GradientContext, { operands, result }: EinsumEquation, at: number): Value {
  const { graph, gradient, node } = context;
  const others = operands.filter((_, each) => each !== at);
  const wanted = [...(operands[at] ?? "")];
  const known = new Set([result, ...others].join(""));
  const equation = `${[result, ...others].join(",")}->${wanted.filter((letter) => known.has(letter)).join("")}`;
  const values = node.inputs.flatMap((_, each) => (each === at ? [] : [context.input(each)]));
  const product = graph.operator("Einsum", [gradient, ...values], { equation });
  const missing = wanted.flatMap((letter, axis) => (known.has(letter) ? [] : [axis]));
  if (missing.length === 0) return product;
  return graph.expand(graph.unsqueeze(product, missing), context.shapeOf(context.input(at)));
}

/** Sums of products by index notation. */
export const einsums: Readonly<Record<string, GradientRule>> = { Einsum: einsum };
