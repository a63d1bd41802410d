import { logRank, meanOf, mrrAtK, recallAtK, type TripletDistances, tripletAccuracy } from "../../evaluation/index.js";
import { freeArray } from "../../vector/free-array.js";
import type { Engine } from "../engines/engine.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { BaseRows } from "../rows/base-rows.js";
import type { RowSource } from "../rows/row-files.js";
import type { FeedbackMetrics, JudgedBy } from "../task/fine-tune-task.js";
import { BLOCK_ROWS, closenessOf, scanCloseness } from "./closeness-scan.js";
import type { Judgement } from "./judgement.js";
import { NeighbourCollector, RankCounter, type RankQuery } from "./ranking.js";

/** What a head makes of some anchors: the ranks of each one's targets, in the order asked. */
export interface Verdict {
  ranks: number[][];
  /** Ten nearest of each untouched item that was asked for. */
  neighbours: Uint32Array[];
  triplets: TripletDistances[];
}

/** Rows that ranks are counted among: all live items, or a sample of them. */
export interface Field {
  rows: RowSource;
  /** Place of an item among the rows, -1 where it is not there. */
  positionOf(item: number): number;
}

export interface JudgeRequest {
  judgements: readonly Judgement[];
  /** Items whose neighbours are wanted. */
  untouched?: readonly number[];
  /** Triplets whose order is wanted: items by number. */
  triplets?: readonly (readonly [number, number, number])[];
}

export const NEIGHBOURS = 10;

/** Every live item, in place. */
export function wholeCollection(base: BaseRows): Field {
  return { rows: base, positionOf: (item) => (item < base.count ? item : -1) };
}

/** Looks at feedback through heads: ranks, neighbours and triplets under given weights. */
export class Judge {
  readonly #engine: Engine;
  readonly #base: Pick<BaseRows, "gather">;
  readonly #graph: FeedbackGraph;
  readonly #pause: () => Promise<void>;

  constructor(engine: Engine, base: Pick<BaseRows, "gather">, graph: FeedbackGraph, pause: () => Promise<void>) {
    this.#engine = engine;
    this.#base = base;
    this.#graph = graph;
    this.#pause = pause;
  }

  /** @param weights d x d; `field` what ranks are counted among */
  async look(weights: Float32Array, field: Field, request: JudgeRequest): Promise<Verdict> {
    const { judgements, untouched = [], triplets = [] } = request;
    const anchors = await this.#embedAll([...judgements.map(({ anchor }) => anchor), ...untouched], weights);
    const targets = await this.#targetCloseness(judgements, anchors, weights);
    const counter = new RankCounter(
      judgements.map((judgement, row) => this.#query(judgement, row, targets[row], field)),
    );
    const rows = untouched.map((_, i) => judgements.length + i);
    const positions = untouched.map((item) => field.positionOf(item));
    const collector = new NeighbourCollector(rows, positions, NEIGHBOURS);
    await scanCloseness(
      this.#engine,
      field.rows,
      weights,
      anchors,
      (block) => {
        counter.visit(block);
        collector.visit(block);
      },
      this.#pause,
    );
    const distances = await this.#tripletDistances(triplets, weights);
    return { ranks: counter.ranks(), neighbours: collector.neighbours(), triplets: distances };
  }

  /**
   * Embeds items a block at a time: thousands of rows at once would take several times their size inside the runtime. What is visited is gone
   * afterwards.
   */
  async #embed(
    items: readonly number[],
    weights: Float32Array,
    visit: (embedded: Float32Array, first: number) => void,
    blockRows = BLOCK_ROWS,
  ): Promise<void> {
    for (let first = 0; first < items.length; first += blockRows) {
      const rows = this.#base.gather(items.slice(first, first + blockRows));
      const embedded = await this.#engine.embed(rows, weights);
      freeArray(rows);
      visit(embedded, first);
      freeArray(embedded);
    }
  }

  async #embedAll(items: readonly number[], weights: Float32Array): Promise<Float32Array> {
    const d = this.#engine.dimensions;
    const rows = new Float32Array(items.length * d);
    await this.#embed(items, weights, (embedded, first) => rows.set(embedded, first * d));
    return rows;
  }

  /** How close each anchor, row i of `anchors`, is to its targets. */
  async #targetCloseness(
    judgements: readonly Judgement[],
    anchors: Float32Array,
    weights: Float32Array,
  ): Promise<number[][]> {
    const targets = judgements.flatMap((judgement, row) => judgement.targets.map((item) => ({ item, row })));
    const closeness = judgements.map((): number[] => []);
    const items = targets.map(({ item }) => item);
    await this.#embed(items, weights, (embedded, first) => {
      targets.slice(first, first + BLOCK_ROWS).forEach(({ row }, i) => {
        closeness[row]?.push(closenessOf(this.#engine, anchors, row, embedded, i));
      });
    });
    return closeness;
  }

  #query({ anchor, targets }: Judgement, row: number, closeness: readonly number[] = [], field: Field): RankQuery {
    const known = this.#graph.members(this.#graph.componentOf(anchor));
    const excluded = new Set([anchor, ...known].map((item) => field.positionOf(item)));
    excluded.delete(-1);
    return {
      row,
      targets: closeness,
      targetPositions: targets.map((item) => field.positionOf(item)),
      excluded: [...excluded].sort((a, b) => a - b),
    };
  }

  async #tripletDistances(triplets: JudgeRequest["triplets"] = [], weights: Float32Array): Promise<TripletDistances[]> {
    const distances: TripletDistances[] = [];
    const visit = (embedded: Float32Array) => {
      // Closeness negated orders as distance does.
      const distance = (i: number, j: number) => -closenessOf(this.#engine, embedded, i, embedded, j);
      const rows = embedded.length / this.#engine.dimensions;
      for (let i = 0; i < rows; i += 3) distances.push({ positive: distance(i, i + 1), negative: distance(i, i + 2) });
    };
    await this.#embed(triplets.flat(), weights, visit, BLOCK_ROWS - (BLOCK_ROWS % 3));
    return distances;
  }
}

/** The log-rank of each judged anchor. */
export function logRanks(ranks: readonly number[][]): number[] {
  return ranks.map((each) => logRank(each));
}

/** Gain of each anchor from one look to another: positives should come closer, marked items go away. */
export function gains(before: readonly number[][], after: readonly number[][], judgedBy: JudgedBy): number[] {
  const sign = judgedBy === "dissimilar" ? -1 : 1;
  const later = logRanks(after);
  return logRanks(before).map((value, i) => sign * (value - (later[i] as number)));
}

/** Figures over all anchors of a verdict. */
export function metricsOf(ranks: readonly number[][], triplets: readonly TripletDistances[]): FeedbackMetrics {
  // The nearest target stands for the anchor: its rank among what is no target, as a list with one relevant place.
  const nearest = ranks.map((each) => Math.ceil(Math.min(...each)));
  const places = Array.from({ length: NEIGHBOURS }, (_, i) => i + 1);
  const mean = (figure: (isRelevant: (place: number) => boolean) => number) =>
    meanOf(nearest.map((rank) => figure((place) => place === rank)));
  return {
    logRank: meanOf(logRanks(ranks)),
    tripletAccuracy: tripletAccuracy(triplets),
    recallAt1: mean((isRelevant) => recallAtK(places, isRelevant, 1)),
    recallAt10: mean((isRelevant) => recallAtK(places, isRelevant, 10)),
    mrrAt10: mean((isRelevant) => mrrAtK(places, isRelevant, 10)),
  };
}

/** Mean share of the neighbours before that are not among the neighbours after, 0 to 1; 0 where none was looked at. */
export function driftOf(before: readonly Uint32Array[], after: readonly Uint32Array[]): number {
  if (before.length === 0) return 0;
  const shares = before.map((neighbours, i) => {
    const kept = new Set(after[i]);
    const replaced = neighbours.filter((item) => !kept.has(item)).length;
    return neighbours.length === 0 ? 0 : replaced / neighbours.length;
  });
  return meanOf(shares);
}
