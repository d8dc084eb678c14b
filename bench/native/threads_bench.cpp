// The leading singular triplets of one matrix on one thread and on several. Prints: rows, columns, rank, tolerance, whether the
// whole spectrum is computed too, and the seconds with one thread and with THREADS (the best of five). Nothing else should run.
//
//   threegate_bench_threads [THREADS]
#include "support.h"

namespace {

double seconds_with(int threads, const tg_operand& matrix, bench::Triplets& triplets) {
  const bench::Context context = bench::open_context(threads);
  tg_workspace_size size{sizeof(size), 0, 0};
  bench::require(context.get(), tg_svd_workspace(context.get(), &matrix, nullptr, 1, &triplets.options, &triplets.result, &size));
  const bench::Memory host = bench::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  return bench::seconds(5, [&] {
    bench::require(context.get(),
                   tg_svd(context.get(), &matrix, nullptr, 1, &triplets.options, nullptr, &workspace, &triplets.result));
  });
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 2;
  struct Case {
    bench::Shape shape;
    int64_t rank;
    double tolerance;
    bool whole;
  };
  for (const Case& own :
       {Case{{1536, 1536}, 154, 1e-6, false}, Case{{8960, 1536}, 154, 1e-6, false}, Case{{40000, 1536}, 154, 1e-6, false},
        Case{{4096, 4096}, 32, 1e-4, false}, Case{{4096, 4096}, 410, 1e-6, false}, Case{{8960, 1536}, 154, 1e-6, true},
        Case{{4096, 4096}, 410, 1e-6, true}}) {
    const std::vector<uint16_t> codes = bench::weights(own.shape);
    const tg_operand matrix = bench::operand(codes, own.shape);
    bench::Triplets triplets(own.shape, own.rank, own.tolerance);
    std::vector<double> spectrum(static_cast<size_t>(std::min(own.shape.rows, own.shape.columns)));
    triplets.result.spectrum = own.whole ? spectrum.data() : nullptr;
    const double one = seconds_with(1, matrix, triplets);
    const double several = seconds_with(threads, matrix, triplets);
    std::printf("%lld\t%lld\t%lld\t%g\t%s\t%.3f\t%.3f\n", static_cast<long long>(own.shape.rows),
                static_cast<long long>(own.shape.columns), static_cast<long long>(own.rank), own.tolerance,
                own.whole ? "whole" : "leading", one, several);
    std::fflush(stdout);
  }
  return 0;
}
