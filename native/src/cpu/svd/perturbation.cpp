#include "perturbation.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "common/control.h"
#include "common/lanes.h"
#include "cpu/support/arena.h"
#include "cpu/support/blas.h"
#include "pairs.h"

namespace threegate::svd {
namespace {

// The number of levels on either side of a boundary whose mixing tells whether the angles there are accurate.
constexpr int64_t kNeighbours = 4;

int64_t largest_rank(const tg_perturbation_options& options) {
  return *std::max_element(options.ranks, options.ranks + options.rank_count);
}

class Perturbation {
 public:
  Perturbation(Arena& arena, const tg_perturbation_options& options)
      : options_(options),
        count_(options.count),
        below_(options.core_rows - options.count),
        padded_((options.count + kPairTile - 1) / kPairTile * kPairTile),
        diagonal_(arena.take<double>(padded_)),
        mixing_(arena.take<double>(padded_)),
        tile_(arena.take<PairTile>(1)),
        tangents_(arena.take<PairTangents>(1)),
        left_(arena.take<double>(largest_rank(options) * options.core_rows)),
        right_(arena.take<double>(largest_rank(options) * count_)),
        squares_(arena.take<double>(largest_rank(options) * largest_rank(options))),
        eigenvalues_(arena.take<double>(largest_rank(options))),
        work_(arena.take<double>(work_size())) {}

  bool run(SimdLevel level, tg_perturbation_result& result) {
    std::fill_n(diagonal_, padded_, 0.0);
    double largest = 0;
    for (int64_t i = 0; i < count_; ++i) {
      diagonal_[i] = options_.base_values[i] + entry(i, i);
      largest = std::max(largest, std::abs(diagonal_[i]));
    }
    unit_ = largest > 0 && std::isfinite(largest) ? std::ldexp(1.0, std::clamp(std::ilogb(largest), -120, 120)) : 1;
    energies(result);
    double trace = result.total;
    for (int64_t i = 0; i < count_; ++i) {
      trace += std::abs(diagonal_[i]);
    }
    if (!std::isfinite(trace)) {
      return false;
    }
    values(level, result);
    result.boundary_mixing = 0;
    double* left_angles = result.long_angles;
    double* right_angles = result.short_angles;
    for (int64_t index = 0; index < options_.rank_count; ++index) {
      const int64_t rank = options_.ranks[index];
      result.boundary_mixing = std::max(result.boundary_mixing, mixing_around(rank));
      tangents(level, rank);
      if (!angles(rank, options_.core_rows - rank, left_, left_angles) || !angles(rank, count_ - rank, right_, right_angles)) {
        return false;
      }
      left_angles += rank;
      right_angles += rank;
    }
    return true;
  }

 private:
  [[nodiscard]] double entry(int64_t i, int64_t j) const { return options_.core[i * count_ + j]; }
  [[nodiscard]] int64_t work_size() const { return 2 * largest_rank(options_) + 1; }

  // Fills the tile of the pairs of levels from i and from j on. Those beyond the matrix are zero.
  void fill_tile(int64_t first, int64_t second) const {
    const auto scale = static_cast<float>(1 / unit_);
    for (int64_t i = 0; i < kPairTile; ++i) {
      tile_->of_rows[i] = diagonal_[first + i] / unit_;
      tile_->of_columns[i] = diagonal_[second + i] / unit_;
    }
    const int64_t rows = std::min(kPairTile, count_ - first);
    const int64_t columns = std::min(kPairTile, count_ - second);
    if (rows < kPairTile || columns < kPairTile) {
      std::fill_n(&tile_->across[0][0], kPairTile * kPairTile, 0.0F);
      std::fill_n(&tile_->back[0][0], kPairTile * kPairTile, 0.0F);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const float* row = options_.core + (first + i) * count_ + second;
      for (int64_t j = 0; j < columns; ++j) {
        tile_->across[i][j] = row[j] * scale;
      }
    }
    for (int64_t j = 0; j < columns; ++j) {
      const float* row = options_.core + (second + j) * count_ + first;
      for (int64_t i = 0; i < rows; ++i) {
        tile_->back[i][j] = row[i] * scale;
      }
    }
    for (int64_t i = 0; i < kPairTile && first == second; ++i) {
      tile_->across[i][i] = 0;
      tile_->back[i][i] = 0;
    }
  }

  // Adds the first order from the diagonal, the second order from pairs, and the rows below the square part, which are orthogonal
  // to all levels.
  void values(SimdLevel level, tg_perturbation_result& result) const {
    double total = 0;
    for (int64_t second = 0; second < count_; second += kPairTile) {
      require_not_cancelled();
      const int64_t columns = std::min(kPairTile, count_ - second);
      std::copy_n(diagonal_ + second, columns, result.values + second);
      double* strongest = right_;
      std::fill_n(strongest, columns, 0.0);
      std::fill_n(mixing_ + second, columns, 0.0);
      for (int64_t first = 0; first < count_; first += kPairTile) {
        PairSums sums;
        fill_tile(first, second);
        add_pairs(level, *tile_, sums);
        for (int64_t j = 0; j < columns; ++j) {
          result.values[second + j] += static_cast<double>(sums.shift[j]) * unit_;
          mixing_[second + j] += static_cast<double>(sums.mixing[j]);
          strongest[j] = std::max(strongest[j], static_cast<double>(sums.strongest[j]));
        }
      }
      for (int64_t j = 0; j < columns; ++j) {
        // Mixing with a single other level is solved exactly. Only mixing with more levels is an error.
        mixing_[second + j] = std::max(mixing_[second + j] - strongest[j], 0.0);
        total += mixing_[second + j];
      }
    }
    result.mixing = total / static_cast<double>(count_);
    std::fill_n(right_, count_, 0.0);
    for (int64_t i = count_; i < options_.core_rows; ++i) {
      for (int64_t j = 0; j < count_; ++j) {
        right_[j] += entry(i, j) * entry(i, j);
      }
    }
    for (int64_t j = 0; j < count_; ++j) {
      result.values[j] = std::sqrt(result.values[j] * result.values[j] + right_[j]);
    }
    std::sort(result.values, result.values + count_, std::greater<>());
  }

  [[nodiscard]] double mixing_around(int64_t rank) const {
    const int64_t begin = std::max<int64_t>(0, rank - kNeighbours);
    const int64_t end = std::min(count_, rank + kNeighbours);
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      sum += mixing_[i];
    }
    return rank < count_ ? sum / static_cast<double>(end - begin) : 0;
  }

  [[nodiscard]] static double sum_of_squares(const float* values, int64_t count) {
    return sum_in_lanes(count, [&](int64_t i) { return static_cast<double>(values[i]) * static_cast<double>(values[i]); });
  }

  // The energies of the update in the leading directions.
  void energies(tg_perturbation_result& result) const {
    std::fill_n(result.energies, 3 * options_.rank_count, 0.0);
    result.total = 0;
    for (int64_t i = 0; i < options_.core_rows; ++i) {
      const float* row = options_.core + i * count_;
      const double whole = sum_of_squares(row, count_);
      result.total += whole;
      for (int64_t index = 0; index < options_.rank_count; ++index) {
        const int64_t rank = options_.ranks[index];
        const double leading = sum_of_squares(row, rank);
        double* energy = result.energies + 3 * index;
        energy[0] += i < rank ? whole : 0;
        energy[1] += leading;
        energy[2] += i < rank ? leading : 0;
      }
    }
  }

  // Row i: how far the i-th leading vector turns towards each of the other vectors. Below the square part this is first order.
  void tangents(SimdLevel level, int64_t rank) const {
    const int64_t of_left = options_.core_rows - rank;
    const int64_t of_right = count_ - rank;
    for (int64_t first = 0; first < rank; first += kPairTile) {
      require_not_cancelled();
      for (int64_t second = rank / kPairTile * kPairTile; second < count_; second += kPairTile) {
        fill_tile(first, second);
        pair_tangents(level, *tile_, *tangents_);
        const int64_t begin = std::max(second, rank);
        const int64_t length = std::min(second + kPairTile, count_) - begin;
        for (int64_t i = 0; i < std::min(kPairTile, rank - first); ++i) {
          std::copy_n(tangents_->left[i] + (begin - second), length, left_ + (first + i) * of_left + begin - rank);
          std::copy_n(tangents_->right[i] + (begin - second), length, right_ + (first + i) * of_right + begin - rank);
        }
      }
    }
    for (int64_t i = 0; i < rank; ++i) {
      for (int64_t j = 0; j < below_; ++j) {
        left_[i * of_left + of_right + j] = diagonal_[i] > 0 ? entry(count_ + j, i) / diagonal_[i] : 0;
      }
    }
  }

  // The angles between the row space of [1 tangents] and the unit vectors, ascending.
  bool angles(int64_t rank, int64_t length, const double* tangents, double* out) const {
    if (length == 0) {
      std::fill_n(out, rank, 0.0);
      return true;
    }
    const auto& functions = blas().wide;
    functions.syrk(CblasRowMajor, CblasLower, CblasNoTrans, blas_size(rank), blas_size(length), 1.0, tangents, blas_size(length),
                   0.0, squares_, blas_size(rank));
    lapack_int unused = 0;
    if (functions.syevd(LAPACK_COL_MAJOR, 'N', 'U', blas_size(rank), squares_, blas_size(rank), eigenvalues_, work_,
                        blas_size(work_size()), &unused, 1) != 0) {
      return false;
    }
    for (int64_t i = 0; i < rank; ++i) {
      out[i] = std::atan(std::sqrt(std::max(eigenvalues_[i], 0.0)));
    }
    return true;
  }

  const tg_perturbation_options& options_;
  int64_t count_;
  int64_t below_;
  int64_t padded_;
  double unit_ = 1;
  double* diagonal_;
  double* mixing_;
  PairTile* tile_;
  PairTangents* tangents_;
  double* left_;   // of the long side
  double* right_;  // of the short side
  double* squares_;
  double* eigenvalues_;
  double* work_;
};

}  // namespace

int64_t perturbation_workspace_bytes(const tg_perturbation_options& options) {
  Arena arena;
  const Perturbation perturbation(arena, options);
  return arena.used();
}

bool perturb_spectrum(SimdLevel level, const tg_perturbation_options& options, void* workspace, tg_perturbation_result& result) {
  Arena arena(workspace);
  Perturbation perturbation(arena, options);
  return perturbation.run(level, result);
}

}  // namespace threegate::svd
