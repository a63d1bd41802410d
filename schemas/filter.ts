import { type Static, Type } from "typebox";
import { Strict } from "./common.js";

export const Scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);
export type Scalar = Static<typeof Scalar>;

const Bound = Type.Union([Type.Number(), Type.String()]);

const Range = Strict(
  {
    gt: Type.Optional(Bound),
    gte: Type.Optional(Bound),
    lt: Type.Optional(Bound),
    lte: Type.Optional(Bound),
  },
  { minProperties: 1, description: "Numbers compare as numbers, strings by code unit; the two never compare." },
);
export type Range = Static<typeof Range>;

const Key = Type.String({ minLength: 1, description: "A dotted path into the payload." });

export const EqualsCondition = Strict({ key: Key, equals: Scalar });
export const InCondition = Strict({ key: Key, in: Type.Array(Scalar) });
export const RangeCondition = Strict({ key: Key, range: Range });
export const ExistsCondition = Strict({ key: Key, exists: Type.Boolean() });

export type Condition =
  | Static<typeof EqualsCondition>
  | Static<typeof InCondition>
  | Static<typeof RangeCondition>
  | Static<typeof ExistsCondition>
  | Filter;

/** All of `must`, none of `mustNot`, and at least one of `should` when it is given. */
export interface Filter {
  must?: Condition[];
  should?: Condition[];
  mustNot?: Condition[];
}

const Conditions = Type.Optional(Type.Array(Type.Unsafe<Condition>({ $ref: "Condition#" })));

/** `Filter` and `Condition` refer to each other, so both are registered by `$id` (fastify's `addSchema`) and used by reference. */
export const FilterSchema = Strict({ must: Conditions, should: Conditions, mustNot: Conditions }, { $id: "Filter" });

export const ConditionSchema = Type.Unsafe<Condition>({
  $id: "Condition",
  anyOf: [EqualsCondition, InCondition, RangeCondition, ExistsCondition, { $ref: "Filter#" }],
});

export const FilterRef = Type.Unsafe<Filter>({ $ref: "Filter#" });
