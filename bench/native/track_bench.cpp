// Leading singular triplets tracked from a base to a checkpoint close to it, compared with a decomposition from the beginning, on
// one thread. Tracking has the base matrix at hand, or its triplets only. A checkpoint moves a share of the bf16 entries of the
// base by one code up or down, as reinforcement learning does, or adds noise of a thousandth of the weights to all of them. The
// whole decomposition of the base serves every checkpoint and is not counted.
//
//   threegate_bench_track [DIR [ROWSxCOLUMNS]]
//
// DIR keeps the decompositions of the bases for the next run. With ROWSxCOLUMNS only this matrix is measured. Prints: rows,
// columns, rank, tolerance, change, processor seconds tracked with the base, without it, and from the beginning (each the best of
// three, in turn), the ratio of the last to each of the others, the method of the tracked solve, and the certified residuals.
#include <filesystem>
#include <fstream>
#include <string>

#include "support.h"

namespace {

// Matrices of language models, and a smaller tall one.
constexpr bench::Shape kTracked[] = {{1536, 1536}, {1536, 8960}, {4096, 1024}, {4096, 4096}};
constexpr int kRounds = 3;

struct Change {
  const char* name;
  double share;  // of the entries that move by one code
  float noise;   // that is added to all entries
};
constexpr Change kChanges[] = {{"0.1 %", 0.001, 0}, {"1 %", 0.01, 0}, {"noise 1e-3", 0, 0.02e-3F}};

std::vector<uint16_t> changed(const std::vector<uint16_t>& base, const Change& change) {
  std::mt19937_64 random(2);
  std::normal_distribution<float> normal(0, 1);
  std::uniform_real_distribution<double> uniform;
  std::vector<uint16_t> codes(base.size());
  std::transform(base.begin(), base.end(), codes.begin(), [&](uint16_t code) {
    if (change.noise > 0) {
      return bench::to_bf16(bench::from_bf16(code) + change.noise * normal(random));
    }
    const double draw = uniform(random);
    const bool up = draw < change.share / 2 || (code & 0x7fffU) == 0;
    return static_cast<uint16_t>(draw >= change.share ? code : up ? code + 1 : code - 1);
  });
  return codes;
}

// The singular values of a base, its vectors of the short side, and some of those of the long side.
struct Basis {
  std::vector<double> values;
  std::vector<float> vectors;
  std::vector<float> images;
  std::vector<double> residual;  // one number
};

constexpr int64_t kImages = 128 + 16;  // of the largest rank

template <typename Stream, typename T>
void transfer(Stream& stream, std::vector<T>& values) {
  const auto bytes = static_cast<std::streamsize>(values.size() * sizeof(T));
  if constexpr (std::is_same_v<Stream, std::ifstream>) {
    stream.read(reinterpret_cast<char*>(values.data()), bytes);
  } else {
    stream.write(reinterpret_cast<const char*>(values.data()), bytes);
  }
}

std::string name_of(const bench::Shape& shape) { return std::to_string(shape.rows) + "x" + std::to_string(shape.columns); }

Basis basis_of(tg_context* context, const bench::Shape& shape, const std::vector<uint16_t>& codes, const std::string& directory) {
  const int64_t order = std::min(shape.rows, shape.columns);
  const int64_t length = std::max(shape.rows, shape.columns);
  Basis basis{std::vector<double>(static_cast<size_t>(order)), std::vector<float>(static_cast<size_t>(order * order)),
              std::vector<float>(static_cast<size_t>(kImages * length)), std::vector<double>(1)};
  const std::string path = directory + "/" + name_of(shape) + ".basis";
  if (!directory.empty() && std::filesystem::exists(path)) {
    std::ifstream in(path, std::ios::binary);
    transfer(in, basis.values);
    transfer(in, basis.vectors);
    transfer(in, basis.images);
    transfer(in, basis.residual);
    return basis;
  }
  bench::Triplets whole(shape, order, 1e-8);
  bench::decompose(context, bench::operand(codes, shape), whole, 1);
  const bool tall = shape.rows > shape.columns;
  const std::vector<double>& vectors = tall ? whole.right : whole.left;
  std::copy(vectors.begin(), vectors.end(), basis.vectors.begin());
  std::copy_n((tall ? whole.left : whole.right).begin(), kImages * length, basis.images.begin());
  basis.values = whole.values;
  basis.residual = {whole.result.residual};
  if (!directory.empty()) {
    std::ofstream out(path, std::ios::binary);
    transfer(out, basis.values);
    transfer(out, basis.vectors);
    transfer(out, basis.images);
    transfer(out, basis.residual);
  }
  return basis;
}

// Returns the processor seconds that one tracked solve takes.
double track(tg_context* context, const tg_operand& matrix, const tg_svd_start& start, bench::Triplets& triplets) {
  tg_workspace_size size{sizeof(size), 0, 0};
  bench::require(context,
                 tg_svd_track_workspace(context, &matrix, nullptr, 1, &triplets.options, &start, &triplets.result, &size));
  const bench::Memory host = bench::allocate(size.host_bytes);
  const tg_workspace workspace{sizeof(workspace), host.get(), size.host_bytes, nullptr, 0};
  return bench::processor_seconds(1, [&] {
    bench::require(context,
                   tg_svd_track(context, &matrix, nullptr, 1, &triplets.options, &start, nullptr, &workspace, &triplets.result));
  });
}

}  // namespace

int main(int count, char** arguments) {
  const std::string directory = count > 1 ? arguments[1] : "";
  const bench::Context context = bench::open_context();
  for (const bench::Shape& shape : kTracked) {
    if (count > 2 && name_of(shape) != arguments[2]) {
      continue;
    }
    const std::vector<uint16_t> base = bench::weights(shape);
    const Basis basis = basis_of(context.get(), shape, base, directory);
    const auto order = static_cast<int64_t>(basis.values.size());
    const tg_operand original = bench::operand(base, shape);
    const int64_t length = std::max(shape.rows, shape.columns);
    const tg_svd_start start{sizeof(start),
                             basis.values.data(),
                             {basis.vectors.data(), order, order, order, TG_F32, 0},
                             &original,
                             {basis.images.data(), kImages, length, length, TG_F32, 0},
                             basis.residual[0]};
    tg_svd_start alone = start;
    alone.base = nullptr;
    for (const Change& change : kChanges) {
      const std::vector<uint16_t> codes = changed(base, change);
      const tg_operand matrix = bench::operand(codes, shape);
      for (const int64_t rank : {32, 64, 128}) {
        for (const double tolerance : {1e-4, 1e-6}) {
          bench::Triplets tracked(shape, rank, tolerance);
          bench::Triplets without(shape, rank, tolerance);
          bench::Triplets cold(shape, rank, tolerance);
          double own = 1e9;
          double without_base = 1e9;
          double from_the_beginning = 1e9;
          for (int round = 0; round < kRounds; ++round) {
            own = std::min(own, track(context.get(), matrix, start, tracked));
            without_base = std::min(without_base, track(context.get(), matrix, alone, without));
            from_the_beginning = std::min(from_the_beginning, bench::decompose(context.get(), matrix, cold, 1));
          }
          std::printf("%lld\t%lld\t%lld\t%g\t%s\t%.4f\t%.4f\t%.4f\t%.2f\t%.2f\t%s\t%.1e\t%.1e\t%.1e\n",
                      static_cast<long long>(shape.rows), static_cast<long long>(shape.columns), static_cast<long long>(rank),
                      tolerance, change.name, own, without_base, from_the_beginning, from_the_beginning / own,
                      from_the_beginning / without_base,
                      tracked.result.method == TG_SVD_TRACKED ? "tracked" : "from the beginning", tracked.result.residual,
                      without.result.residual, cold.result.residual);
          std::fflush(stdout);
        }
      }
    }
  }
  return 0;
}
