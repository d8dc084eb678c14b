#include "magnitudes.h"

#include <algorithm>

#include "cuda/support/staging.h"
#include "magnitude_kernels.h"

namespace threegate::cuda {

void magnitude_histogram(CudaSession& session, const tg_operand& matrix, const uint64_t* first, const uint64_t* second,
                         int64_t* const* counts) {
  for (int i = 0; i < 4; ++i) {
    std::fill_n(counts[i], TG_MAGNITUDE_CODES, int64_t{0});
  }
  const int64_t rows = matrix.values.rows;
  const int64_t columns = matrix.values.columns;
  const int64_t words = rows * ((columns + 63) / 64);
  if (rows * columns == 0) {
    return;
  }
  constexpr int64_t kCodes = TG_MAGNITUDE_CODES;
  const auto lay_out = [&](uint8_t* memory, uint64_t*(&arrays)[3], uint8_t*& operand) {
    Layout layout(memory);
    arrays[0] = layout.take<uint64_t>(4 * kCodes);
    arrays[1] = layout.take<uint64_t>(is_on_device(first) ? 0 : words);
    arrays[2] = layout.take<uint64_t>(is_on_device(second) ? 0 : words);
    operand = layout.take<uint8_t>(staged_bytes(matrix));
    return layout.used();
  };
  uint64_t* arrays[3] = {};
  uint8_t* operand = nullptr;
  session.memory.reserve(lay_out(nullptr, arrays, operand));
  lay_out(session.memory.get(), arrays, operand);
  const Entries entries = stage(session, matrix, operand, nullptr);
  Uploads uploads(session, 2 * words * 8, nullptr);
  const auto bring = [&](const uint64_t* mask, uint64_t* to) -> const uint64_t* {
    if (is_on_device(mask)) {
      return mask;
    }
    uploads.add_array(mask, words, to);
    return to;
  };
  first = bring(first, arrays[1]);
  second = bring(second, arrays[2]);
  constexpr int64_t kBytes = kCodes * static_cast<int64_t>(sizeof(uint64_t));
  check(cudaMemsetAsync(arrays[0], 0, 4 * kBytes, session.stream()), "counters");
  check(launch_magnitude_histogram(entries, rows, columns, first, second, arrays[0], session.multiprocessors, session.stream()),
        "the magnitude histogram");
  Downloads downloads(session, 4 * kBytes);
  for (int i = 0; i < 4; ++i) {
    downloads.add(arrays[0] + i * kCodes, kBytes, counts[i]);
  }
  downloads.finish();
}

void magnitude_profile(CudaSession& session, const tg_operand& matrix, const double* table, double* row_sums,
                       double* column_sums) {
  const int64_t rows = matrix.values.rows;
  const int64_t columns = matrix.values.columns;
  if (rows * columns == 0) {
    std::fill_n(row_sums, rows, 0.0);
    std::fill_n(column_sums, columns, 0.0);
    return;
  }
  const auto lay_out = [&](uint8_t* memory, double*(&arrays)[5], uint8_t*& operand) {
    Layout layout(memory);
    arrays[0] = layout.take<double>(TG_MAGNITUDE_CODES);
    arrays[1] = layout.take<double>(rows);
    arrays[2] = layout.take<double>((rows + kProfileRows - 1) / kProfileRows * columns);
    arrays[3] = layout.take<double>(columns);
    arrays[4] = layout.take<double>(TG_MAGNITUDE_CODES);
    operand = layout.take<uint8_t>(staged_bytes(matrix));
    return layout.used();
  };
  double* arrays[5] = {};
  uint8_t* operand = nullptr;
  session.memory.reserve(lay_out(nullptr, arrays, operand));
  lay_out(session.memory.get(), arrays, operand);
  const Entries entries = stage(session, matrix, operand, nullptr);
  Uploads(session, TG_MAGNITUDE_CODES * static_cast<int64_t>(sizeof(double)), nullptr)
      .add_array(table, TG_MAGNITUDE_CODES, arrays[0]);
  check(launch_magnitude_profile(entries, rows, columns, arrays[0], arrays[4], arrays[1], arrays[2], arrays[3],
                                 session.multiprocessors, session.stream()),
        "the magnitude profile");
  Downloads downloads(session, (rows + columns) * static_cast<int64_t>(sizeof(double)));
  downloads.add(arrays[1], rows * static_cast<int64_t>(sizeof(double)), row_sums);
  downloads.add(arrays[3], columns * static_cast<int64_t>(sizeof(double)), column_sums);
  downloads.finish();
}

}  // namespace threegate::cuda
