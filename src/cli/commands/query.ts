import { readFileSync } from "node:fs";
import { Command } from "commander";
import type { Filter, Hit, QueryResult, QueryToSend } from "../../client/index.js";
import { makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { UsageError } from "../exit-codes.js";
import { integer, jsonObject, number, vector } from "../option-parsers.js";
import { truncateDisplay } from "../terminal/display-width.js";
import { renderTable } from "../terminal/table.js";

interface QueryOptions extends ServerOptions {
  image?: string;
  vector?: number[] | string;
  item?: string;
  k: number;
  efSearch?: number;
  exact?: boolean;
  filter?: Record<string, unknown>;
  minScore?: number;
  payload: boolean;
  withVectors?: boolean;
}

const PAYLOAD_COLUMNS = 70;

const EXAMPLE = `
Example:
  attune query emoji "happy birthday" -k 5
  attune query photos --image cat.jpg
  attune query emoji --item 1F382 --filter '{"must": [{"key": "group", "equals": "food & drink"}]}'`;

export function queryCommand(): Command {
  const command = new Command("query")
    .description("Search a collection by text, by image, by vector, or by what is near an item.")
    .argument("<collection>")
    .argument("[text...]", "the text to search for; words are joined by spaces")
    .option("--image <file>", "search by an image file")
    .option("--vector <vector>", "search by a vector: JSON array, or base64 of little-endian float32", vector)
    .option("--item <id>", "search for what is near an item")
    .option("-k, --k <count>", "how many results", integer(1), 10)
    .option("--ef-search <count>", "how widely the graph is searched", integer(1))
    .option("--exact", "compare with every item")
    .option("--filter <json>", "only items whose payload fits", jsonObject)
    .option("--min-score <score>", "only results with at least this score", number)
    .option("--no-payload", "leave the payloads out")
    .option("--with-vectors", "with the items' vectors (shown with --json)");
  return withServerOptions(command).addHelpText("after", EXAMPLE).action(query);
}

async function query(collection: string, words: string[], options: QueryOptions): Promise<void> {
  const context = makeContext(options);
  const result = await context.client.collection(collection).query(buildQuery(words, options));
  context.print(result, describe(result));
}

function buildQuery(words: readonly string[], options: QueryOptions): QueryToSend {
  const text = words.length === 0 ? undefined : words.join(" ");
  const ways = [text, options.image, options.vector, options.item].filter((way) => way !== undefined);
  if (ways.length !== 1) throw new UsageError("expected one of: a text, --image, --vector, --item");
  return {
    text,
    image: options.image === undefined ? undefined : readFileSync(options.image),
    vector: options.vector,
    itemId: options.item,
    k: options.k,
    efSearch: options.efSearch,
    exact: options.exact,
    filter: options.filter as Filter | undefined,
    minScore: options.minScore,
    withPayload: options.payload,
    withVector: options.withVectors,
  };
}

function describe(result: QueryResult): string {
  const columns = [
    { title: "#", align: "right" },
    { title: "score", align: "right" },
    { title: "id" },
    { title: "payload" },
  ] as const;
  const rows = result.results.map((hit, i) => [String(i + 1), hit.score.toFixed(4), hit.id, payloadOf(hit)]);
  const foot = `${result.results.length} results from generation ${result.generation} in ${result.tookMs.toFixed(1)} ms`;
  return `${renderTable(columns, rows)}\n${foot}`;
}

function payloadOf(hit: Hit): string {
  return hit.payload == null ? "" : truncateDisplay(JSON.stringify(hit.payload), PAYLOAD_COLUMNS);
}
