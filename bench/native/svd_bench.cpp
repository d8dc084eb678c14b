// Leading singular triplets of bf16 matrices of the shapes of language models, with one thread. Writes the matrices, widened to
// float32, for other programs to DIR/ROWSxCOLUMNS.f32. Prints: rows, columns, rank, tolerance, name, processor seconds (the best
// of three), residual.
//
//   threegate_bench_svd DIR
#include <fstream>
#include <string>

#include "support.h"

namespace {

void write(const std::string& path, const std::vector<uint16_t>& codes) {
  std::vector<float> wide(codes.size());
  std::transform(codes.begin(), codes.end(), wide.begin(), bench::from_bf16);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(wide.data()), static_cast<std::streamsize>(4 * wide.size()));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: threegate_bench_svd DIR\n");
    return 2;
  }
  const bench::Context context = bench::open_context();
  for (const bench::Shape& shape : bench::kShapes) {
    const std::vector<uint16_t> codes = bench::weights(shape);
    write(std::string(arguments[1]) + "/" + std::to_string(shape.rows) + "x" + std::to_string(shape.columns) + ".f32", codes);
    const tg_operand matrix = bench::operand(codes, shape);
    for (const int64_t rank : {32, 128, 512}) {
      for (const double tolerance : {1e-4, 1e-6}) {
        bench::Triplets triplets(shape, rank, tolerance);
        const double best = bench::decompose(context.get(), matrix, triplets, 3);
        std::printf("%lld\t%lld\t%lld\t%g\tthreegate\t%.4f\t%.1e\n", static_cast<long long>(shape.rows),
                    static_cast<long long>(shape.columns), static_cast<long long>(rank), tolerance, best,
                    triplets.result.residual);
        std::fflush(stdout);
      }
    }
  }
  return 0;
}
