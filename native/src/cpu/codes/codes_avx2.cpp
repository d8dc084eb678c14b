// The AVX2 variants. The float operations are those of entry_of(), and give the same bits.
#include <immintrin.h>

#include <algorithm>
#include <cstddef>

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

// Calls run(begin, end, scale) for each group of the columns of a range, where `scale` is the place of its scale in a row.
template <typename Run>
[[gnu::always_inline]] inline void for_groups(const tg_codes& codes, int64_t row, const Range& range, Run run) {
  int64_t scale = scale_of(codes, row, range.first_column);
  int64_t end = (range.first_column / codes.group_columns + 1) * codes.group_columns;
  for (int64_t begin = range.first_column; begin < range.end_column; ++scale) {
    run(begin, std::min(end, range.end_column), scale);
    begin = end;
    end += end < range.end_column ? codes.group_columns : 0;
  }
}

// Codes of four bits, row after row.
void decode_pairs(const tg_codes& codes, const Table16& table, int64_t row, const Range& range, const Output& out) {
  const bool high_first = codes.order == TG_CODES_HIGH_FIRST;
  const __m256i shifts =
      high_first ? _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24) : _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  const uint8_t* in = static_cast<const uint8_t*>(codes.codes) + row * codes.stride;
  float* to = out.at(row, range.first_column) - range.first_column;
  for_groups(
      codes, row, range, [&](int64_t begin, int64_t end, int64_t scale) __attribute__((always_inline)) {
        int64_t j = begin;
        const Table16 own = table.scaled(codes, scale);
        for (; j % 2 == 0 && j + kWordColumns <= end; j += kWordColumns) {
          _mm256_storeu_ps(to + j, own.of(_mm256_srlv_epi32(broadcast_word(in + j / 2), shifts)));
        }
        for (; j < end; ++j) {
          to[j] = entry_of(codes, row, j);
        }
      });
}

// Codes of eight bits, row after row.
void decode_bytes(const tg_codes& codes, bool integers, int64_t row, const Range& range, const Output& out) {
  const uint8_t* in = static_cast<const uint8_t*>(codes.codes) + row * codes.stride;
  float* to = out.at(row, range.first_column) - range.first_column;
  for_groups(
      codes, row, range, [&](int64_t begin, int64_t end, int64_t at) __attribute__((always_inline)) {
        int64_t j = begin;
        const __m256 scale = _mm256_set1_ps(codes.scales[at]);
        const __m256 zero = _mm256_set1_ps(codes.zeros == nullptr ? 0.0F : codes.zeros[at]);
        const auto decode_run = [&](auto value_of) __attribute__((always_inline)) {
          for (; j + 8 <= end; j += 8) {
            const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + j));
            _mm256_storeu_ps(to + j, _mm256_mul_ps(_mm256_sub_ps(value_of(bytes), zero), scale));
          }
        };
        if (integers) {
          decode_run([](__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)); });
        } else {
          decode_run([&](__m128i bytes) { return _mm256_i32gather_ps(codes.table, _mm256_cvtepu8_epi32(bytes), 4); });
        }
        for (; j < end; ++j) {
          to[j] = entry_of(codes, row, j);
        }
      });
}

// Eight rows of eight entries from vectors of the entries of eight columns.
[[gnu::always_inline]] inline void store_transposed(const __m256 (&v)[8], float* out, int64_t stride) {
  __m256 pairs[8];
  for (std::ptrdiff_t k = 0; k < 4; ++k) {
    pairs[2 * k] = _mm256_unpacklo_ps(v[2 * k], v[2 * k + 1]);
    pairs[2 * k + 1] = _mm256_unpackhi_ps(v[2 * k], v[2 * k + 1]);
  }
  __m256 fours[8];
  for (std::ptrdiff_t k = 0; k < 2; ++k) {
    fours[4 * k] = _mm256_shuffle_ps(pairs[4 * k], pairs[4 * k + 2], 0x44);
    fours[4 * k + 1] = _mm256_shuffle_ps(pairs[4 * k], pairs[4 * k + 2], 0xee);
    fours[4 * k + 2] = _mm256_shuffle_ps(pairs[4 * k + 1], pairs[4 * k + 3], 0x44);
    fours[4 * k + 3] = _mm256_shuffle_ps(pairs[4 * k + 1], pairs[4 * k + 3], 0xee);
  }
  for (std::ptrdiff_t k = 0; k < 4; ++k) {
    _mm256_storeu_ps(out + k * stride, _mm256_permute2f128_ps(fours[k], fours[k + 4], 0x20));
    _mm256_storeu_ps(out + (k + 4) * stride, _mm256_permute2f128_ps(fours[k], fours[k + 4], 0x31));
  }
}

// Rows and columns of a tile. The rows of the codes and of the matrix often are a power of two apart, so that few of their cache
// lines fit in the cache at a time. A tile reads the lines of the codes as a whole, and writes those of the matrix as a whole.
constexpr int64_t kTileRows = 128;
constexpr int64_t kTileColumns = 64;

// Decodes the rows of eight columns, in whole words.
template <bool kDown>
void decode_columns(const tg_codes& codes, const Table16& table, const Range& rows, int64_t column, float* out) {
  const auto* data = static_cast<const uint8_t*>(codes.codes);
  const __m256i shifts = codes.order == TG_CODES_AWQ ? _mm256_setr_epi32(0, 16, 4, 20, 8, 24, 12, 28)
                                                     : _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  int64_t groups[kWordColumns];  // the first scale of the group of each column
  for (int64_t k = 0; k < kWordColumns; ++k) {
    groups[k] = group_of(codes, column + k) * codes.scale_stride;
  }
  const bool shared = codes.scale_rows != 1;
  for (int64_t i = rows.first_row; i < rows.end_row; i += kWordRows) {
    const int64_t block = shared ? (codes.first_row + i) / codes.scale_rows : codes.first_row + i;
    __m256i words{};
    if constexpr (kDown) {
      words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + column / kWordColumns * codes.stride + 4 * i));
    }
    const int64_t word = (codes.first_row + i) / kWordRows * 4;
    const auto of_rows = [&](const float* numbers, int64_t k) __attribute__((always_inline)) {
      const float* at = numbers + groups[k] + block;
      return shared ? _mm256_set1_ps(*at) : _mm256_loadu_ps(at);
    };
    __m256 columns[kWordColumns];
    for (int64_t k = 0; k < kWordColumns; ++k) {
      __m256i own;
      if constexpr (kDown) {
        own = _mm256_srli_epi32(words, static_cast<int>(4 * k));
      } else {
        own = _mm256_srlv_epi32(broadcast_word(data + (column + k) * codes.stride + word), shifts);
      }
      __m256 value = table.of(own);
      if (codes.zeros != nullptr) {
        value = _mm256_sub_ps(value, of_rows(codes.zeros, k));
      }
      columns[k] = _mm256_mul_ps(value, of_rows(codes.scales, k));
    }
    store_transposed(columns, out + (i - rows.first_row) * kTileColumns, kTileColumns);
  }
}

// Decodes whole words of a tile, and copies the rows from `first_row` to `end_row`.
template <bool kDown>
void decode_tile(const tg_codes& codes, const Table16& table, const Range& tile, int64_t first_row, int64_t end_row,
                 const Output& out) {
  alignas(64) float entries[kTileRows * kTileColumns];
  for (int64_t j = tile.first_column; j < tile.end_column; j += kWordColumns) {
    decode_columns<kDown>(codes, table, tile, j, entries + (j - tile.first_column));
  }
  for (int64_t i = std::max(first_row, tile.first_row); i < std::min(end_row, tile.end_row); ++i) {
    std::copy_n(entries + (i - tile.first_row) * kTileColumns, tile.end_column - tile.first_column, out.at(i, tile.first_column));
  }
}

void decode_across(const tg_codes& codes, const Table16& table, const Range& range, const Output& out) {
  // Eight rows must have one scale for each column, or a scale each.
  if (codes.scale_rows != 1 && codes.scale_rows % kWordRows != 0) {
    decode_scalar(codes, range, out);
    return;
  }
  // Whole words around the range, as far as there are such rows. The first of them may be in front of row 0.
  const bool down = codes.order == TG_CODES_DOWN;
  const int64_t begin = down ? range.first_row : range.first_row - (codes.first_row + range.first_row) % kWordRows;
  const int64_t words = (range.end_row - begin + kWordRows - 1) / kWordRows;
  const int64_t end = begin + words * kWordRows <= codes.rows ? begin + words * kWordRows : begin + (words - 1) * kWordRows;
  const int64_t end_column = range.first_column + (range.end_column - range.first_column) / kWordColumns * kWordColumns;
  for (int64_t i = begin; i < end; i += kTileRows) {
    for (int64_t j = range.first_column; j < end_column; j += kTileColumns) {
      const Range tile{i, std::min(end, i + kTileRows), j, std::min(end_column, j + kTileColumns)};
      down ? decode_tile<true>(codes, table, tile, range.first_row, range.end_row, out)
           : decode_tile<false>(codes, table, tile, range.first_row, range.end_row, out);
    }
  }
  decode_scalar(codes, {std::max(end, range.first_row), range.end_row, range.first_column, end_column}, out);
  decode_scalar(codes, {range.first_row, range.end_row, end_column, range.end_column}, out);
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

void decode_avx2(const tg_codes& codes, const Range& range, const Output& out) {
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
