/** An equation of Einsum: a letter for each axis of each operand, and of the result. */
export interface EinsumEquation {
  readonly operands: readonly string[];
  readonly result: string;
}

/**
 * Reads an equation such as `bij,bjk->bik`. Without an arrow the result has the letters that occur once, in the order of the alphabet.
 * Undefined for equations with an ellipsis or a letter twice in one operand (a diagonal).
 */
export function parseEinsum(equation: string): EinsumEquation | undefined {
  const [left = "", right] = equation.replaceAll(" ", "").split("->");
  const operands = left.split(",");
  const letters = [...left.replaceAll(",", "")].sort();
  const result = right ?? letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).join("");
  const plain = [...operands, result].every((each) => /^[a-zA-Z]*$/.test(each) && new Set(each).size === each.length);
  return plain ? { operands, result } : undefined;
}
