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
  /** What each label was indexed under, to take exactly that out again: a field, its values, the next field, ... */
  readonly #entries = new Map<number, (PayloadField | ScalarValue)[]>();

  /** Indexes a label's payload, in place of the one it had. */
  set(label: number, payload: Readonly<Record<string, unknown>> | null | undefined): void {
    this.remove(label);
    if (payload === null || payload === undefined) return;
    const entries: (PayloadField | ScalarValue)[] = [];
    for (const [path, values] of payloadValues(payload)) {
      const field = this.#fields.get(path) ?? new PayloadField(path);
      this.#fields.set(path, field);
      field.addLabel(label);
      for (const value of values) field.addValue(label, value);
      entries.push(field, ...values);
    }
    if (entries.length > 0) this.#entries.set(label, entries);
  }

  /** Takes a label's payload out; a label without one is ignored. */
  remove(label: number): void {
    let field: PayloadField | undefined;
    for (const entry of this.#entries.get(label) ?? []) {
      if (entry instanceof PayloadField) {
        field = entry;
        field.removeLabel(label);
        if (field.empty) this.#fields.delete(field.path);
      } else field?.removeValue(label, entry);
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
