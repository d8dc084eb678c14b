#include "sign_flip.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "common/control.h"
#include "common/lanes.h"
#include "common/philox.h"
#include "cpu/random/normals.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "cpu/support/operand.h"
#include "residual_rows.h"
#include "row_blocks.h"

namespace threegate::nulls {
namespace {

constexpr int64_t kBlockSide = 256;         // of blocks of the residual, which stay in the second-level cache
constexpr int64_t kMostFeatures = 512;      // of a chunk, or columns of a panel
constexpr int64_t kProbes = 64;             // random vectors for each side
constexpr int64_t kChunkEntries = 1 << 23;  // of a chunk of features of the long side

int64_t blocks_of(int64_t side) { return (side + kBlockSide - 1) / kBlockSide; }

// Calls body(thread, block) for each block. Blocks run at the same time.
template <typename Body>
void for_blocks(ThreadPool& pool, int64_t blocks, Body body) {
  std::atomic<int64_t> next{0};
  pool.run(static_cast<int>(std::clamp<int64_t>(blocks, 1, pool.threads())), [&](int thread) {
    for (int64_t block = next.fetch_add(1); block < blocks; block = next.fetch_add(1)) {
      require_not_cancelled();
      body(thread, block);
    }
  });
}

// The rows and columns of the residual as a short and a long side. In the stored order a block is short x long if the matrix is
// wide, and long x short if it is tall.
struct Sides {
  explicit Sides(const tg_residual& residual)
      : tall(residual.base->values.rows > residual.base->values.columns),
        shorter(std::min(residual.base->values.rows, residual.base->values.columns)),
        longer(std::max(residual.base->values.rows, residual.base->values.columns)) {}
  bool tall;
  int64_t shorter;
  int64_t longer;
};

struct Range {
  int64_t begin;
  int64_t count;
};

Range range_of(int64_t block, int64_t side) { return {block * kBlockSide, std::min(kBlockSide, side - block * kBlockSide)}; }

// The number of features of a rank: products of two of its vectors. Those of smaller ranks come first.
int64_t features_of(int64_t rank) { return rank * (rank + 1) / 2; }

// The entrywise square of Q = V^T V is either applied as the sum over features, each of them v_a o v_b, or formed. Forming it
// uses the symmetry of the sum.
bool uses_features(const Sides& sides, int64_t rank) {
  const auto longer = static_cast<double>(sides.longer);
  const auto shorter = static_cast<double>(sides.shorter);
  return static_cast<double>(features_of(rank)) * (longer + shorter) < longer * (shorter + longer / 2);
}

class Energy {
 public:
  Energy(Arena& arena, const ThreadPool& pool, const tg_residual& residual, const Subspaces& subspaces)
      : sides_(residual),
        residual_(residual),
        subspaces_(subspaces),
        options_(*subspaces.options),
        rank_(*std::max_element(options_.ranks, options_.ranks + options_.rank_count)),
        short_blocks_(blocks_of(sides_.shorter)),
        long_blocks_(blocks_of(sides_.longer)),
        chunk_(std::clamp<int64_t>(kChunkEntries / std::max<int64_t>(sides_.longer, 1) / 64 * 64, 64, kMostFeatures)),
        of_short_(arena.take<double>(rank_ * sides_.shorter)),
        of_long_(arena.take<double>(rank_ * sides_.longer)),
        short_single_(arena.take<float>(rank_ * sides_.shorter)),
        long_single_(arena.take<float>(rank_ * sides_.longer)),
        short_diagonals_(arena.take<double>(ranks() * sides_.shorter)),
        long_diagonals_(arena.take<double>(ranks() * sides_.longer)),
        long_squares_(arena.take<double>(ranks() * sides_.longer)),
        image_(arena.take<double>(rank_ * sides_.shorter)),
        both_(arena.take<double>(rank_ * rank_)),
        means_(arena.take<double>(ranks() * short_blocks_)),
        fourths_(arena.take<double>(ranks() * short_blocks_)),
        parts_(arena.take<double>(std::max(short_blocks_, long_blocks_))),
        largest_(arena.take<double>(short_blocks_)),
        first_sums_(arena.take<double>(ranks())),
        long_sums_(arena.take<double>(short_blocks_ * sides_.longer)),
        short_sums_(arena.take<double>(sides_.shorter)),
        short_cross_(arena.take<double>(ranks() * sides_.shorter)),
        long_cross_(arena.take<double>(ranks() * sides_.longer)),
        short_gram_(arena.take<double>(rank_ * rank_)),
        long_gram_(arena.take<double>(rank_ * rank_)),
        scaled_(arena.take<double>(rank_ * sides_.longer)),
        probes_(arena.take<float>(2 * kProbes * rank_)),
        probe_products_(arena.take<float>(kProbes * kProbes)),
        features_(arena.take<float>(std::max(chunk_, 2 * kProbes) * sides_.longer)),
        chunk_image_(arena.take<float>(kMostFeatures * sides_.shorter)),
        chunk_product_(arena.take<float>(kMostFeatures * sides_.shorter)) {
    for (int thread = 0; thread < pool.threads(); ++thread) {
      double* block = arena.take<double>(kBlockSide * kBlockSide);
      double* sums = arena.take<double>(2 * kBlockSide * ranks());
      auto* squares = arena.take<float>(kBlockSide * kBlockSide);
      auto* overlaps = arena.take<float>(kBlockSide * kMostFeatures);
      auto* product = arena.take<float>(kBlockSide * kMostFeatures);
      scratch_.push_back({block, sums, squares, overlaps, product, arena.take<double>(kBlockSide * kMostFeatures)});
    }
  }

  void run(ThreadPool& pool, SimdLevel level, tg_sign_flip_moments* moments) {
    pool_ = &pool;
    level_ = level;
    read_bases();
    stream_moments(moments);
    energies(moments);
    double largest = 0;
    for (int64_t block = 0; block < short_blocks_; ++block) {
      largest = std::max(largest, largest_[block]);
    }
    if (!(largest > 0) || !std::isfinite(largest)) {
      return;  // the moments are 0, or not finite
    }
    scale_ = std::ldexp(1.0, -std::clamp(std::ilogb(std::sqrt(largest)), -1000, 1000));
    const double unscaled = 1 / scale_ / scale_;
    for (int64_t i = 0; i < ranks(); ++i) {
      double fourth = 0;
      for (int64_t block = 0; block < short_blocks_; ++block) {
        fourth += fourths_[i * short_blocks_ + block];
      }
      fourths_[i * short_blocks_] = fourth;
    }
    whole_.assign(static_cast<size_t>(ranks()), true);
    if (options_.tolerance > 0) {
      estimate(unscaled * unscaled, moments);
    }
    std::fill_n(first_sums_, ranks(), 0.0);
    add_by_features();
    for (int64_t i = 0; i < ranks(); ++i) {
      if (is_whole(i)) {
        if (!uses_features(sides_, options_.ranks[i])) {
          first_sums_[i] = sum_of_formed(options_.ranks[i]);
        }
        moments[i].variance = 2 * std::max(first_sums_[i] * unscaled * unscaled - fourths_[i * short_blocks_], 0.0);
        moments[i].variance_error = 0;
      }
    }
  }

 private:
  struct Scratch {
    double* block;      // entries of the residual
    double* sums;       // for the short side of a block: two sums for each rank
    float* squares;     // squares of entries of the residual
    float* overlaps;    // a block of P o P or Q o Q
    float* product;     // kBlockSide x chunk
    double* collected;  // kBlockSide x chunk
  };

  [[nodiscard]] int64_t ranks() const { return options_.rank_count; }
  [[nodiscard]] bool is_whole(int64_t i) const { return whole_[static_cast<size_t>(i)]; }
  Scratch& scratch_at(int thread) { return scratch_[static_cast<size_t>(thread)]; }
  void read_bases() {
    const auto read = [&](const tg_matrix& basis, double* wide, float* single, double* diagonals, int64_t length) {
      std::fill_n(diagonals, ranks() * length, 0.0);
      for (int64_t a = 0; a < rank_; ++a) {
        require_not_cancelled();
        for (int64_t j = 0; j < length; ++j) {
          const double entry = load_double(basis, a, j);
          wide[a * length + j] = entry;
          single[a * length + j] = static_cast<float>(entry);
          for (int64_t i = 0; i < ranks(); ++i) {
            diagonals[i * length + j] += a < options_.ranks[i] ? entry * entry : 0;
          }
        }
      }
    };
    read(sides_.tall ? *subspaces_.right : *subspaces_.left, of_short_, short_single_, short_diagonals_, sides_.shorter);
    read(sides_.tall ? *subspaces_.left : *subspaces_.right, of_long_, long_single_, long_diagonals_, sides_.longer);
    for (int64_t j = 0; j < ranks() * sides_.longer; ++j) {
      long_squares_[j] = long_diagonals_[j] * long_diagonals_[j];
    }
  }

  // Calls read(run, first entry of the block) for each stored row of a block.
  template <typename Read>
  void for_runs(Range in_short, Range in_long, Read read) const {
    const Range rows = sides_.tall ? in_long : in_short;
    const Range columns = sides_.tall ? in_short : in_long;
    for (int64_t i = 0; i < rows.count; ++i) {
      read(ResidualRun{&residual_, rows.begin + i, columns.begin, columns.count}, i * columns.count);
    }
  }
  void read_entries(Range in_short, Range in_long, double* out) const {
    for_runs(in_short, in_long, [&](const ResidualRun& run, int64_t at) { residual_entries(level_, run, out + at); });
  }
  void read_squares(Range in_short, Range in_long, float* out) const {
    for_runs(in_short, in_long, [&](const ResidualRun& run, int64_t at) { residual_squares(level_, run, scale_, out + at); });
  }

  // A block as a factor of a product: short x long, or long x short.
  struct Factor {
    CBLAS_TRANSPOSE transpose;
    int64_t stride;
  };
  [[nodiscard]] Factor short_by_long(Range in_short, Range in_long) const {
    return {sides_.tall ? CblasTrans : CblasNoTrans, sides_.tall ? in_short.count : in_long.count};
  }
  [[nodiscard]] Factor long_by_short(Range in_short, Range in_long) const {
    return {sides_.tall ? CblasNoTrans : CblasTrans, sides_.tall ? in_short.count : in_long.count};
  }

  // The image of the long side's basis, and for each rank the mean and the sum of fourths.
  void stream_moments(tg_sign_flip_moments* moments) {
    std::fill_n(image_, rank_ * sides_.shorter, 0.0);
    const auto& functions = blas().wide;
    for_blocks(*pool_, short_blocks_, [&](int thread, int64_t block) {
      Scratch& own = scratch_at(thread);
      const Range in_short = range_of(block, sides_.shorter);
      double* first = own.sums;
      double* second = own.sums + kBlockSide * ranks();
      std::fill_n(own.sums, 2 * kBlockSide * ranks(), 0.0);
      double largest = 0;
      std::fill_n(long_sums_ + block * sides_.longer, sides_.longer, 0.0);
      std::fill_n(short_sums_ + in_short.begin, in_short.count, 0.0);
      for (int64_t panel = 0; panel < long_blocks_; ++panel) {
        require_not_cancelled();
        const Range in_long = range_of(panel, sides_.longer);
        const int64_t entries = in_short.count * in_long.count;
        read_entries(in_short, in_long, own.block);
        const Factor across = long_by_short(in_short, in_long);
        functions.gemm(CblasRowMajor, CblasNoTrans, across.transpose, blas_size(rank_), blas_size(in_short.count),
                       blas_size(in_long.count), 1.0, of_long_ + in_long.begin, blas_size(sides_.longer), own.block,
                       blas_size(across.stride), 1.0, image_ + in_short.begin, blas_size(sides_.shorter));
        const Factor along = short_by_long(in_short, in_long);
        const auto add_weighted = [&](const double* weights, double* sums) {
          for (int64_t i = 0; i < entries; ++i) {
            own.block[i] *= own.block[i];
          }
          functions.gemm(CblasRowMajor, along.transpose, CblasTrans, blas_size(in_short.count), blas_size(ranks()),
                         blas_size(in_long.count), 1.0, own.block, blas_size(along.stride), weights + in_long.begin,
                         blas_size(sides_.longer), 1.0, sums, blas_size(ranks()));
        };
        add_weighted(long_diagonals_, first);
        add_sums(in_short, in_long, own.block, long_sums_ + block * sides_.longer);
        largest = std::max(largest, *std::max_element(own.block, own.block + entries));
        add_weighted(long_squares_, second);
      }
      largest_[block] = largest;
      for (int64_t i = 0; i < ranks(); ++i) {
        double mean = 0;
        double fourth = 0;
        for (int64_t j = 0; j < in_short.count; ++j) {
          const double p = short_diagonals_[i * sides_.shorter + in_short.begin + j];
          mean += p * first[j * ranks() + i];
          fourth += p * p * second[j * ranks() + i];
        }
        means_[i * short_blocks_ + block] = mean;
        fourths_[i * short_blocks_ + block] = fourth;
      }
    });
    for (int64_t i = 0; i < ranks(); ++i) {
      moments[i] = {};
      for (int64_t block = 0; block < short_blocks_; ++block) {
        moments[i].mean += means_[i * short_blocks_ + block];
      }
    }
  }

  // Adds the squares of a block up along both sides.
  void add_sums(Range in_short, Range in_long, const double* squares, double* along_long) const {
    const Range rows = sides_.tall ? in_long : in_short;
    const Range columns = sides_.tall ? in_short : in_long;
    double* of_rows = (sides_.tall ? along_long : short_sums_) + rows.begin;
    double* of_columns = (sides_.tall ? short_sums_ : along_long) + columns.begin;
    for (int64_t i = 0; i < rows.count; ++i) {
      const double* row = squares + i * columns.count;
      of_rows[i] += sum_in_lanes(columns.count, [&](int64_t j) { return row[j]; });
      for (int64_t j = 0; j < columns.count; ++j) {
        of_columns[j] += row[j];
      }
    }
  }

  // Estimates variances with probes. A = R^2 is split into A0 = short sums * long sums^T / total and the rest A1. With
  // F(A, B) = <A, (P o P) B (Q o Q)>, F(A, A) = 2 F(A0, A) - F(A0, A0) + F(A1, A1). The first two are exact, because
  // P o P times a vector needs only a k x k matrix: x^T (P o P) x = |U diag(x) U^T|^2.
  void estimate(double unscaled, tg_sign_flip_moments* moments) {
    for (int64_t block = 1; block < short_blocks_; ++block) {
      for (int64_t j = 0; j < sides_.longer; ++j) {
        long_sums_[j] += long_sums_[block * sides_.longer + j];
      }
    }
    const double total = sum_in_lanes(sides_.longer, [&](int64_t j) { return long_sums_[j]; });
    cross(of_short_, sides_.shorter, short_sums_, short_gram_, short_cross_);
    cross(of_long_, sides_.longer, long_sums_, long_gram_, long_cross_);
    stream_cross();
    for (int64_t i = 0; i < ranks(); ++i) {
      const int64_t rank = options_.ranks[i];
      double across = 0;
      for (int64_t block = 0; block < short_blocks_; ++block) {
        across += means_[i * short_blocks_ + block];
      }
      const double product = leading_squares(short_gram_, rank) * leading_squares(long_gram_, rank) / total / total;
      const Estimate rest = probe(i, total);
      const double first = 2 * across / total - product + rest.mean * unscaled;
      const double variance = 2 * (first - fourths_[i * short_blocks_]);
      const double error = 2 * rest.error * unscaled;
      whole_[static_cast<size_t>(i)] = !(error <= options_.tolerance * variance);
      moments[i].variance = variance;
      moments[i].variance_error = error;
    }
  }

  // Computes gram = basis * diag(sums) * basis^T, and for each rank (B o B) * sums, where B is the projection on the basis.
  void cross(const double* basis, int64_t length, const double* sums, double* gram, double* products) {
    const auto& functions = blas().wide;
    for (int64_t a = 0; a < rank_; ++a) {
      for (int64_t j = 0; j < length; ++j) {
        scaled_[a * length + j] = basis[a * length + j] * sums[j];
      }
    }
    functions.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank_), blas_size(rank_), blas_size(length), 1.0, scaled_,
                   blas_size(length), basis, blas_size(length), 0.0, gram, blas_size(rank_));
    for (int64_t i = 0; i < ranks(); ++i) {
      require_not_cancelled();
      const int64_t rank = options_.ranks[i];
      functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rank), blas_size(length), blas_size(rank), 1.0, gram,
                     blas_size(rank_), basis, blas_size(length), 0.0, scaled_, blas_size(length));
      double* product = products + i * length;
      std::fill_n(product, length, 0.0);
      for (int64_t a = 0; a < rank; ++a) {
        for (int64_t j = 0; j < length; ++j) {
          product[j] += basis[a * length + j] * scaled_[a * length + j];
        }
      }
    }
  }

  [[nodiscard]] double leading_squares(const double* gram, int64_t rank) const {
    double sum = 0;
    for (int64_t a = 0; a < rank; ++a) {
      sum += sum_in_lanes(rank, [&](int64_t b) { return gram[a * rank_ + b] * gram[a * rank_ + b]; });
    }
    return sum;
  }

  // means = for each rank and block, the sum of R^2_ij times both crosses. The means themselves are known by then.
  void stream_cross() {
    for_blocks(*pool_, short_blocks_, [&](int thread, int64_t block) {
      Scratch& own = scratch_at(thread);
      const Range in_short = range_of(block, sides_.shorter);
      std::fill_n(own.sums, kBlockSide * ranks(), 0.0);
      for (int64_t panel = 0; panel < long_blocks_; ++panel) {
        require_not_cancelled();
        const Range in_long = range_of(panel, sides_.longer);
        read_entries(in_short, in_long, own.block);
        for (int64_t i = 0; i < in_short.count * in_long.count; ++i) {
          own.block[i] *= own.block[i];
        }
        const Factor along = short_by_long(in_short, in_long);
        blas().wide.gemm(CblasRowMajor, along.transpose, CblasTrans, blas_size(in_short.count), blas_size(ranks()),
                         blas_size(in_long.count), 1.0, own.block, blas_size(along.stride), long_cross_ + in_long.begin,
                         blas_size(sides_.longer), 1.0, own.sums, blas_size(ranks()));
      }
      for (int64_t i = 0; i < ranks(); ++i) {
        const double* weights = short_cross_ + i * sides_.shorter + in_short.begin;
        means_[i * short_blocks_ + block] =
            sum_in_lanes(in_short.count, [&](int64_t j) { return weights[j] * own.sums[j * ranks() + i]; });
      }
    });
  }

  struct Estimate {
    double mean;
    double error;
  };

  // Fills the first kProbes of 2 kProbes rows of `out` with products of two random vectors in the rows of a basis, whose mean
  // outer product is B o B.
  void form_probes(const float* basis, int64_t length, int64_t index, bool is_short, float* out) {
    const random::Stream stream{static_cast<uint64_t>(options_.seed), static_cast<uint32_t>(2 * index + (is_short ? 1 : 0)),
                                random::Purpose::kEnergyProbe};
    const int64_t rank = options_.ranks[index];
    for (int64_t row = 0; row < 2 * kProbes; ++row) {
      random::normal_row(level_, stream, row, rank, probes_ + row * rank);
    }
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(2 * kProbes), blas_size(length), blas_size(rank),
                       1.0F, probes_, blas_size(rank), basis, blas_size(length), 0.0F, out, blas_size(length));
    for (int64_t i = 0; i < kProbes * length; ++i) {
      out[i] *= out[kProbes * length + i];
    }
  }

  // Estimates F(A1, A1) in units of scale^4, with all pairs of probes of the two sides.
  Estimate probe(int64_t index, double total) {
    form_probes(long_single_, sides_.longer, index, false, features_);
    image_of_features(kProbes);
    for (int64_t f = 0; f < kProbes; ++f) {
      const float* feature = features_ + f * sides_.longer;
      const double along =
          sum_in_lanes(sides_.longer, [&](int64_t j) { return long_sums_[j] * static_cast<double>(feature[j]); }) / total;
      const double scaled = along * scale_ * scale_;
      for (int64_t i = 0; i < sides_.shorter; ++i) {
        float& entry = chunk_image_[i * kProbes + f];
        entry = static_cast<float>(static_cast<double>(entry) - short_sums_[i] * scaled);
      }
    }
    form_probes(short_single_, sides_.shorter, index, true, chunk_product_);
    blas().single.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(kProbes), blas_size(kProbes),
                       blas_size(sides_.shorter), 1.0F, chunk_product_, blas_size(sides_.shorter), chunk_image_,
                       blas_size(kProbes), 0.0F, probe_products_, blas_size(kProbes));
    double of_rows[kProbes] = {};
    double of_columns[kProbes] = {};
    double mean = 0;
    for (int64_t a = 0; a < kProbes; ++a) {
      for (int64_t b = 0; b < kProbes; ++b) {
        const auto entry = static_cast<double>(probe_products_[a * kProbes + b]);
        of_rows[a] += entry * entry / kProbes;
        of_columns[b] += entry * entry / kProbes;
        mean += entry * entry / (kProbes * kProbes);
      }
    }
    // Pairs share probes. The variance of their mean is about that of the means of rows plus that of the means of columns.
    double squares = 0;
    for (int64_t a = 0; a < kProbes; ++a) {
      squares += (of_rows[a] - mean) * (of_rows[a] - mean) + (of_columns[a] - mean) * (of_columns[a] - mean);
    }
    return {mean, std::sqrt(squares / (kProbes * (kProbes - 1)))};
  }

  void energies(tg_sign_flip_moments* moments) {
    blas().wide.gemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas_size(rank_), blas_size(rank_), blas_size(sides_.shorter), 1.0,
                     image_, blas_size(sides_.shorter), of_short_, blas_size(sides_.shorter), 0.0, both_, blas_size(rank_));
    for (int64_t i = 0; i < ranks(); ++i) {
      const int64_t k = options_.ranks[i];
      for (int64_t a = 0; a < k; ++a) {
        moments[i].energy += sum_in_lanes(k, [&](int64_t b) { return both_[a * rank_ + b] * both_[a * rank_ + b]; });
      }
    }
  }

  // Writes features `begin` .. begin + count - 1 of the long side. A product of two different vectors counts twice.
  void form_features(int64_t begin, int64_t count) {
    int64_t b = 0;
    while (features_of(b + 1) <= begin) {
      ++b;
    }
    int64_t a = begin - features_of(b);
    for (int64_t f = 0; f < count; ++f) {
      const float* first = long_single_ + a * sides_.longer;
      const float* second = long_single_ + b * sides_.longer;
      float* out = features_ + f * sides_.longer;
      const float factor = a == b ? 1.0F : static_cast<float>(std::sqrt(2.0));
      for (int64_t j = 0; j < sides_.longer; ++j) {
        out[j] = factor * first[j] * second[j];
      }
      if (++a > b) {
        a = 0;
        ++b;
      }
    }
  }

  // chunk_image = R^2 * features^T, short side x count.
  void image_of_features(int64_t count) {
    const auto& functions = blas().single;
    for_blocks(*pool_, short_blocks_, [&](int thread, int64_t block) {
      Scratch& own = scratch_at(thread);
      const Range in_short = range_of(block, sides_.shorter);
      const int64_t entries = in_short.count * count;
      std::fill_n(own.collected, entries, 0.0);
      for (int64_t panel = 0; panel < long_blocks_; ++panel) {
        require_not_cancelled();
        const Range in_long = range_of(panel, sides_.longer);
        read_squares(in_short, in_long, own.squares);
        const Factor along = short_by_long(in_short, in_long);
        functions.gemm(CblasRowMajor, along.transpose, CblasTrans, blas_size(in_short.count), blas_size(count),
                       blas_size(in_long.count), 1.0F, own.squares, blas_size(along.stride), features_ + in_long.begin,
                       blas_size(sides_.longer), 0.0F, own.product, blas_size(count));
        for (int64_t i = 0; i < entries; ++i) {
          own.collected[i] += static_cast<double>(own.product[i]);
        }
      }
      float* out = chunk_image_ + in_short.begin * count;
      for (int64_t i = 0; i < entries; ++i) {
        out[i] = static_cast<float>(own.collected[i]);
      }
    });
  }

  // Computes a block of rows of (P o P) * chunk_image, for P of a rank.
  void product_with_overlaps(Scratch& own, Range rows, int64_t rank, int64_t count, float* out) {
    const auto& functions = blas().single;
    for (int64_t block = 0; block < short_blocks_; ++block) {
      require_not_cancelled();
      const Range other = range_of(block, sides_.shorter);
      form_overlaps(short_single_, sides_.shorter, rows, other, rank, own.overlaps);
      functions.gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(rows.count), blas_size(count), blas_size(other.count),
                     1.0F, own.overlaps, blas_size(other.count), chunk_image_ + other.begin * count, blas_size(count),
                     block == 0 ? 0.0F : 1.0F, out, blas_size(count));
    }
  }

  // The entrywise square of a block of the projection onto the first `rank` rows of a basis.
  static void form_overlaps(const float* basis, int64_t length, Range rows, Range columns, int64_t rank, float* out) {
    blas().single.gemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(rows.count), blas_size(columns.count), blas_size(rank),
                       1.0F, basis + rows.begin, blas_size(length), basis + columns.begin, blas_size(length), 0.0F, out,
                       blas_size(columns.count));
    for (int64_t i = 0; i < rows.count * columns.count; ++i) {
      out[i] *= out[i];
    }
  }

  void add_by_features() {
    int64_t largest = 0;
    for (int64_t i = 0; i < ranks(); ++i) {
      if (is_whole(i) && uses_features(sides_, options_.ranks[i])) {
        largest = std::max(largest, options_.ranks[i]);
      }
    }
    const int64_t all = features_of(largest);
    for (int64_t begin = 0; begin < all; begin += chunk_) {
      const int64_t count = std::min(chunk_, all - begin);
      form_features(begin, count);
      image_of_features(count);
      for (int64_t i = 0; i < ranks(); ++i) {
        const int64_t rank = options_.ranks[i];
        const int64_t wanted = std::min(features_of(rank) - begin, count);
        if (wanted > 0 && is_whole(i) && uses_features(sides_, rank)) {
          first_sums_[i] += sum_of_chunk(rank, wanted, count);
        }
      }
    }
  }

  // The sum over the first `wanted` features f of t_f^T (P o P) t_f, where t_f is a column of the chunk's image.
  double sum_of_chunk(int64_t rank, int64_t wanted, int64_t count) {
    for_blocks(*pool_, short_blocks_, [&](int thread, int64_t block) {
      Scratch& own = scratch_at(thread);
      const Range rows = range_of(block, sides_.shorter);
      product_with_overlaps(own, rows, rank, count, own.product);
      double sum = 0;
      for (int64_t i = 0; i < rows.count; ++i) {
        const float* image = chunk_image_ + (rows.begin + i) * count;
        const float* product = own.product + i * count;
        sum += sum_in_lanes(wanted, [&](int64_t f) { return static_cast<double>(image[f]) * static_cast<double>(product[f]); });
      }
      parts_[block] = sum;
    });
    return sum_of_parts(short_blocks_);
  }

  double sum_of_parts(int64_t blocks) const {
    double sum = 0;
    for (int64_t block = 0; block < blocks; ++block) {
      sum += parts_[block];
    }
    return sum;
  }

  // The sum over pairs of columns of R^2 of (Q o Q)_jj' r_j^T (P o P) r_j'. Of two different panels only one order is summed.
  double sum_of_formed(int64_t rank) {
    double sum = 0;
    for (int64_t begin = 0; begin < sides_.longer; begin += kMostFeatures) {
      const Range panel{begin, std::min(kMostFeatures, sides_.longer - begin)};
      read_panel(panel);
      for_blocks(*pool_, short_blocks_, [&](int thread, int64_t block) {
        const Range rows = range_of(block, sides_.shorter);
        product_with_overlaps(scratch_at(thread), rows, rank, panel.count, chunk_product_ + rows.begin * panel.count);
      });
      const int64_t others = blocks_of(begin + panel.count);
      for_blocks(*pool_, others, [&](int thread, int64_t other) {
        const Range columns = range_of(other, sides_.longer);
        parts_[other] = sum_of_pairs(scratch_at(thread), rank, panel, columns) * (columns.begin < begin ? 2 : 1);
      });
      sum += sum_of_parts(others);
    }
    return sum;
  }

  // chunk_image = the panel's squares, short side x panel.
  void read_panel(Range panel) {
    for_blocks(*pool_, short_blocks_, [&](int thread, int64_t block) {
      Scratch& own = scratch_at(thread);
      const Range in_short = range_of(block, sides_.shorter);
      for (int64_t at = 0; at < panel.count; at += kBlockSide) {
        const Range in_long{panel.begin + at, std::min(kBlockSide, panel.count - at)};
        read_squares(in_short, in_long, own.squares);
        for (int64_t i = 0; i < in_short.count; ++i) {
          float* out = chunk_image_ + (in_short.begin + i) * panel.count + at;
          for (int64_t j = 0; j < in_long.count; ++j) {
            out[j] = own.squares[sides_.tall ? j * in_short.count + i : i * in_long.count + j];
          }
        }
      }
    });
  }

  double sum_of_pairs(Scratch& own, int64_t rank, Range in_long, Range other) {
    const auto& functions = blas().single;
    const int64_t entries = other.count * in_long.count;
    std::fill_n(own.collected, entries, 0.0);
    for (int64_t block = 0; block < short_blocks_; ++block) {
      const Range in_short = range_of(block, sides_.shorter);
      read_squares(in_short, other, own.squares);
      const Factor across = long_by_short(in_short, other);
      functions.gemm(CblasRowMajor, across.transpose, CblasNoTrans, blas_size(other.count), blas_size(in_long.count),
                     blas_size(in_short.count), 1.0F, own.squares, blas_size(across.stride),
                     chunk_product_ + in_short.begin * in_long.count, blas_size(in_long.count), 0.0F, own.product,
                     blas_size(in_long.count));
      for (int64_t i = 0; i < entries; ++i) {
        own.collected[i] += static_cast<double>(own.product[i]);
      }
    }
    form_overlaps(long_single_, sides_.longer, other, in_long, rank, own.overlaps);
    return sum_in_lanes(entries, [&](int64_t i) { return own.collected[i] * static_cast<double>(own.overlaps[i]); });
  }

  Sides sides_;
  const tg_residual& residual_;
  const Subspaces& subspaces_;
  const tg_sign_flip_energy_options& options_;
  int64_t rank_;  // the largest one
  int64_t short_blocks_;
  int64_t long_blocks_;
  int64_t chunk_;            // features that are applied together
  double* of_short_;         // rank x short side
  double* of_long_;          // rank x long side
  float* short_single_;      // the same in float32
  float* long_single_;       // the same in float32
  double* short_diagonals_;  // for each rank, the diagonal of its projection
  double* long_diagonals_;   // the same
  double* long_squares_;     // their squares
  double* image_;            // rank x short side: the basis of the long side times the residual
  double* both_;
  double* means_;    // ranks x blocks of the short side
  double* fourths_;  // the same
  double* parts_;
  double* largest_;      // the largest square of each block of the short side
  double* first_sums_;   // for each rank, the first sum of the variance in units of scale^4
  double* long_sums_;    // blocks of the short side x long side: sums of squares, then of all blocks in the first one
  double* short_sums_;   // sums of squares
  double* short_cross_;  // for each rank, (P o P) times the sums
  double* long_cross_;   // the same
  double* short_gram_;   // basis * diag(sums) * basis^T
  double* long_gram_;    // the same
  double* scaled_;
  float* probes_;
  float* probe_products_;
  float* features_;               // chunk x long side
  float* chunk_image_;            // short side x chunk
  float* chunk_product_;          // the same
  std::vector<Scratch> scratch_;  // of each thread
  std::vector<bool> whole_;       // the ranks whose sum is computed as a whole
  double scale_ = 1;
  ThreadPool* pool_ = nullptr;
  SimdLevel level_ = SimdLevel::kScalar;
};

constexpr int64_t kSignsOfBlock = 32 * random::kBlock;

// Calls body(first, count, words) for runs of entries of a row. Bit i of the words is 1 if entry i of the run changes its sign.
template <typename Body>
void for_sign_runs(const random::Stream& stream, int64_t row, int64_t columns, bool flips, Body body) {
  static_assert(kRun == 32 * random::kLanes, "a run takes its signs from one row of words");
  const int64_t blocks = (columns + kSignsOfBlock - 1) / kSignsOfBlock;
  uint32_t words[4][random::kLanes] = {};
  for (int64_t column = 0; column < columns; column += kRun) {
    if (flips && column % kSignsOfBlock == 0) {
      random::random_block(stream, row * blocks + column / kSignsOfBlock, words);
    }
    body(column, std::min(kRun, columns - column), words[column % kSignsOfBlock / kRun]);
  }
}

}  // namespace

int64_t sign_flip_workspace_bytes(const ThreadPool& pool, const tg_residual& residual, const Subspaces& subspaces) {
  Arena arena;
  const Energy counted(arena, pool, residual, subspaces);
  return arena.used();
}

void sign_flip_energy(ThreadPool& pool, SimdLevel level, const tg_residual& residual, const Subspaces& subspaces, void* workspace,
                      tg_sign_flip_moments* moments) {
  Arena arena(workspace);
  Energy(arena, pool, residual, subspaces).run(pool, level, moments);
}

void sign_flip(ThreadPool& pool, SimdLevel level, const tg_residual& residual, const tg_sign_flip_options& options,
               void* flipped) {
  const int64_t rows = residual.base->values.rows;
  const int64_t columns = residual.base->values.columns;
  const random::Stream stream{static_cast<uint64_t>(options.seed), static_cast<uint32_t>(options.draw), random::Purpose::kSigns};
  RowBlocks(rows, columns).for_rows(pool, [&](int, int64_t, int64_t row) {
    for_sign_runs(stream, row, columns, options.flips != 0, [&](int64_t column, int64_t count, const uint32_t* signs) {
      auto* out = static_cast<uint8_t*>(flipped) + (row * columns + column) * element_bytes(options.dtype);
      residual_flipped(level, {&residual, row, column, count}, signs, options.dtype, out);
    });
  });
}

}  // namespace threegate::nulls
