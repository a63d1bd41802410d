// Checks a build of hnswlib-node: `node check-hnswlib.js ADDON` ends with 0 when its answers are right. A process of its
// own, for an instruction that the CPU lacks ends the process.

import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const POINTS = 200;
/** At 512 dimensions more than 4 MiB, from where on huge-pages.h has a say. */
const CAPACITY = 4000;
const QUERIES = 20;
const K = 10;
/** hnswlib has a distance function each for multiples of 16, of 4, and what is left over: these take all of them. */
const DIMENSIONS = [3, 16, 20, 37, 100, 512];
const TOLERANCE = 1e-4;

const DISTANCES = {
  l2: (a, b) => a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0),
  ip: (a, b) => 1 - a.reduce((sum, x, i) => sum + x * b[i], 0),
};

const addon = createRequire(import.meta.url)(path.resolve(process.argv[2]));
for (const space of Object.keys(DISTANCES)) for (const dimensions of DIMENSIONS) await checkGraph(space, dimensions);
if (addon.compareRows) await checkWalkers();
if (addon.readJsonNumbers) checkNumbers();

/** A search as broad as the graph is large is exact, so it has to find what comparing with every point finds. */
async function checkGraph(space, dimensions) {
  const random = generator(dimensions);
  const vectors = (count) => Array.from({ length: count }, () => unitVector(random, dimensions));
  const [points, queries] = [vectors(POINTS), vectors(QUERIES)];
  const graph = graphOf(points, space, dimensions);
  if (addon.takesFloat32Array) {
    const twin = graphOf(points.map(toFloat32), space, dimensions);
    for (const query of queries) checkTwin(graph.searchKnn(query, K), twin.searchKnn(toFloat32(query), K));
  }
  if (addon.compareRows) {
    checkAdditions(graph, space, points, queries);
    await checkThreads(space, points, queries);
    checkReplacing(space, points, queries);
  }
  const loaded = reload(graph, space, dimensions);
  for (const query of queries) {
    const expected = points.map((point) => DISTANCES[space](query, point));
    const nearest = [...expected].sort((a, b) => a - b).slice(0, K);
    for (const searched of [graph, loaded]) {
      searched.setEf(POINTS);
      const { neighbors, distances } = searched.searchKnn(query, K);
      const right = nearest.every(
        (distance, i) => isNear(distances[i], distance) && isNear(expected[neighbors[i]], distance),
      );
      if (!right) throw new Error(`${space}, ${dimensions} dimensions: found ${distances}, expected ${nearest}`);
    }
  }
}

function graphOf(points, space, dimensions) {
  const graph = new addon.HierarchicalNSW(space, dimensions);
  graph.initIndex({ maxElements: POINTS / 2 });
  for (const [label, point] of points.entries()) {
    if (label === POINTS / 2) graph.resizeIndex(CAPACITY);
    graph.addPoint(point, label);
  }
  return graph;
}

/** Two ways lead to the same bits: the same links, so the same answers of narrow searches too. */
function checkTwin(...answers) {
  const [expected, found] = answers.map(({ distances, neighbors }) => JSON.stringify({ distances, neighbors }));
  if (found !== expected) throw new Error(`another way found ${found}, expected ${expected}`);
}

/** Our own search finds what hnswlib's does, narrow and among some, and our comparisons give the distances. */
function checkAdditions(graph, space, points, queries) {
  const dimensions = points[0].length;
  const [nodes, distances] = [new Uint32Array(K), new Float32Array(K)];
  const identity = Uint32Array.from(points, (_, i) => i);
  const odd = new Uint32Array(Math.ceil(POINTS / 32)).fill(0xaaaaaaaa);
  const flat = (vectors) => Float32Array.from(vectors.flat());
  const compared = [0, 1].map(() => new Float32Array(QUERIES * POINTS));
  graph.compareNodes(flat(queries), identity, compared[0]);
  addon.compareRows(space, dimensions, flat(queries), flat(points), compared[1]);
  const shared = graph.share();
  for (const [i, query] of queries.entries()) {
    const given = toFloat32(query);
    for (const [test, ...living] of [[undefined], [(node) => node % 2 === 1, identity, identity, odd]]) {
      const [labelOf, nodeOf, allow] = living;
      const found = graph.searchNodes(given, K, graph.getEf(), labelOf, nodeOf, allow, nodes, distances);
      const ours = { distances: [...distances.subarray(0, found)], neighbors: [...nodes.subarray(0, found)] };
      checkTwin(graph.searchKnn(given, K, test), ours);
      const again = addon.searchShared(shared, given, K, graph.getEf(), labelOf, nodeOf, allow, nodes, distances);
      checkTwin(ours, { distances: [...distances.subarray(0, again)], neighbors: [...nodes.subarray(0, again)] });
    }
    for (const [j, point] of points.entries()) {
      const expected = DISTANCES[space](query, point);
      const right = compared.every((values) => isNear(values[i * POINTS + j], expected));
      if (!right) throw new Error(`${space}, ${dimensions} dimensions: compared rows are not ${expected} apart`);
    }
  }
}

/** A graph that two threads made finds its own nearest; until it is told of the rows, it finds those that were there before. */
async function checkThreads(space, points, queries) {
  const graph = new addon.HierarchicalNSW(space, points[0].length);
  graph.initIndex({ maxElements: POINTS });
  const rowOf = await addNodes(graph, points.slice(0, POINTS / 2), () => {});
  const [nodes, distances] = [new Uint32Array(1), new Float32Array(1)];
  const nearest = (query, known) =>
    known.reduce((best, row) => Math.min(best, DISTANCES[space](query, points[row])), Number.POSITIVE_INFINITY);
  const check = (known) => {
    for (const query of queries) {
      const given = toFloat32(query);
      const found = graph.searchNodes(given, 1, POINTS / 2 - 1, undefined, undefined, undefined, nodes, distances);
      const right = found === 1 && isNear(DISTANCES[space](query, points[known[nodes[0]]]), distances[0]);
      if (!right || !isNear(distances[0], nearest(query, known)))
        throw new Error(`${space}: a graph of ${known.length} points of two threads missed`);
    }
  };
  const first = [...rowOf];
  check(first);
  const more = await addNodes(graph, points.slice(POINTS / 2), () => check(first));
  check([...first, ...[...more].map((row) => row + POINTS / 2)]);
}

/** Numbers that JSON has of float32 come out as these again. */
function checkNumbers() {
  const random = generator(1);
  const numbers = Array.from({ length: 1000 }, (_, i) => Math.fround((random() - 0.5) * 10 ** ((i % 30) - 15)));
  const json = Buffer.from(JSON.stringify(numbers));
  const read = new Float32Array(numbers.length);
  const count = addon.readJsonNumbers(json, 1, json.length - 1, read);
  const wrong = numbers.findIndex((number, i) => read[i] !== number);
  if (count !== numbers.length || wrong !== -1)
    throw new Error(`${count} numbers of JSON, ${read[wrong]} for ${numbers[wrong]}`);
}

/** The number of the row that became each node. */
function addNodes(graph, rows, meanwhile) {
  return new Promise((resolve, reject) => {
    graph.addNodes(Float32Array.from(rows.flat()), 2, true, (rowOf, problem) =>
      problem === undefined ? resolve(rowOf) : reject(new Error(problem)),
    );
    meanwhile();
  });
}

/** Rows that are put into the nodes are what searches compare with, and a graph that changes is no longer shared. */
function checkReplacing(space, points, queries) {
  const dimensions = points[0].length;
  const graph = graphOf([...points].reverse().map(toFloat32), space, dimensions);
  const shared = graph.share();
  graph.setNodes(0, Float32Array.from(points[0]));
  graph.setNodes(1, Float32Array.from(points.slice(1).flat()));
  const found = new Float32Array(QUERIES * POINTS);
  graph.compareNodes(
    Float32Array.from(queries.flat()),
    Uint32Array.from(points, (_, i) => i),
    found,
  );
  for (const [i, query] of queries.entries()) {
    const right = points.every((point, j) => isNear(found[i * POINTS + j], DISTANCES[space](query, point)));
    if (!right) throw new Error(`${space}, ${dimensions} dimensions: the rows put in are not those of the nodes`);
  }
  const [nodes, distances] = [new Uint32Array(K), new Float32Array(K)];
  const args = [toFloat32(queries[0]), K, K, undefined, undefined, undefined, nodes, distances];
  if (addon.searchShared(shared, ...args) !== -1) throw new Error("a graph that has changed is still shared");
}

/** Other threads find what this one finds, and tell of it. */
async function checkWalkers() {
  const random = generator(1);
  const vectors = (count) => Array.from({ length: count }, () => toFloat32(unitVector(random, 16)));
  const graph = graphOf(vectors(POINTS), "l2", 16);
  const number = graph.share();
  const queries = vectors(QUERIES);
  // Walks, and comparisons with each point.
  const breadths = queries.map((_, i) => (i % 2 === 0 ? graph.getEf() : POINTS));
  const expected = queries.map((query, i) => {
    graph.setEf(breadths[i]);
    return JSON.stringify(graph.searchKnn(query, K));
  });
  const [ids, counts] = [new Float64Array(QUERIES), new Int32Array(QUERIES)];
  const [nodes, distances] = [new Uint32Array(QUERIES * K), new Float32Array(QUERIES * K)];
  let open = QUERIES;
  await new Promise((resolve, reject) => {
    const take = () => {
      const taken = walkers.take(ids, counts, nodes, distances);
      for (let i = 0; i < taken; i++) {
        const part = [i * K, i * K + counts[i]];
        const found = { distances: [...distances.subarray(...part)], neighbors: [...nodes.subarray(...part)] };
        if (JSON.stringify(found) !== expected[ids[i]]) reject(new Error("another thread found something else"));
      }
      open -= taken;
      if (open === 0) resolve();
    };
    const walkers = new addon.Walkers(2, take);
    for (const [id, query] of queries.entries()) {
      if (!walkers.ask(id, number, query, K, breadths[id], 1000, undefined, undefined, undefined))
        reject(new Error("no thread"));
    }
    setTimeout(
      () => reject(new Error(`${open} searches of other threads were not answered in a minute`)),
      60_000,
    ).unref();
  });
}

/** A view that begins inside its buffer, as those of rows do. */
function toFloat32(vector) {
  return Float32Array.of(Number.NaN, ...vector).subarray(1);
}

/** The same graph from its file. */
function reload(graph, space, dimensions) {
  const file = path.join(os.tmpdir(), `attune-check-${process.pid}.hnsw`);
  try {
    graph.writeIndexSync(file);
    const loaded = new addon.HierarchicalNSW(space, dimensions);
    loaded.readIndexSync(file);
    return loaded;
  } finally {
    rmSync(file, { force: true });
  }
}

function isNear(value, expected) {
  return Math.abs(value - expected) < TOLERANCE;
}

function unitVector(random, dimensions) {
  const vector = Array.from({ length: dimensions }, () => random() - 0.5);
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}

/** The linear congruential generator of Numerical Recipes, from 0 to 1. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
