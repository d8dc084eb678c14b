// The AVX2 variants. The float operations are those of entry_of(), and give the same bits.
#include <immintrin.h>

#include <algorithm>

#include "entry.h"

namespace threegate::codes {
namespace {

[[gnu::always_inline]] inline __m256i broadcast_word(const uint8_t* address) {
  return _mm256_set1_epi32(static_cast<int>(load<uint32_t>(address)));
}

// Sixteen numbers that codes of four bits select.
struct Table16 {
  __m256 low;
  __m256 high;

  // `codes` may have other bits above the four of the code.
  [[nodiscard, gnu::always_inline]] __m256 of(__m256i codes) const {
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28));  // bit 3 of the code as the sign
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, codes), _mm256_permutevar8x32_ps(high, codes), upper);
  }
  // The numbers less a zero point, times a scale.
  [[nodiscard, gnu::always_inline]] Table16 scaled(const tg_codes& codes, int64_t at) const {
    const __m256 scale = _mm256_set1_ps(codes.scales[at]);
    Table16 result = *this;
    if (codes.zeros != nullptr) {
      const __m256 zero = _mm256_set1_ps(codes.zeros[at]);
      result = {_mm256_sub_ps(low, zero), _mm256_sub_ps(high, zero)};
    }
    return {_mm256_mul_ps(result.low, scale), _mm256_mul_ps(result.high, scale)};
  }
};

// The end of the columns from `column` on that have the same group.
int64_t end_of_group(const tg_codes& codes, int64_t column, int64_t end) {
  return std::min(end, (column / codes.group_columns + 1) * codes.group_columns);
}

// Codes of four bits, row after row.
void decode_pairs(const tg_codes& codes, const Table16& table, int64_t row, const Range& range, float* out) {
  const bool high_first = codes.order == TG_CODES_HIGH_FIRST;
  const __m256i shifts =
      high_first ? _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24) : _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  const uint8_t* in = static_cast<const uint8_t*>(codes.codes) + row * codes.stride;
  float* to = out + row * codes.columns;
  for (int64_t j = range.first_column; j < range.end_column;) {
    const int64_t end = end_of_group(codes, j, range.end_column);
    const Table16 own = table.scaled(codes, scale_of(codes, row, j));
    for (; j % 2 == 0 && j + kWordColumns <= end; j += kWordColumns) {
      _mm256_storeu_ps(to + j, own.of(_mm256_srlv_epi32(broadcast_word(in + j / 2), shifts)));
    }
    for (; j < end; ++j) {
      to[j] = entry_of(codes, row, j);
    }
  }
}

// Codes of eight bits, row after row.
void decode_bytes(const tg_codes& codes, bool integers, int64_t row, const Range& range, float* out) {
  const uint8_t* in = static_cast<const uint8_t*>(codes.codes) + row * codes.stride;
  float* to = out + row * codes.columns;
  for (int64_t j = range.first_column; j < range.end_column;) {
    const int64_t end = end_of_group(codes, j, range.end_column);
    const int64_t at = scale_of(codes, row, j);
    const __m256 scale = _mm256_set1_ps(codes.scales[at]);
    const __m256 zero = _mm256_set1_ps(codes.zeros == nullptr ? 0.0F : codes.zeros[at]);
    const auto run = [&](auto value_of) __attribute__((always_inline)) {
      for (; j + 8 <= end; j += 8) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + j));
        _mm256_storeu_ps(to + j, _mm256_mul_ps(_mm256_sub_ps(value_of(bytes), zero), scale));
      }
    };
    if (integers) {
      run([](__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)); });
    } else {
      run([&](__m128i bytes) { return _mm256_i32gather_ps(codes.table, _mm256_cvtepu8_epi32(bytes), 4); });
    }
    for (; j < end; ++j) {
      to[j] = entry_of(codes, row, j);
    }
  }
}

// Eight rows of eight entries from vectors of the entries of eight columns.
[[gnu::always_inline]] inline void store_transposed(const __m256 (&v)[8], float* out, int64_t stride) {
  __m256 pairs[8];
  for (int k = 0; k < 4; ++k) {
    pairs[2 * k] = _mm256_unpacklo_ps(v[2 * k], v[2 * k + 1]);
    pairs[2 * k + 1] = _mm256_unpackhi_ps(v[2 * k], v[2 * k + 1]);
  }
  __m256 fours[8];
  for (int k = 0; k < 2; ++k) {
    fours[4 * k] = _mm256_shuffle_ps(pairs[4 * k], pairs[4 * k + 2], 0x44);
    fours[4 * k + 1] = _mm256_shuffle_ps(pairs[4 * k], pairs[4 * k + 2], 0xee);
    fours[4 * k + 2] = _mm256_shuffle_ps(pairs[4 * k + 1], pairs[4 * k + 3], 0x44);
    fours[4 * k + 3] = _mm256_shuffle_ps(pairs[4 * k + 1], pairs[4 * k + 3], 0xee);
  }
  for (int k = 0; k < 4; ++k) {
    _mm256_storeu_ps(out + k * stride, _mm256_permute2f128_ps(fours[k], fours[k + 4], 0x20));
    _mm256_storeu_ps(out + (k + 4) * stride, _mm256_permute2f128_ps(fours[k], fours[k + 4], 0x31));
  }
}

// The scales or zero points of eight rows of a column.
[[gnu::always_inline]] inline __m256 of_rows(const tg_codes& codes, const float* numbers, int64_t row, int64_t column) {
  const float* at = numbers + scale_of(codes, row, column);
  return codes.scale_rows == 1 ? _mm256_loadu_ps(at) : _mm256_set1_ps(*at);
}

// Eight rows from `row` on, of which the first begins a word.
template <bool kDown>
void decode_word_rows(const tg_codes& codes, const Table16& table, int64_t row, const Range& range, float* out) {
  const auto* data = static_cast<const uint8_t*>(codes.codes);
  const __m256i shifts = codes.order == TG_CODES_AWQ ? _mm256_setr_epi32(0, 16, 4, 20, 8, 24, 12, 28)
                                                     : _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  int64_t j = range.first_column;
  for (; j + kWordColumns <= range.end_column; j += kWordColumns) {
    __m256i words{};
    if constexpr (kDown) {
      words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + j / kWordColumns * codes.stride + 4 * row));
    }
    __m256 columns[kWordColumns];
    for (int64_t k = 0; k < kWordColumns; ++k) {
      __m256i own;
      if constexpr (kDown) {
        own = _mm256_srli_epi32(words, static_cast<int>(4 * k));
      } else {
        own = _mm256_srlv_epi32(broadcast_word(data + (j + k) * codes.stride + (codes.first_row + row) / kWordRows * 4), shifts);
      }
      __m256 value = table.of(own);
      if (codes.zeros != nullptr) {
        value = _mm256_sub_ps(value, of_rows(codes, codes.zeros, row, j + k));
      }
      columns[k] = _mm256_mul_ps(value, of_rows(codes, codes.scales, row, j + k));
    }
    store_transposed(columns, out + row * codes.columns + j, codes.columns);
  }
  decode_scalar(codes, {row, row + kWordRows, j, range.end_column}, out);
}

void decode_across(const tg_codes& codes, const Table16& table, const Range& range, float* out) {
  const bool down = codes.order == TG_CODES_DOWN;
  // Eight rows must have one scale for each column, or a scale each.
  const bool in_blocks = codes.scale_rows == 1 || codes.scale_rows % kWordRows == 0;
  int64_t i = range.first_row;
  if (!down || codes.scale_rows != 1) {
    const int64_t before = (kWordRows - (codes.first_row + i) % kWordRows) % kWordRows;
    const int64_t begin = std::min(range.end_row, i + before);
    decode_scalar(codes, {i, begin, range.first_column, range.end_column}, out);
    i = begin;
  }
  for (; in_blocks && i + kWordRows <= range.end_row; i += kWordRows) {
    down ? decode_word_rows<true>(codes, table, i, range, out) : decode_word_rows<false>(codes, table, i, range, out);
  }
  decode_scalar(codes, {i, range.end_row, range.first_column, range.end_column}, out);
}

bool are_integers(const float* table) {
  for (int code = 0; code < 256; ++code) {
    if (table[code] != static_cast<float>(static_cast<int8_t>(code))) {
      return false;
    }
  }
  return true;
}

}  // namespace

void decode_avx2(const tg_codes& codes, const Range& range, float* out) {
  if (!is_across(codes) && codes.group_of != nullptr) {
    decode_scalar(codes, range, out);
    return;
  }
  if (codes.bits == 8) {
    const bool integers = are_integers(codes.table);
    for (int64_t i = range.first_row; i < range.end_row; ++i) {
      decode_bytes(codes, integers, i, range, out);
    }
    return;
  }
  const Table16 table{_mm256_loadu_ps(codes.table), _mm256_loadu_ps(codes.table + 8)};
  if (is_across(codes)) {
    decode_across(codes, table, range, out);
    return;
  }
  for (int64_t i = range.first_row; i < range.end_row; ++i) {
    decode_pairs(codes, table, i, range, out);
  }
}

}  // namespace threegate::codes
