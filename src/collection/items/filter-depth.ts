import type { Condition, Filter } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";

/**
 * Refuses a filter nested more than `limit` levels deep; a filter without nested ones has one level.
 * @throws filter_too_deep
 */
export function checkFilter(filter: Filter, limit: number): void {
  if (depthWithin(filter, limit)) return;
  throw new AttuneError("filter_too_deep", `The filter is nested more than ${limit} levels deep; flatten it.`);
}

/** Stops at the limit, so that a hostile filter costs no more than an honest one. */
function depthWithin(filter: Filter, levels: number): boolean {
  if (levels === 0) return false;
  const conditions: Condition[] = [...(filter.must ?? []), ...(filter.should ?? []), ...(filter.mustNot ?? [])];
  return conditions.every((condition) => "key" in condition || depthWithin(condition, levels - 1));
}
