// Selection of the principal mask with one thread: the largest half of |rank-k reconstruction| for matrices of the shapes of
// language models, from random triplets of the right sizes. Writes the factors for other programs to DIR/ROWSxCOLUMNS.f32
// (values, left, right). Prints: rows, columns, rank, name, processor seconds (the best of many), bytes of workspace.
//
//   threegate_bench_mask DIR
#include <ctime>
#include <fstream>
#include <string>

#include "support.h"

namespace {

std::vector<double> normal(int64_t count, double deviation, std::mt19937_64& random) {
  std::normal_distribution<double> distribution(0, deviation);
  std::vector<double> numbers(static_cast<size_t>(count));
  for (double& number : numbers) {
    number = distribution(random);
  }
  return numbers;
}

// The shapes of matrices in models of 1.5 and 7 billion parameters.
constexpr bench::Shape kMatrices[] = {{256, 1536}, {1536, 1536}, {1536, 8960}, {8960, 1536}, {4096, 4096}};
constexpr int kRuns = 15;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void append(std::ofstream& out, const std::vector<double>& numbers) {
  const std::vector<float> narrow(numbers.begin(), numbers.end());
  out.write(reinterpret_cast<const char*>(narrow.data()), static_cast<std::streamsize>(4 * narrow.size()));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: threegate_bench_mask DIR\n");
    return 2;
  }
  const bench::Context context = bench::open_context();
  for (const bench::Shape& shape : kMatrices) {
    std::mt19937_64 random(1);
    const int64_t rank = std::min(shape.rows, shape.columns) / 10;
    std::vector<double> values(static_cast<size_t>(rank));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = 1.0 / static_cast<double>(i + 1);
    }
    const std::vector<double> left = normal(rank * shape.rows, 0.02, random);
    const std::vector<double> right = normal(rank * shape.columns, 0.02, random);
    std::ofstream out(std::string(arguments[1]) + "/" + std::to_string(shape.rows) + "x" + std::to_string(shape.columns) + ".f32",
                      std::ios::binary);
    append(out, values);
    append(out, left);
    append(out, right);
    const tg_mask_scores scores{sizeof(scores), nullptr, values.data(), left.data(),
                                right.data(),   rank,    shape.rows,    shape.columns};
    const tg_mask_options selection{sizeof(selection), shape.rows * shape.columns / 2, 0, 0};
    tg_workspace_size size{sizeof(size), 0, 0};
    bench::require(context.get(), tg_mask_select_workspace(context.get(), &scores, &selection, &size));
    const bench::Memory host = bench::allocate(size.host_bytes);
    const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
    std::vector<uint64_t> mask(static_cast<size_t>(shape.rows * ((shape.columns + 63) / 64)));
    double best = 1e9;
    for (int run = 0; run < kRuns; ++run) {
      const double start = processor_seconds();
      bench::require(context.get(), tg_mask_select(context.get(), &scores, &selection, nullptr, &workspace, mask.data(),
                                                   static_cast<int64_t>(mask.size())));
      best = std::min(best, processor_seconds() - start);
    }
    std::printf("%ld\t%ld\t%ld\tthreegate\t%.5f\t%ld\n", static_cast<long>(shape.rows), static_cast<long>(shape.columns),
                static_cast<long>(rank), best, static_cast<long>(size.host_bytes));
  }
  return 0;
}
