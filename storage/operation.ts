/** One change, encoded and checked already; made by `Table.put` and `Table.delete`, applied by `Storage.write`. */
export type Operation =
  | { readonly type: "put"; readonly key: string; readonly value: string }
  | { readonly type: "del"; readonly key: string };
