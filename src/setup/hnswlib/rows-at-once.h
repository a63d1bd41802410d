// Distances of one row to many, four at a time. hnswlib adds a row up in one register, where each sum waits for the one before; four rows side
// by side keep processor and memory busy. Each row's numbers are added in hnswlib's own order, so the bits are the same.
#pragma once

#include <algorithm>
#include <cstddef>
#if defined(USE_AVX) || defined(USE_AVX512)
#include <immintrin.h>
#endif

namespace attune {

typedef float (*Distance)(const void*, const void*, const void*);
// Distances of `query` to four rows of `width` numbers, a multiple of 16. Meanwhile the rows of `next` come from memory, where it is not null: a line of each with
// every line that is added up, so that memory is never without work, and never asked for more at once than it takes.
typedef void (*DistancesToFour)(const float* query, const float* const rows[4], const float* const* next, size_t width, float* out);

constexpr size_t ROWS_AT_ONCE = 4;
// Of the first rows, and of all that are compared one after the other, the beginning is asked of memory: what follows in a row, memory sees coming by
// itself. Measured with rows of 100 and of 512 numbers.
constexpr size_t LINES_AHEAD = 4;
constexpr size_t LINE_BYTES = 64;
constexpr size_t LINE_NUMBERS = LINE_BYTES / sizeof(float);

static inline void prefetch_row(const void* row, size_t bytes) {
  for (size_t i = 0; i < LINES_AHEAD && i * LINE_BYTES < bytes; i++) {
    __builtin_prefetch(static_cast<const char*>(row) + i * LINE_BYTES);
  }
}

#if defined(USE_AVX512)
struct Avx512 {
  typedef __m512 Numbers;
  static constexpr size_t COUNT = 16;
  static Numbers zero() { return _mm512_setzero_ps(); }
  static Numbers load(const float* from) { return _mm512_loadu_ps(from); }
  static Numbers difference(Numbers a, Numbers b) { return _mm512_sub_ps(a, b); }
  static Numbers with_product(Numbers sum, Numbers a, Numbers b) { return _mm512_fmadd_ps(a, b, sum); }
  static Numbers with_square(Numbers sum, Numbers a) { return _mm512_add_ps(sum, _mm512_mul_ps(a, a)); }
  static void store(float* to, Numbers sums) { _mm512_store_ps(to, sums); }
  static float total_of_products(Numbers sums) { return _mm512_reduce_add_ps(sums); }
  static constexpr Distance product_distance = hnswlib::InnerProductDistanceSIMD16ExtAVX512;
  static constexpr Distance square_distance = hnswlib::L2SqrSIMD16ExtAVX512;
};
#endif

#if defined(USE_AVX)
struct Avx {
  typedef __m256 Numbers;
  static constexpr size_t COUNT = 8;
  static Numbers zero() { return _mm256_setzero_ps(); }
  static Numbers load(const float* from) { return _mm256_loadu_ps(from); }
  static Numbers difference(Numbers a, Numbers b) { return _mm256_sub_ps(a, b); }
  static Numbers with_product(Numbers sum, Numbers a, Numbers b) { return _mm256_add_ps(sum, _mm256_mul_ps(a, b)); }
  static Numbers with_square(Numbers sum, Numbers a) { return _mm256_add_ps(sum, _mm256_mul_ps(a, a)); }
  static void store(float* to, Numbers sums) { _mm256_store_ps(to, sums); }
  static float total_of_products(Numbers sums);
  static constexpr Distance product_distance = hnswlib::InnerProductDistanceSIMD16ExtAVX;
  static constexpr Distance square_distance = hnswlib::L2SqrSIMD16ExtAVX;
};
#endif

// From the first to the last, as hnswlib adds them.
template <class Lanes>
static inline float total(typename Lanes::Numbers sums) {
  alignas(sizeof(typename Lanes::Numbers)) float each[Lanes::COUNT];
  Lanes::store(each, sums);
  float sum = each[0];
  for (size_t i = 1; i < Lanes::COUNT; i++) sum += each[i];
  return sum;
}

#if defined(USE_AVX)
inline float Avx::total_of_products(Numbers sums) { return total<Avx>(sums); }
#endif

// Of each of the four rows: what `add` makes of the sums so far, the next numbers of the query and those of the row.
template <class Lanes, bool HAS_NEXT, class Add>
static inline void add_up(
  const float* query, const float* const rows[4], const float* const* next, size_t width, const Add& add, typename Lanes::Numbers* sums) {
  for (size_t row = 0; row < ROWS_AT_ONCE; row++) sums[row] = Lanes::zero();
  for (size_t line = 0; line < width; line += LINE_NUMBERS) {
    for (size_t row = 0; HAS_NEXT && row < ROWS_AT_ONCE; row++) __builtin_prefetch(next[row] + line);
    for (size_t i = line; i < line + LINE_NUMBERS; i += Lanes::COUNT) {
      const typename Lanes::Numbers some = Lanes::load(query + i);
      for (size_t row = 0; row < ROWS_AT_ONCE; row++) sums[row] = add(sums[row], some, Lanes::load(rows[row] + i));
    }
  }
}

template <class Lanes, class Add>
static inline void add_up(
  const float* query, const float* const rows[4], const float* const* next, size_t width, const Add& add, typename Lanes::Numbers* sums) {
  if (next != nullptr) {
    add_up<Lanes, true>(query, rows, next, width, add, sums);
  } else {
    add_up<Lanes, false>(query, rows, next, width, add, sums);
  }
}

template <class Lanes>
static void product_distances(const float* query, const float* const rows[4], const float* const* next, size_t width, float* out) {
  typedef typename Lanes::Numbers Numbers;
  Numbers sums[ROWS_AT_ONCE];
  const auto add = [](Numbers sum, Numbers a, Numbers b) { return Lanes::with_product(sum, a, b); };
  add_up<Lanes>(query, rows, next, width, add, sums);
  for (size_t row = 0; row < ROWS_AT_ONCE; row++) out[row] = 1.0f - Lanes::total_of_products(sums[row]);
}

template <class Lanes>
static void square_distances(const float* query, const float* const rows[4], const float* const* next, size_t width, float* out) {
  typedef typename Lanes::Numbers Numbers;
  Numbers sums[ROWS_AT_ONCE];
  const auto add = [](Numbers sum, Numbers a, Numbers b) { return Lanes::with_square(sum, Lanes::difference(a, b)); };
  add_up<Lanes>(query, rows, next, width, add, sums);
  for (size_t row = 0; row < ROWS_AT_ONCE; row++) out[row] = total<Lanes>(sums[row]);
}

template <class Lanes>
static DistancesToFour like(Distance distance) {
  if (distance == Lanes::product_distance) return product_distances<Lanes>;
  if (distance == Lanes::square_distance) return square_distances<Lanes>;
  return nullptr;
}

// What gives four distances at once, with the bits of `distance`; null where there is nothing.
static DistancesToFour to_four(Distance distance) {
  DistancesToFour found = nullptr;
#if defined(USE_AVX512)
  found = like<Avx512>(distance);
#endif
#if defined(USE_AVX)
  if (found == nullptr) found = like<Avx>(distance);
#endif
  return found;
}

// The distance of each of `queries` (count x width) to each of `rows`, into `out` (count x rows): a row comes from memory once for all
// queries. `width` points to hnswlib's number of dimensions, and `row_at(i)` is the address of a row.
template <class RowAt>
static void distances(Distance distance, const void* width, const float* queries, size_t count, const RowAt& row_at, size_t rows, float* out) {
  const size_t numbers = *static_cast<const size_t*>(width);
  const DistancesToFour four = to_four(distance);
  const auto ask = [&](size_t from, size_t to) {
    for (size_t i = from; i < std::min(to, rows); i++) prefetch_row(row_at(i), numbers * sizeof(float));
  };
  ask(0, ROWS_AT_ONCE);
  if (four == nullptr) {
    for (size_t i = 0; i < rows; i++) {
      ask(i + ROWS_AT_ONCE, i + ROWS_AT_ONCE + 1);
      for (size_t q = 0; q < count; q++) out[q * rows + i] = distance(queries + q * numbers, row_at(i), width);
    }
    return;
  }
  // The last one stands for those beyond it.
  const auto four_from = [&](size_t i, const float** at) {
    for (size_t j = 0; j < ROWS_AT_ONCE; j++) at[j] = reinterpret_cast<const float*>(row_at(std::min(i + j, rows - 1)));
  };
  const float *at[ROWS_AT_ONCE], *next[ROWS_AT_ONCE];
  if (rows > 0) four_from(0, next);
  for (size_t i = 0; i < rows; i += ROWS_AT_ONCE) {
    const size_t some = std::min(ROWS_AT_ONCE, rows - i);
    const bool more = i + ROWS_AT_ONCE < rows;
    std::copy(next, next + ROWS_AT_ONCE, at);
    if (more) four_from(i + ROWS_AT_ONCE, next);
    for (size_t q = 0; q < count; q++) {
      const float* query = queries + q * numbers;
      float* to = out + q * rows + i;
      if (some == ROWS_AT_ONCE) {
        four(query, at, more && q == 0 ? next : nullptr, numbers, to);
      } else {
        for (size_t j = 0; j < some; j++) to[j] = distance(query, at[j], width);
      }
    }
  }
}

}  // namespace attune
