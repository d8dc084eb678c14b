// The leading singular triplets of one matrix on one thread and on several. Prints: rows, columns, rank, tolerance, whether the
// whole spectrum is computed too, the MB of workspace, and the seconds with one thread and with THREADS (the best of five).
// Nothing else should run. Without a shape it takes seven. A single one is measured once, because large ones take long.
//
//   threegate_bench_threads [THREADS [ROWS COLUMNS RANK TOLERANCE]]
#include "support.h"

namespace {

struct Case {
  bench::Shape shape;
  int64_t rank;
  double tolerance;
  bool whole;
};

double seconds_with(int threads, int runs, const tg_operand& matrix, bench::Triplets& triplets, int64_t& bytes) {
  const bench::Context context = bench::open_context(threads);
  tg_workspace_size size{sizeof(size), 0, 0};
  bench::require(context.get(), tg_svd_workspace(context.get(), &matrix, nullptr, 1, &triplets.options, &triplets.result, &size));
  bytes = size.host_bytes;
  const bench::Memory host = bench::allocate(bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), bytes, nullptr, 0};
  return bench::seconds(runs, [&] {
    bench::require(context.get(),
                   tg_svd(context.get(), &matrix, nullptr, 1, &triplets.options, nullptr, &workspace, &triplets.result));
  });
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 2;
  std::vector<Case> cases{{{1536, 1536}, 154, 1e-6, false}, {{8960, 1536}, 154, 1e-6, false}, {{40000, 1536}, 154, 1e-6, false},
                          {{4096, 4096}, 32, 1e-4, false},  {{4096, 4096}, 410, 1e-6, false}, {{8960, 1536}, 154, 1e-6, true},
                          {{4096, 4096}, 410, 1e-6, true}};
  int runs = 5;
  if (count > 5) {
    cases = {{{std::atoll(arguments[2]), std::atoll(arguments[3])}, std::atoll(arguments[4]), std::atof(arguments[5]), false}};
    runs = 1;
  }
  for (const Case& own : cases) {
    const std::vector<uint16_t> codes = bench::weights(own.shape);
    const tg_operand matrix = bench::operand(codes, own.shape);
    bench::Triplets triplets(own.shape, own.rank, own.tolerance);
    std::vector<double> spectrum(static_cast<size_t>(std::min(own.shape.rows, own.shape.columns)));
    triplets.result.spectrum = own.whole ? spectrum.data() : nullptr;
    int64_t bytes = 0;
    const double one = seconds_with(1, runs, matrix, triplets, bytes);
    const double several = seconds_with(threads, runs, matrix, triplets, bytes);
    std::printf("%lld\t%lld\t%lld\t%g\t%s\t%.0f\t%.3f\t%.3f\n", static_cast<long long>(own.shape.rows),
                static_cast<long long>(own.shape.columns), static_cast<long long>(own.rank), own.tolerance,
                own.whole ? "whole" : "leading", static_cast<double>(bytes) / 1e6, one, several);
    std::fflush(stdout);
  }
  return 0;
}
