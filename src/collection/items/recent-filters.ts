import type { Filter } from "../../../schemas/index.js";
import type { Bitmap } from "../../index/index.js";
import type { CollectionState } from "../collection-state.js";

/** A bitmap takes a bit an item: 16 of a million items are 2 MB. */
const MOST = 16;
/** A filter that is longer as JSON is evaluated each time. */
const MAX_KEY_LENGTH = 4096;

/**
 * What lately used filters let through, as of the last commit. People ask with the same few filters (a tenant, a category) again and
 * again, and evaluating one takes longer than a walk through the graph: a range over 100,000 items some 100 us.
 */
export class RecentFilters {
  private readonly selected = new Map<string, Bitmap>();
  private sequence = -1;

  constructor(private readonly state: Pick<CollectionState, "payloads" | "table" | "sequence">) {}

  /** Labels of the live items that `filter` accepts; shared, so not to be changed. */
  select(filter: Filter): Bitmap {
    const { payloads, table, sequence } = this.state;
    if (sequence !== this.sequence) this.selected.clear();
    this.sequence = sequence;
    const key = JSON.stringify(filter);
    const allowed = this.selected.get(key) ?? payloads.select(filter, table.live);
    // Last in the order of the map is who was used last.
    this.selected.delete(key);
    if (key.length <= MAX_KEY_LENGTH) this.selected.set(key, allowed);
    if (this.selected.size > MOST) this.selected.delete(this.selected.keys().next().value as string);
    return allowed;
  }
}
