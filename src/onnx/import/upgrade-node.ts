import type { NodeProto } from "../format/proto.js";
import { integerNamed, integersNamed, withInteger, withoutAttribute } from "./node-attributes.js";

/** What an upgrade may look at and add beside its node. */
export interface UpgradeScope {
  /** Adds an int64 vector, and gives its name. */
  integers(name: string, values: readonly number[]): string;
  /** Rank of a value, where the model states it. */
  rankOf(name: string): number | undefined;
}

type Upgrade = (node: NodeProto, scope: UpgradeScope) => NodeProto[];

/** A list that was an attribute became the second input. */
function listToInput(attribute: string): Upgrade {
  return (node, scope) => {
    const values = integersNamed(node, attribute);
    if (values === undefined) return [node];
    const [x = ""] = node.input ?? [];
    const list = scope.integers(`${node.output?.[0] ?? ""}:${attribute}`, values);
    return [{ ...withoutAttribute(node, attribute), input: [x, list] }];
  };
}

/** Since version 18 a split without sizes states the number of its parts. */
const split: Upgrade = (node, scope) => {
  const upgraded = listToInput("split")(node, scope);
  return upgraded.map((each) =>
    (each.input ?? []).length > 1 ? each : withInteger(each, "num_outputs", (each.output ?? []).length),
  );
};

/** Before version 13 all axes from the given one on (by default from the second) were one: a matrix was normalised row by row. */
const alongRest: Upgrade = (node, scope) => {
  const [x = ""] = node.input ?? [];
  const [y = ""] = node.output ?? [];
  const axis = integerNamed(node, "axis", 1);
  if (axis === -1 || axis + 1 === scope.rankOf(x)) return [withInteger(node, "axis", -1)];
  const [shape, matrix, rows] = [`${y}:shape`, `${y}:matrix`, `${y}:rows`];
  return [
    { opType: "Shape", input: [x], output: [shape], name: shape },
    withInteger({ opType: "Flatten", input: [x], output: [matrix], name: matrix }, "axis", axis),
    withInteger({ ...node, input: [matrix], output: [rows] }, "axis", -1),
    { opType: "Reshape", input: [rows, shape], output: [y], name: y },
  ];
};

const REDUCTIONS = ["Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"];

/** The operators whose form changed after version 11: the version from which on they have the new form, and the way to it. */
const UPGRADES: ReadonlyMap<string, { since: number; upgrade: Upgrade }> = new Map([
  ["Squeeze", { since: 13, upgrade: listToInput("axes") }],
  ["Unsqueeze", { since: 13, upgrade: listToInput("axes") }],
  ["ReduceSum", { since: 13, upgrade: listToInput("axes") }],
  ["Softmax", { since: 13, upgrade: alongRest }],
  ["LogSoftmax", { since: 13, upgrade: alongRest }],
  ["Hardmax", { since: 13, upgrade: alongRest }],
  ["Split", { since: 18, upgrade: split }],
  ...REDUCTIONS.map((name) => [`Reduce${name}`, { since: 18, upgrade: listToInput("axes") }] as const),
]);

/** A node of an operator set from 11 on as nodes of version 18, with the same outputs. */
export function upgradeNode(node: NodeProto, opset: number, scope: UpgradeScope): NodeProto[] {
  const known = UPGRADES.get(node.opType ?? "");
  return known === undefined || opset >= known.since ? [node] : known.upgrade(node, scope);
}
