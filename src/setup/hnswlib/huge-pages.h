// Read before hnswlib's own headers (`-include`): asks for huge pages for its large blocks, which hold the vectors with their
// links. A search jumps about in them, and with pages of 4 KiB nearly every jump misses the TLB.
#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

// From the first byte's page to the last's: all of a mapping of malloc's, so that realloc can still move it as one.
static inline void* on_huge_pages(void* block, size_t size) {
  const uintptr_t page = 4096;
  const uintptr_t start = reinterpret_cast<uintptr_t>(block) & ~(page - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(block) + size + page - 1) & ~(page - 1);
  if (block != nullptr && size >= size_t{4} << 20) madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
  return block;
}
static inline void* attune_malloc(size_t size) { return on_huge_pages(malloc(size), size); }
static inline void* attune_realloc(void* block, size_t size) { return on_huge_pages(realloc(block, size), size); }

#define malloc(size) attune_malloc(size)
#define realloc(block, size) attune_realloc(block, size)
