import type { GraphProto, NodeProto } from "../format/proto.js";

/** The graphs among a node's attributes: branches and loop bodies. */
export function subgraphsOf(node: NodeProto): GraphProto[] {
  return (node.attribute ?? []).flatMap(({ g, graphs = [] }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** The names that a node's subgraphs read from around them. */
export function capturedNames(node: NodeProto): Set<string> {
  const captured = new Set<string>();
  for (const graph of subgraphsOf(node)) {
    const own = definedNames(graph);
    const read = (graph.node ?? []).flatMap((inner) => [...(inner.input ?? []), ...capturedNames(inner)]);
    for (const name of [...read, ...(graph.output ?? []).map((info) => info.name ?? "")]) {
      if (name !== "" && !own.has(name)) captured.add(name);
    }
  }
  return captured;
}

/** The names that a graph gives values to itself. */
export function definedNames({ input = [], initializer = [], node = [] }: GraphProto): Set<string> {
  const names = [...input, ...initializer].map(({ name = "" }) => name);
  return new Set([...names, ...node.flatMap(({ output = [] }) => output)]);
}

/** The nodes that the outputs of a graph depend on, in their order, and the names of all values read. */
export function neededNodes(graph: GraphProto): { nodes: NodeProto[]; used: Set<string> } {
  const used = new Set((graph.output ?? []).map(({ name = "" }) => name));
  const nodes: NodeProto[] = [];
  for (const node of (graph.node ?? []).toReversed()) {
    if (!(node.output ?? []).some((name) => name !== "" && used.has(name))) continue;
    nodes.push(node);
    for (const name of [...(node.input ?? []), ...capturedNames(node)]) used.add(name);
  }
  return { nodes: nodes.reverse(), used };
}
