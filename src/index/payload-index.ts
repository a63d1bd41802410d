import type { Condition, Filter } from "../../schemas/filter.js";
import { Bitmap } from "./bitmap.js";
import { PayloadField } from "./payload-field.js";
import { payloadValues, type ScalarValue } from "./payload-values.js";

/**
 * The payload values of a collection in memory, by path and value, so that a filter becomes a set of labels without
 * reading a payload. Values compare by type and value: `1` is not `"1"`, `null` equals only null.
 */
export class PayloadIndex {
  readonly #fields = new Map<string, PayloadField>();
  /** What each label was indexed under, to take exactly that out again. */
  readonly #entries = new Map<number, [string, ScalarValue[]][]>();

  /** Indexes a label's payload, in place of the one it had. */
  set(label: number, payload: Readonly<Record<string, unknown>> | null | undefined): void {
    this.remove(label);
    const entries: [string, ScalarValue[]][] = [];
    for (const [path, scalars] of payloadValues(payload ?? {})) {
      let field = this.#fields.get(path);
      if (field === undefined) {
        field = new PayloadField();
        this.#fields.set(path, field);
      }
      const values = [...scalars];
      field.add(label, values);
      entries.push([path, values]);
    }
    if (entries.length > 0) this.#entries.set(label, entries);
  }

  /** Takes a label's payload out; a label without one is ignored. */
  remove(label: number): void {
    for (const [path, values] of this.#entries.get(label) ?? []) {
      const field = this.#fields.get(path);
      field?.remove(label, values);
      if (field?.empty) this.#fields.delete(path);
    }
    this.#entries.delete(label);
  }

  /**
   * The labels of `live` whose payload the filter accepts: all of `must`, none of `mustNot`, and at least one of
   * `should` when it is given (given empty, it accepts nothing). An empty filter accepts all. The result is new.
   */
  select(filter: Filter, live: Bitmap): Bitmap {
    const result = live.clone();
    for (const condition of filter.must ?? []) result.and(this.#matching(condition, live));
    if (filter.should !== undefined) {
      const any = new Bitmap();
      for (const condition of filter.should) any.or(this.#matching(condition, live));
      result.and(any);
    }
    for (const condition of filter.mustNot ?? []) result.andNot(this.#matching(condition, live));
    return result;
  }

  #matching(condition: Condition, live: Bitmap): Bitmap {
    if (!("key" in condition)) return this.select(condition, live);
    const result = new Bitmap();
    const field = this.#fields.get(condition.key);
    if ("exists" in condition) {
      field?.addPresent(result);
      return condition.exists ? result : live.clone().andNot(result);
    }
    if (field === undefined) return result;
    if ("equals" in condition) field.addEqual(condition.equals, result);
    else if ("in" in condition) for (const value of condition.in) field.addEqual(value, result);
    else field.addWithin(condition.range, result);
    return result;
  }
}
