/** Path of the image of an item, which changes when another image is put there. */
export function itemImageUrl(collection: string, id: string): string {
  return `/v1/collections/${collection}/items/${encodeURIComponent(id)}/image`;
}

/** Path of content by its hash, which is the same content for ever. */
export function contentUrl(collection: string, hash: string): string {
  return `/v1/collections/${collection}/content/${hash}`;
}
