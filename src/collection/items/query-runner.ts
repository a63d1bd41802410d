import type { Hit, Payload, QueryBatchResult, QueryResult, WithVector } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import type { SearchHits } from "../../index/index.js";
import { metricOf, readVector } from "../../vector/index.js";
import type { CollectionState } from "../collection-state.js";
import type { LiveGeneration } from "../generations/live-generation.js";
import { checkFilter } from "./filter-depth.js";
import type { GivenQuery } from "./given.js";
import { readImage } from "./image-content.js";
import { checkAccepted, checkBatchSize, checkText, placedQuery } from "./item-content.js";
import { RecentFilters } from "./recent-filters.js";
import { shownVector } from "./shown-vector.js";

const DEFAULT_K = 10;

/** Where a result is cut off among items equally near, up to so many beyond it are looked at to go by id. */
const TIES = 1000;

/** A query whose vector is in the generation's space. */
interface Prepared {
  query: GivenQuery;
  row: Float32Array;
  k: number;
  /** Label of the item that the query is about, which is not a result. */
  self: number | undefined;
}

/** Answers queries, each wholly within one generation. */
export class QueryRunner {
  private readonly filters: RecentFilters;

  constructor(private readonly state: CollectionState) {
    this.filters = new RecentFilters(state);
  }

  async run(query: GivenQuery): Promise<QueryResult> {
    const started = performance.now();
    this.check(query);
    const generation = this.state.active;
    return generation.use(async () => {
      const row = await this.rowOf(query, generation);
      const results = await this.search(this.prepare(query, row), generation);
      return { generation: generation.number, tookMs: elapsed(started), results };
    });
  }

  async runBatch(queries: GivenQuery[]): Promise<QueryBatchResult> {
    const started = performance.now();
    checkBatchSize(queries.length, this.state.rules.limits.queriesPerBatch, "queries");
    queries.forEach((query, i) => {
      try {
        this.check(query);
      } catch (error) {
        throw placedQuery(error, i);
      }
    });
    const generation = this.state.active;
    return generation.use(async () => {
      const rows = await this.rowsOf(queries, generation);
      const results = await Promise.all(
        queries.map((query, i) => this.search(this.prepare(query, rows[i] ?? new Float32Array()), generation)),
      );
      return { generation: generation.number, tookMs: elapsed(started), results };
    });
  }

  /** @throws validation_failed, k_too_large, wrong_modality, filter_too_deep and what a text can be refused for */
  private check(query: GivenQuery): void {
    const given = (["text", "image", "vector", "itemId"] as const).filter((field) => query[field] !== undefined);
    if (given.length !== 1) {
      throw new AttuneError(
        "validation_failed",
        `A query has exactly one of text, image, vector and itemId; this one has ${given.length === 0 ? "none" : given.join(" and ")}.`,
      );
    }
    const { limits } = this.state.rules;
    if (query.k !== undefined && query.k > limits.k) {
      throw new AttuneError("k_too_large", `k is ${query.k}; at most ${limits.k} results are given at once.`, {
        details: [{ path: "/k", message: `must be <= ${limits.k}` }],
      });
    }
    if (query.text !== undefined) {
      checkAccepted("text", this.state.rules);
      checkText(query.text);
    }
    if (query.image !== undefined) checkAccepted("image", this.state.rules);
    if (query.filter !== undefined) checkFilter(query.filter, limits.filterDepth);
  }

  private async rowsOf(queries: GivenQuery[], generation: LiveGeneration): Promise<Float32Array[]> {
    // The encoder, the head and the index each merge what arrives together.
    return Promise.all(
      queries.map((query, i) =>
        this.rowOf(query, generation).catch((error: unknown) => {
          throw placedQuery(error, i);
        }),
      ),
    );
  }

  private async rowOf(query: GivenQuery, generation: LiveGeneration): Promise<Float32Array> {
    const { dimensions, metric } = this.state.rules;
    if (query.text !== undefined) return generation.embedQueries([query.text]);
    if (query.image !== undefined) return generation.embedQueries([readImage(query.image).bytes]);
    if (query.vector !== undefined) return generation.project(readVector(query.vector, dimensions, metric));
    return generation.rows.read([this.labelOf(query.itemId ?? "")]);
  }

  /** @throws item_not_found */
  private labelOf(id: string): number {
    const label = this.state.table.labelOf(id);
    if (label !== undefined) return label;
    throw new AttuneError("item_not_found", `There is no item ${JSON.stringify(id.slice(0, 80))} in this collection.`);
  }

  private prepare(query: GivenQuery, row: Float32Array): Prepared {
    const self = query.itemId === undefined ? undefined : this.state.table.labelOf(query.itemId);
    return { query, row, k: query.k ?? DEFAULT_K, self };
  }

  private async search(prepared: Prepared, generation: LiveGeneration): Promise<Hit[]> {
    const { query, row, k, self } = prepared;
    const allow = query.filter === undefined ? undefined : this.filters.select(query.filter);
    const wanted = self === undefined ? k : k + 1;
    // The index orders ties by label; one hit more than wanted shows whether the cut goes through a tie.
    for (let asked = wanted + 1; ; asked = Math.min(asked * 10, wanted + TIES)) {
      const [hits] = await generation.index.search(row, 1, {
        k: asked,
        efSearch: generation.widened(query.efSearch ?? this.state.settings.index.efSearch),
        ...(query.exact === undefined ? {} : { exact: query.exact }),
        ...(allow === undefined ? {} : { allow }),
      });
      if (hits === undefined) return [];
      const complete = hits.labels.length < asked || asked >= wanted + TIES;
      if (complete || hits.distances[wanted - 1] !== hits.distances.at(-1))
        return this.show(hits, prepared, generation);
    }
  }

  private async show(hits: SearchHits, { query, k, self }: Prepared, generation: LiveGeneration): Promise<Hit[]> {
    const { table, rules } = this.state;
    const space = metricOf(rules.metric);
    const found: (Hit & { label: number })[] = [];
    for (let i = 0; i < hits.labels.length; i++) {
      const label = hits.labels[i] as number;
      const id = table.idOf(label);
      const distance = hits.distances[i] as number;
      const score = space.score(distance);
      if (id === undefined || label === self || (query.minScore !== undefined && score < query.minScore)) continue;
      found.push({ id, score, distance, label });
    }
    found.sort((a, b) => a.distance - b.distance || compareIds(a.id, b.id));
    if (found.length > k) found.length = k;
    const shown: Hit[] = found.map(({ id, score, distance, label }) =>
      query.withPayload === false
        ? { id, score, distance }
        : { id, score, distance, payload: this.payloadOf(id, label) },
    );
    const { withVector = false } = query;
    if (withVector !== false) await this.addVectors(shown, found, withVector, generation);
    return shown;
  }

  /** Read on this thread: ten cached records take 40 us so, and four times as long through the thread pool. */
  private payloadOf(id: string, label: number): Payload | null {
    return this.state.table.hasPayload(label) ? (this.state.tables.items.getSync(id)?.payload ?? null) : null;
  }

  private async addVectors(
    hits: Hit[],
    labels: readonly { label: number }[],
    form: WithVector,
    { space }: LiveGeneration,
  ): Promise<void> {
    const { dimensions } = this.state.rules;
    const rows = await space.rows.read(labels.map(({ label }) => label));
    hits.forEach((hit, i) => {
      hit.vector = shownVector(rows, i, dimensions, form);
    });
  }
}

/** Byte order of UTF-8, which is the order of lists. */
function compareIds(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function elapsed(started: number): number {
  return Math.round((performance.now() - started) * 1000) / 1000;
}
