import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Bitmap } from "../../src/index/bitmap.js";
import { HnswGraph } from "../../src/index/hnsw-graph.js";
import { march } from "../../src/native/index.js";
import { METRICS, metricOf, Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "./support.js";

const COUNT = 400;
const K = 10;
const PARAMETERS = { m: 8, efConstruction: 100 };

for (const metric of METRICS) {
  for (const dimensions of [3, 16, 100]) {
    describe(`a graph of ${dimensions} dimensions, ${metric}`, () => {
      const space = metricOf(metric);
      const random = new Random(seedOf(`a graph of ${dimensions} dimensions, ${metric}`, dimensions));
      /** Preprocessed rows, each a view that begins inside memory shared between threads. */
      const randomRows = (count: number) => {
        const flat = new Float32Array(new SharedArrayBuffer(4 * (count * dimensions + 1)), 4);
        for (let i = 0; i < flat.length; i++) flat[i] = random.normal();
        space.preprocess(flat, dimensions);
        return Array.from({ length: count }, (_, i) => flat.subarray(i * dimensions, (i + 1) * dimensions));
      };
      const rows = randomRows(COUNT);
      const queries = randomRows(10);

      /** The labels nearest to a query, by comparing with the row of every label that qualifies. */
      const nearest = (query: Float32Array, qualifies: (label: number) => boolean) => {
        const distances = rows.map((row) => space.distance(query, row));
        const labels = [...rows.keys()].filter(qualifies);
        return labels.sort((a, b) => distances[a]! - distances[b]!).slice(0, K);
      };
      const assertFinds = (graph: HnswGraph, qualifies: (label: number) => boolean, allow?: Bitmap) => {
        for (const query of queries) {
          const { labels, distances } = graph.search(query, K, 2 * COUNT, allow);
          assert.deepEqual([...labels], nearest(query, qualifies));
          for (const [i, label] of labels.entries()) {
            assert.ok(Math.abs(distances[i]! - space.distance(query, rows[label]!)) < 1e-4);
          }
        }
      };
      const fill = () => {
        const graph = HnswGraph.create(space, dimensions, PARAMETERS, 10);
        for (const [label, row] of rows.entries()) graph.add(label, row);
        return graph;
      };

      it("finds what comparing with every row finds, among allowed ones too, and without removed ones", () => {
        const graph = fill();
        assertFinds(graph, () => true);
        const even = Bitmap.of([...rows.keys()].filter((label) => label % 2 === 0));
        assertFinds(graph, (label) => label % 2 === 0, even);
        for (let label = 0; label < COUNT; label += 3) graph.remove(label);
        assertFinds(graph, (label) => label % 3 !== 0);
      });

      it("is as good when several threads add, each label with its own row and the last it was given", async () => {
        const graph = HnswGraph.create(space, dimensions, PARAMETERS, 10);
        const addAll = async (labels: number[], of: Float32Array[]) => {
          const flat = new Float32Array(labels.length * dimensions);
          for (const [i, label] of labels.entries()) flat.set(of[label]!, i * dimensions);
          await graph.addAll(labels, flat, { threads: 3, giveWay: false });
        };
        await addAll([], rows);
        await addAll([...rows.keys()], randomRows(COUNT));
        const order = [...rows.keys()].reverse();
        for (let start = 0; start < COUNT; start += 33) await addAll(order.slice(start, start + 33), rows);
        assert.deepEqual([graph.nodes, graph.live], [2 * COUNT, COUNT]);
        const file = join(temporaryDirectory(), "graph.hnsw");
        await graph.write(file);
        for (const each of [graph, HnswGraph.load(file, graph.labelTable(), space, dimensions, PARAMETERS)]) {
          for (const [label, row] of rows.entries()) assert.deepEqual(each.row(label), Float32Array.from(row));
          assertFinds(each, () => true);
          each.add(COUNT, rows[0]!);
          assert.deepEqual([...each.search(rows[0]!, 2, 2 * COUNT).labels].sort(), [0, COUNT].sort());
          each.remove(COUNT);
        }
      });

      it("answers while rows are added, and forgets those that are removed on their way", async () => {
        const graph = HnswGraph.create(space, dimensions, PARAMETERS, 10);
        const half = COUNT / 2;
        const flatOf = (some: Float32Array[]) => Float32Array.from(some.flatMap((row) => [...row]));
        await graph.addAll([...rows.keys()].slice(0, half), flatOf(rows.slice(0, half)), {
          threads: 2,
          giveWay: false,
        });
        const entering = graph.addAll([...rows.keys()].slice(half), flatOf(rows.slice(half)), {
          threads: 2,
          giveWay: false,
        });
        if (graph.addsAside) {
          assertFinds(graph, (label) => label < half);
          assert.throws(() => graph.add(COUNT, rows[0]!), /wait until they are there/);
          await assert.rejects(
            graph.addAll([COUNT], rows[0]!, { threads: 1, giveWay: false }),
            /wait until they are there/,
          );
        }
        // One that is there, one on its way, and both again.
        for (const label of [3, half + 3]) assert.deepEqual([graph.remove(label), graph.remove(label)], [true, false]);
        await entering;
        assertFinds(graph, (label) => label !== 3 && label !== half + 3);
        assert.deepEqual([graph.nodes, graph.live, graph.has(half + 3)], [COUNT, COUNT - 2, false]);
        await graph.addAll([half + 3, 3], flatOf([rows[half + 3]!, rows[3]!]), { threads: 2, giveWay: false });
        assertFinds(graph, () => true);
      });

      it("keeps every bit of a row, the last that a label was given, through a file as well", async () => {
        const graph = fill();
        const before = rows[7]!;
        rows[7] = randomRows(1)[0]!;
        graph.add(7, rows[7]);
        const file = join(temporaryDirectory(), "graph.hnsw");
        await graph.write(file);
        const loaded = HnswGraph.load(file, graph.labelTable(), space, dimensions, PARAMETERS);
        for (const [label, row] of rows.entries()) {
          assert.deepEqual(loaded.row(label), Float32Array.from(row));
          assert.deepEqual(graph.row(label), Float32Array.from(row));
        }
        assertFinds(loaded, () => true);
        rows[7] = before;
      });
    });
  }
}

describe("with hnswlib-node as npm built it", () => {
  const skip = march === undefined ? "that is what ran above" : false;
  it("all of this holds too", { skip }, () => {
    const env = { ...process.env, ATTUNE_MARCH: "off", NODE_TEST_CONTEXT: undefined };
    const { status, stdout } = spawnSync(process.execPath, ["--test", fileURLToPath(import.meta.url)], { env });
    assert.equal(status, 0, String(stdout));
  });
});
