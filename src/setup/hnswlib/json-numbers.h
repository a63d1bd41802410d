// Numbers of a JSON array, read into float32: what float64 and float32 in turn would make of them, to the last bit.
#pragma once

#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace attune {

// Digits that fit into 64 bits, whatever they are.
constexpr ptrdiff_t MOST_DIGITS = 19;
constexpr int LARGEST_SCALE = 40;
// From 10^23 on the nearest float64.
constexpr double POWERS_OF_TEN[LARGEST_SCALE + 1] = {
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39,
  1e40};
constexpr uint64_t SMALL_POWERS_OF_TEN[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
// Twice the largest relative error of digits, a power and their product, each rounded to float64 (3 x 2^-53), and then some.
constexpr double DOUBT = 0x1p-50;

constexpr uint64_t EIGHT_ZEROS = 0x3030303030303030;
constexpr uint64_t HIGH_HALVES = 0xF0F0F0F0F0F0F0F0;
constexpr uint64_t EIGHT_SIXES = 0x0606060606060606;
constexpr bool LITTLE_ENDIAN_MEMORY = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

static inline bool is_json_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// How many of eight characters are digits before another comes. The high half of a digit is 3, and stays so when 6 is added.
static inline int leading_digits(uint64_t characters) {
  const uint64_t others = (characters & HIGH_HALVES) ^ EIGHT_ZEROS;
  const uint64_t beyond_nine = ((characters + EIGHT_SIXES) & HIGH_HALVES) ^ EIGHT_ZEROS;
  const uint64_t wrong = others | beyond_nine;
  return wrong == 0 ? 8 : __builtin_ctzll(wrong) / 8;
}

// The number that eight digits are: neighbours are joined to numbers of two digits, and these by one multiplication each half.
static inline uint64_t number_of_digits(uint64_t digits) {
  constexpr uint64_t EVERY_FOURTH = 0x000000FF000000FF;
  digits -= EIGHT_ZEROS;
  digits = digits * 10 + (digits >> 8);
  return ((digits & EVERY_FOURTH) * (100 + (1000000ULL << 32)) + ((digits >> 16) & EVERY_FOURTH) * (1 + (10000ULL << 32))) >> 32;
}

// Appends the digits from `at` on to a number, and returns where they end.
static inline const char* read_digits(const char* at, const char* end, uint64_t& number) {
  while (LITTLE_ENDIAN_MEMORY && end - at >= 8) {
    uint64_t characters;
    std::memcpy(&characters, at, 8);
    const int count = leading_digits(characters);
    // Zeros go before fewer than eight.
    if (count > 0 && count < 8) characters = (characters << (64 - 8 * count)) | (EIGHT_ZEROS >> (8 * count));
    if (count > 0) number = number * SMALL_POWERS_OF_TEN[count] + number_of_digits(characters);
    at += count;
    if (count < 8) return at;
  }
  for (; at < end && *at >= '0' && *at <= '9'; at++) number = number * 10 + static_cast<uint64_t>(*at - '0');
  return at;
}

// Reads one or more numbers of JSON, with commas between, into `into`, and returns how many. 0 for anything else, for more than there is room for, and
// where a number would take more than 64 bits of digits and one product in float64 to round: whoever asks has another way to read it.
static inline size_t read_json_numbers(const char* at, const char* end, float* into, size_t room) {
  const auto skip_space = [&] {
    while (at < end && is_json_space(*at)) at++;
  };
  const auto skip = [&](char c) {
    const bool is_there = at < end && *at == c;
    at += is_there;
    return is_there;
  };
  for (size_t count = 0; count < room;) {
    skip_space();
    const bool is_negative = skip('-');
    const char* const first = at;
    uint64_t number = 0;
    at = read_digits(at, end, number);
    ptrdiff_t length = at - first;
    if (length == 0 || (length > 1 && *first == '0')) return 0;
    ptrdiff_t scale = 0;
    if (skip('.')) {
      const char* const point = at;
      at = read_digits(at, end, number);
      if (at == point) return 0;
      scale = point - at;
      length -= scale;
    }
    // Zeros before all other digits take no bits.
    if (length > MOST_DIGITS)
      for (const char* zero = first; zero < at && (*zero == '0' || *zero == '.'); zero++) length -= *zero == '0';
    if (skip('e') || skip('E')) {
      const bool is_small = skip('-');
      if (!is_small) skip('+');
      const char* const sign = at;
      uint64_t exponent = 0;
      at = read_digits(at, end, exponent);
      if (at == sign || at - sign > 3) return 0;
      scale += is_small ? -static_cast<ptrdiff_t>(exponent) : static_cast<ptrdiff_t>(exponent);
    }
    if (length > MOST_DIGITS || scale > LARGEST_SCALE || scale < -LARGEST_SCALE) return 0;
    const double digits = static_cast<double>(number);
    const double about = scale < 0 ? digits / POWERS_OF_TEN[-scale] : digits * POWERS_OF_TEN[scale];
    if (about > FLT_MAX) return 0;
    // Rounding never turns an order about: what rounds alike on both sides of the doubt rounds so within it.
    const float rounded = static_cast<float>(about);
    if (static_cast<float>(about * (1 - DOUBT)) != rounded || static_cast<float>(about * (1 + DOUBT)) != rounded) return 0;
    into[count++] = is_negative ? -rounded : rounded;
    skip_space();
    if (at == end) return count;
    if (!skip(',')) return 0;
  }
  return 0;
}

}  // namespace attune
