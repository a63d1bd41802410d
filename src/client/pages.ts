/** The entries of every page, fetched as they are asked for. */
export async function* pages<T>(
  fetchPage: (cursor: string | undefined) => Promise<{ entries: readonly T[]; nextCursor?: string | undefined }>,
): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page = await fetchPage(cursor);
    yield* page.entries;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}
