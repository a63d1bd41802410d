// Read before hnswlib's own headers (`-include`): gives its large blocks, which hold the vectors with their links, huge pages. A search jumps about in
// them, and with pages of 4 KiB nearly every jump misses the TLB. Blocks begin where huge pages do, so that they stay huge when a block that grows is moved,
// which malloc's do not.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>
#include <mutex>
#include <sys/mman.h>

namespace attune {

constexpr size_t HUGE_PAGE = size_t{2} << 20;
// Smaller ones are malloc's.
constexpr size_t LEAST_BLOCK = size_t{4} << 20;

class HugeBlocks {
 public:
  void* allocate(size_t size) {
    const size_t length = whole_pages(size);
    void* const block = reserve(length);
    if (block == nullptr) return nullptr;
    madvise(block, length, MADV_HUGEPAGE);
    return note(block, length);
  }

  // Null when there is no memory; then the block is where it was.
  void* resize(void* block, size_t size) {
    const size_t before = length_of(block), length = whole_pages(size);
    if (mremap(block, before, length, 0) != MAP_FAILED) return note(block, length);
    void* const place = reserve(length);
    if (place == nullptr) return nullptr;
    forget(block);
    if (mremap(block, before, length, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED) return note(place, length);
    note(block, before);
    munmap(place, length);
    return nullptr;
  }

  // False when it is none of these.
  bool release(void* block) {
    const size_t length = length_of(block);
    if (length == 0) return false;
    forget(block);
    munmap(block, length);
    return true;
  }

  bool has(void* block) { return length_of(block) > 0; }

 private:
  static size_t whole_pages(size_t size) { return (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE; }

  // So much memory that nobody has, from a huge page's beginning on; null when there is none.
  static void* reserve(size_t length) {
    void* const all = mmap(nullptr, length + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    char* const start = static_cast<char*>(all);
    const size_t before = (HUGE_PAGE - reinterpret_cast<uintptr_t>(all) % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0) munmap(start, before);
    if (before < HUGE_PAGE) munmap(start + before + length, HUGE_PAGE - before);
    return start + before;
  }

  void* note(void* block, size_t length) {
    const std::lock_guard<std::mutex> lock(guard_);
    lengths_[block] = length;
    return block;
  }

  // To be called before its memory is given back: from then on another thread may be given the same place, and note that.
  void forget(void* block) {
    const std::lock_guard<std::mutex> lock(guard_);
    lengths_.erase(block);
  }

  // 0 when it is none of these.
  size_t length_of(void* block) {
    if (reinterpret_cast<uintptr_t>(block) % HUGE_PAGE != 0) return 0;
    const std::lock_guard<std::mutex> lock(guard_);
    const auto found = lengths_.find(block);
    return found == lengths_.end() ? 0 : found->second;
  }

  std::mutex guard_;
  std::map<void*, size_t> lengths_;
};

// Of the process; never destroyed, since graphs may outlive what is.
static HugeBlocks& huge_blocks() {
  static HugeBlocks* const blocks = new HugeBlocks();
  return *blocks;
}

static inline void* allocate(size_t size) { return size < LEAST_BLOCK ? malloc(size) : huge_blocks().allocate(size); }

static inline void release(void* block) {
  if (!huge_blocks().release(block)) free(block);
}

static inline void* resize(void* block, size_t size) {
  if (block != nullptr && huge_blocks().has(block)) return huge_blocks().resize(block, size);
  if (size < LEAST_BLOCK) return realloc(block, size);
  void* const larger = huge_blocks().allocate(size);
  if (larger == nullptr || block == nullptr) return larger;
  std::memcpy(larger, block, std::min(size, malloc_usable_size(block)));
  free(block);
  return larger;
}

// Huge pages for memory of malloc's that nobody has written to yet, from the first byte's page to the last's.
static inline void use_huge_pages(void* block, size_t size) {
  const uintptr_t page = 4096;
  const uintptr_t start = reinterpret_cast<uintptr_t>(block) & ~(page - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(block) + size + page - 1) & ~(page - 1);
  if (block != nullptr && size >= LEAST_BLOCK) madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
}

}  // namespace attune

#define malloc(size) attune::allocate(size)
#define realloc(block, size) attune::resize(block, size)
#define free(block) attune::release(block)
