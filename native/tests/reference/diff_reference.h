// The comparison, written as slowly and plainly as its definition. It shares no code with src/.
#ifndef THREEGATE_TESTS_REFERENCE_DIFF_REFERENCE_H
#define THREEGATE_TESTS_REFERENCE_DIFF_REFERENCE_H

#include <cstdint>
#include <string>
#include <vector>

#include "threegate/threegate.h"

namespace reference {

// The value of a code of any dtype by the definition of the format: sign, exponent and mantissa through ldexp.
double decode(tg_dtype dtype, const unsigned char* bytes);
int bytes_of(tg_dtype dtype);

// The bf16 code nearest to a value, ties to even, found by comparison with the two neighbours.
uint16_t round_to_bf16(double value);

struct Diff {
  int64_t total = 0, changed = 0, changed_bits = 0, changed_stored = 0, hidden = 0, non_finite = 0, sign_flips = 0;
  std::vector<int64_t> ulp_histogram = std::vector<int64_t>(TG_ULP_BINS);
  long double base_squares = 0, delta_squares = 0, delta_dot_base = 0;
  double max_abs_delta = 0;
  std::vector<int64_t> row_changed, column_changed;
  std::vector<char> mask;
};

// `base` and `tuned` hold rows * columns values. The bf16 codes of BF16 inputs are given, because NaN has many codes.
Diff diff(int64_t rows, int64_t columns, const std::vector<double>& base, const std::vector<double>& tuned,
          const std::vector<uint16_t>& base_codes, const std::vector<uint16_t>& tuned_codes);

}  // namespace reference

#endif  // THREEGATE_TESTS_REFERENCE_DIFF_REFERENCE_H
