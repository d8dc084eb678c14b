#include "magnitudes.h"

#include <algorithm>
#include <vector>

#include "cuda/support/staging.h"
#include "magnitude_kernels.h"

namespace threegate::cuda {
namespace {

constexpr size_t kCodes = TG_MAGNITUDE_CODES;

}  // namespace

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
  const auto lay_out = [&](uint8_t* memory, uint64_t*(&arrays)[4], uint8_t*& operand) {
    Layout layout(memory);
    arrays[0] = layout.take<uint64_t>(TG_MAGNITUDE_CODES);
    arrays[1] = layout.take<uint64_t>(static_cast<int64_t>(4 * kCodes));
    arrays[2] = layout.take<uint64_t>(words);
    arrays[3] = layout.take<uint64_t>(words);
    operand = layout.take<uint8_t>(staged_bytes(matrix));
    return layout.used();
  };
  uint64_t* arrays[4] = {};
  uint8_t* operand = nullptr;
  session.memory.reserve(lay_out(nullptr, arrays, operand));
  lay_out(session.memory.get(), arrays, operand);
  const Entries entries = stage(session, matrix, operand, nullptr);
  const auto bring = [&](const uint64_t* mask, uint64_t* to) -> const uint64_t* {
    if (is_on_device(mask)) {
      return mask;
    }
    copy_matrix(session, {mask, 1, words, words, TG_F64, 0}, reinterpret_cast<uint8_t*>(to), nullptr);
    return to;
  };
  first = bring(first, arrays[2]);
  second = bring(second, arrays[3]);
  const cudaStream_t stream = session.stream();
  check(cudaMemsetAsync(arrays[0], 0, TG_MAGNITUDE_CODES * sizeof(uint64_t), stream), "counters");
  check(cudaMemsetAsync(arrays[1], 0, 4 * kCodes * sizeof(uint64_t), stream), "counters");
  check(launch_magnitude_histogram(entries, rows, columns, first, second, arrays[0], arrays[1], session.multiprocessors, stream),
        "the magnitude histogram");
  std::vector<uint64_t> found(4 * kCodes);
  check(cudaMemcpyAsync(counts[0], arrays[0], TG_MAGNITUDE_CODES * sizeof(uint64_t), cudaMemcpyDeviceToHost, stream), "counters");
  check(cudaMemcpyAsync(found.data(), arrays[1], found.size() * sizeof(uint64_t), cudaMemcpyDeviceToHost, stream), "counters");
  check(cudaStreamSynchronize(stream), "the magnitude histogram");
  for (size_t code = 0; code < kCodes; ++code) {
    const auto both = static_cast<int64_t>(found[4 * code + 3]);
    counts[1][code] = static_cast<int64_t>(found[4 * code + 1]) + both;
    counts[2][code] = static_cast<int64_t>(found[4 * code + 2]) + both;
    counts[3][code] = both;
  }
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
  const auto lay_out = [&](uint8_t* memory, double*(&arrays)[4], uint8_t*& operand) {
    Layout layout(memory);
    arrays[0] = layout.take<double>(TG_MAGNITUDE_CODES);
    arrays[1] = layout.take<double>(rows);
    arrays[2] = layout.take<double>((rows + kProfileRows - 1) / kProfileRows * columns);
    arrays[3] = layout.take<double>(columns);
    operand = layout.take<uint8_t>(staged_bytes(matrix));
    return layout.used();
  };
  double* arrays[4] = {};
  uint8_t* operand = nullptr;
  session.memory.reserve(lay_out(nullptr, arrays, operand));
  lay_out(session.memory.get(), arrays, operand);
  const Entries entries = stage(session, matrix, operand, nullptr);
  copy_matrix(session, {table, 1, TG_MAGNITUDE_CODES, TG_MAGNITUDE_CODES, TG_F64, 0}, reinterpret_cast<uint8_t*>(arrays[0]),
              nullptr);
  const cudaStream_t stream = session.stream();
  check(launch_magnitude_profile(entries, rows, columns, arrays[0], arrays[1], arrays[2], arrays[3], stream),
        "the magnitude profile");
  check(cudaMemcpyAsync(row_sums, arrays[1], static_cast<size_t>(rows) * sizeof(double), cudaMemcpyDeviceToHost, stream), "sums");
  check(cudaMemcpyAsync(column_sums, arrays[3], static_cast<size_t>(columns) * sizeof(double), cudaMemcpyDeviceToHost, stream),
        "sums");
  check(cudaStreamSynchronize(stream), "the magnitude profile");
}

}  // namespace threegate::cuda
