// Leading singular triplets tracked from a base to a checkpoint close to it, compared with a decomposition from the beginning, on
// one thread. The step has Gaussian entries of a thousandth of the weights, stored in bf16. That is more than a typical step of
// reinforcement learning. Prints: rows, columns, rank, tolerance, processor seconds tracked and from the beginning (the best of
// three), whether tracking was used, and the residual. The whole decomposition of the base serves every checkpoint and is not
// counted. Its seconds are printed first.
#include "support.h"

int main() {
  const bench::Context context = bench::open_context();
  for (const bench::Shape& shape : bench::kShapes) {
    const std::vector<uint16_t> codes = bench::weights(shape);
    std::vector<uint16_t> moved(codes.size());
    std::mt19937_64 random(2);
    std::normal_distribution<float> normal(0, 0.02e-3F);
    std::transform(codes.begin(), codes.end(), moved.begin(),
                   [&](uint16_t code) { return bench::to_bf16(bench::from_bf16(code) + normal(random)); });
    const int64_t order = std::min(shape.rows, shape.columns);
    bench::Triplets whole(shape, order, 1e-6);
    std::printf("# %lld x %lld: whole decomposition %.1f s\n", static_cast<long long>(shape.rows),
                static_cast<long long>(shape.columns), bench::decompose(context.get(), bench::operand(codes, shape), whole, 1));
    const std::vector<double>& vectors = shape.rows > shape.columns ? whole.right : whole.left;
    const std::vector<float> basis(vectors.begin(), vectors.end());
    const tg_svd_start start{sizeof(start), whole.values.data(), {basis.data(), order, order, order, TG_F32, 0}};
    const tg_operand matrix = bench::operand(moved, shape);
    for (const int64_t rank : {32, 128, 512}) {
      for (const double tolerance : {1e-4, 1e-6}) {
        bench::Triplets tracked(shape, rank, tolerance);
        tg_workspace_size size{sizeof(size), 0, 0};
        bench::require(context.get(), tg_svd_track_workspace(context.get(), &matrix, nullptr, 1, &tracked.options, &start,
                                                             &tracked.result, &size));
        const bench::Memory host = bench::allocate(size.host_bytes);
        const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
        const double own = bench::processor_seconds(3, [&] {
          bench::require(context.get(), tg_svd_track(context.get(), &matrix, nullptr, 1, &tracked.options, &start, nullptr,
                                                     &workspace, &tracked.result));
        });
        bench::Triplets cold(shape, rank, tolerance);
        const double from_the_beginning = bench::decompose(context.get(), matrix, cold, 3);
        std::printf("%lld\t%lld\t%lld\t%g\t%.4f\t%.4f\t%s\t%.1e\n", static_cast<long long>(shape.rows),
                    static_cast<long long>(shape.columns), static_cast<long long>(rank), tolerance, own, from_the_beginning,
                    tracked.result.method == TG_SVD_TRACKED ? "tracked" : "from the beginning", tracked.result.residual);
        std::fflush(stdout);
      }
    }
  }
  return 0;
}
