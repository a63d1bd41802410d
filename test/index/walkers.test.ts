import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Bitmap } from "../../src/index/bitmap.js";
import { HnswGraph } from "../../src/index/hnsw-graph.js";
import type { EngineOptions, ToWorker } from "../../src/index/hnsw-messages.js";
import type { SearchHits, SearchOptions } from "../../src/index/index.js";
import { RestingGraph } from "../../src/index/resting-graph.js";
import { SearchRoutes } from "../../src/index/search-routes.js";
import { Walkers } from "../../src/index/walkers.js";
import { hasNativeFunctions, hnswlib } from "../../src/native/index.js";
import { metricOf, Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { filledIndex } from "./filled-index.js";
import { Clusters, code, flat, uint32 } from "./support.js";

const DIMENSIONS = 16;
const parameters = { m: 16, efConstruction: 100, efSearch: 64 };
const skip = hasNativeFunctions(hnswlib) ? false : "npm's build of hnswlib-node has no walkers";
const space = metricOf("euclidean");

function graphOf(rows: Float32Array[]): HnswGraph {
  const graph = HnswGraph.create(space, rows[0]!.length, { m: 16, efConstruction: 100 }, rows.length);
  for (const [label, row] of rows.entries()) graph.add(label, row);
  after(() => graph.free());
  return graph;
}

function clusteredGraph(count: number, seed: number) {
  const clusters = new Clusters(new Random(seedOf("rows", seed)), DIMENSIONS);
  const graph = graphOf(Array.from({ length: count }, () => clusters.row()));
  return { graph, clusters, resting: new RestingGraph(graph.share()!, space, DIMENSIONS) };
}

describe("searches of a resting graph by walkers", { skip }, () => {
  const walkersOf = (threads: number) =>
    new Walkers(hasNativeFunctions(hnswlib) ? hnswlib.Walkers : assert.fail(), threads);
  const asked = (graph: RestingGraph, walkers: Walkers, query: Float32Array, k: number, efSearch: number) =>
    new Promise<SearchHits | undefined>((resolve) => {
      assert.ok(graph.ask(walkers, query, graph.plan({ k, efSearch })!, resolve));
    });
  const found = (graph: RestingGraph, query: Float32Array, k: number, efSearch: number) =>
    graph.search(query, graph.plan({ k, efSearch })!);

  it("find what a search on this thread finds, however many are under way", async () => {
    const { resting, clusters } = clusteredGraph(2000, 1);
    const walkers = walkersOf(3);
    for (const together of [1, 2, 7, 64, 65, 300, 1]) {
      const queries = Array.from({ length: together }, () => clusters.row());
      // The same memory for each: it is copied.
      const memory = new Float32Array(DIMENSIONS);
      const answers = queries.map((query) => {
        memory.set(query);
        return asked(resting, walkers, memory, 10, 40);
      });
      memory.fill(Number.NaN);
      for (const [i, query] of queries.entries()) assert.deepEqual(await answers[i], found(resting, query, 10, 40));
    }
  });

  it("are answered when they take longer than anybody looks for answers", async () => {
    const { resting, clusters } = clusteredGraph(6000, 2);
    const walkers = walkersOf(1);
    for (let i = 0; i < 20; i++) {
      const query = clusters.row();
      const waits = [...Array.from({ length: 8 }, () => asked(resting, walkers, query, 100, 5000))];
      for (const answer of await Promise.all(waits)) assert.deepEqual(answer, found(resting, query, 100, 5000));
    }
  });

  it("leave to the graph's thread what the walk does not reach, and equal distances in another order than their labels'", async () => {
    const far = (distance: number) => Float32Array.of(distance, 0, 0);
    const query = far(0);
    const walkers = walkersOf(1);
    // Of two that are equal, the one that was replaced has the later node and the earlier label.
    const graph = graphOf([1, 1, ...Array.from({ length: 300 }, (_, i) => 2 + i)].map(far));
    graph.remove(0);
    graph.add(0, far(1));
    const twins = new RestingGraph(graph.share()!, space, 3);
    assert.equal(await asked(twins, walkers, query, 3, 10), undefined, "a walk");
    assert.deepEqual((await asked(twins, walkers, query, 3, 300))?.labels, uint32(0, 1, 2), "a comparison");
    const plan = twins.plan({ k: 3, efSearch: 300 })!;
    graph.remove(1);
    assert.equal(
      await new Promise((resolve) => {
        assert.ok(twins.ask(walkers, query, { ...plan, k: 303 }, resolve));
      }),
      undefined,
      "fewer than there were",
    );
  });

  it("compare with what is allowed, and with all when that is asked for, while others walk", async () => {
    const { graph, clusters } = clusteredGraph(4000, 8);
    for (let label = 0; label < 4000; label += 7) graph.remove(label);
    const resting = new RestingGraph(graph.share()!, space, DIMENSIONS);
    const filters = [2, 3, 50, 1000].map((step) => Bitmap.of(Array.from({ length: 4000 / step }, (_, i) => step * i)));
    // Equal to another, and not the same.
    filters.push(filters[2]!.clone());
    const kinds: Omit<SearchOptions, "k">[] = [
      {},
      { exact: true },
      ...filters.map((allow) => ({ allow, exact: true })),
    ];
    const walkers = walkersOf(3);
    for (let round = 0; round < 5; round++) {
      const searches = Array.from({ length: 200 }, (_, i) => ({ ...kinds[(i >> 1) % kinds.length]!, k: 1 + (i % 20) }));
      const queries = searches.map(() => clusters.row());
      const answers = searches.map((options, i) => {
        const search = resting.plan({ efSearch: 40, ...options })!;
        return new Promise((resolve) => assert.ok(resting.ask(walkers, queries[i]!, search, resolve)));
      });
      for (const [i, options] of searches.entries()) {
        const expected = resting.search(queries[i]!, resting.plan({ efSearch: 40, ...options })!);
        assert.ok(expected !== undefined);
        assert.deepEqual(await answers[i], expected);
      }
    }
  });

  it("leave tombstones out", async () => {
    const { graph, clusters } = clusteredGraph(2000, 3);
    for (let label = 0; label < 2000; label += 2) graph.remove(label);
    const resting = new RestingGraph(graph.share()!, space, DIMENSIONS);
    for (let i = 0; i < 20; i++) {
      const found = await asked(resting, walkersOf(2), clusters.row(), 10, 100);
      assert.equal(found?.labels.length, 10);
      assert.ok(found.labels.every((label) => label % 2 === 1));
    }
  });

  it("are refused once the graph is changed, and what was asked before is answered or handed back", async () => {
    const { graph, resting, clusters } = clusteredGraph(2000, 4);
    const walkers = walkersOf(1);
    const query = clusters.row();
    const expected = found(resting, query, 10, 1900);
    const answers = Array.from({ length: 200 }, () => asked(resting, walkers, query, 10, 1900));
    graph.add(2000, clusters.row());
    assert.equal(
      resting.ask(walkers, query, resting.plan({ k: 10, efSearch: 40 })!, () => assert.fail()),
      false,
    );
    const given = await Promise.all(answers);
    assert.ok(given.includes(undefined), "every search was over before the graph changed");
    for (const hits of given) if (hits !== undefined) assert.deepEqual(hits, expected);
  });
});

describe("the routes of searches", { skip }, () => {
  const row = (number: number) => new Float32Array(DIMENSIONS).fill(number);
  const routesOf = (seed: number) => {
    const messages: ToWorker[] = [];
    const answers: [id: number, hits: SearchHits][] = [];
    const { resting: _, ...given } = clusteredGraph(2000, seed);
    const options = { rows: { path: "", dimensions: DIMENSIONS }, metric: "euclidean", parameters, searchHere: false };
    const routes = new SearchRoutes(
      options as unknown as EngineOptions,
      (message) => messages.push(message),
      (id, hits) => answers.push([id, hits]),
    );
    const settled = async (count: number) => {
      while (answers.length + messages.length < count) await turn();
    };
    return { ...given, routes, messages, answers, settled };
  };

  it("lead to walkers while the graph is at rest, else to its thread", async () => {
    const { routes, graph, messages, answers, settled } = routesOf(5);
    routes.send(1, row(0.1), 1, { k: 3 });
    await settled(1);
    assert.deepEqual([messages.length, answers.length], [1, 0], "nobody has told of a graph at rest");
    const rest = { type: "resting", after: 1, graph: graph.share()! } as const;
    routes.rest(rest);
    for (let id = 2; id < 102; id++) routes.send(id, row(id), 1, { k: 3 });
    await settled(101);
    assert.deepEqual([messages.length, answers.length], [1, 100]);
    assert.deepEqual(new Set(answers.map(([id]) => id)), new Set(Array.from({ length: 100 }, (_, i) => i + 2)));
    routes.change(102);
    routes.rest(rest);
    routes.send(103, row(0), 1, { k: 3 });
    await settled(102);
    assert.deepEqual([messages.length, answers.length], [2, 100], "what rested has been changed since");
  });

  it("lead to the graph's thread several queries, what finds nothing, and what asks for more than an answer has room for", async () => {
    const { routes, graph, messages, answers, settled } = routesOf(6);
    routes.rest({ type: "resting", after: 0, graph: graph.share()! });
    const given: [count: number, options: SearchOptions][] = [
      [2, { k: 3 }],
      [1, { k: 3, allow: new Bitmap() }],
      [1, { k: 0 }],
      [1, { k: 129 }],
      [1, { k: 2001 }],
    ];
    for (const [i, [count, options]] of given.entries()) {
      routes.send(i + 1, new Float32Array(count * DIMENSIONS), count, options);
      await settled(i + 1);
    }
    assert.deepEqual([messages.length, answers.length], [given.length, 0]);
    // Of what is allowed there are no more.
    routes.send(6, row(0), 1, { k: 129, allow: Bitmap.of([1, 2, 3]) });
    await settled(6);
    assert.deepEqual([...answers[0]![1].labels].sort(), [1, 2, 3]);
  });

  it("hand back to the graph's thread, as it was asked, what walkers could not answer", async () => {
    const { routes, graph, messages, answers } = routesOf(7);
    routes.rest({ type: "resting", after: 0, graph: graph.share()! });
    for (let id = 1; id <= 3000; id++) routes.send(id, row(id), 1, { k: 3, efSearch: 450 });
    graph.add(2000, row(0));
    const sent = () => messages.flatMap((message) => (message.type === "search" ? message.calls : []));
    while (answers.length + sent().length < 3000) await turn();
    assert.ok(messages.length > 0, "every search was over before the graph changed");
    for (const message of messages) {
      assert.ok(message.type === "search");
      for (const [i, { id, k, efSearch }] of message.calls.entries()) {
        assert.deepEqual([k, efSearch], [3, 450]);
        assert.deepEqual(message.queries.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS), row(id));
      }
    }
  });
});

describe("searches that come together", { skip }, () => {
  const third = Bitmap.of(Array.from({ length: 1000 }, (_, i) => 3 * i));
  const kinds: Omit<SearchOptions, "k">[] = [{}, { allow: third }, { exact: true }, { allow: third, exact: true }];

  for (const shards of [1, 3]) {
    it(`find what the index's own thread finds, with ${shards} of them`, async () => {
      const { index, model, clusters } = await filledIndex(3000, 10, shards);
      for (let round = 0; round < 20; round++) {
        const queries = Array.from({ length: 30 }, () => clusters.row());
        const options = { k: 10, ...kinds[round % kinds.length]! };
        const found = await Promise.all(queries.map((query) => index.search(query, 1, options)));
        const expected = await index.search(flat(queries), queries.length, options);
        assert.deepEqual(
          found.map(([hits]) => hits),
          expected,
        );
        const { allow, exact } = { ...kinds[round % kinds.length] } as Partial<SearchOptions>;
        for (const [i, [hits]] of found.entries()) {
          const recall = model.check(hits!, queries[i]!, 10, (label) => allow?.has(label) ?? true);
          assert.ok(recall >= (exact ? 1 : 0.8), `recall ${recall}`);
        }
      }
    });
  }

  it("never miss what was added, nor find what was removed, at any moment after the call", async () => {
    const { index, model, clusters } = await filledIndex(2000, 11);
    const together = (query: Float32Array) =>
      Promise.all(Array.from({ length: 5 }, () => index.search(query, 1, { k: 3 })));
    for (let round = 0; round < 150; round++) {
      const label = 2000 + (round % 7);
      const row = clusters.row();
      const before = together(row);
      model.write(label, row);
      await index.add(uint32(label));
      for (let i = 0; i < round % 3; i++) await turn();
      for (const [hits] of await together(row)) assert.equal(hits!.labels[0], label);
      for (const [hits] of await before) assert.equal(hits!.labels.length, 3);
      model.remove(label);
      await index.remove(uint32(label));
      for (const [hits] of await together(row)) assert.ok(!hits!.labels.includes(label));
    }
  });

  it("are rejected when the index is closed meanwhile", async () => {
    const { index, clusters } = await filledIndex(2000, 12);
    await Promise.all(Array.from({ length: 5 }, () => index.search(clusters.row(), 1, { k: 3 })));
    const searches = Array.from({ length: 50 }, () =>
      assert.rejects(index.search(clusters.row(), 1, { k: 3, efSearch: 400 }), code("shutting_down")),
    );
    await index.close();
    await Promise.all(searches);
  });
});
