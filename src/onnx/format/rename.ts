import type { GraphProto, NodeProto } from "./proto.js";

type NameOf = (name: string) => string;

/** A node whose values have other names, in its subgraphs too. A left-out value ("") stays so. */
export function renameNode(node: NodeProto, nameOf: NameOf): NodeProto {
  const rename = (name: string) => (name === "" ? "" : nameOf(name));
  const attribute = (node.attribute ?? []).map((each) => ({
    ...each,
    ...(each.g === undefined ? {} : { g: renameGraph(each.g, rename) }),
    ...(each.graphs === undefined ? {} : { graphs: each.graphs.map((graph) => renameGraph(graph, rename)) }),
  }));
  return { ...node, input: (node.input ?? []).map(rename), output: (node.output ?? []).map(rename), attribute };
}

/** A subgraph whose values have other names. */
export function renameGraph(graph: GraphProto, nameOf: NameOf): GraphProto {
  const named = <Named extends { name?: string }>(each: Named): Named => ({ ...each, name: nameOf(each.name ?? "") });
  return {
    ...graph,
    node: (graph.node ?? []).map((node) => renameNode(node, nameOf)),
    input: (graph.input ?? []).map(named),
    output: (graph.output ?? []).map(named),
    initializer: (graph.initializer ?? []).map(named),
    valueInfo: (graph.valueInfo ?? []).map(named),
  };
}
