#include "reference/least_squares.h"

#include <cmath>
#include <cstddef>
#include <utility>

namespace reference {

std::vector<double> solve(std::vector<std::vector<double>> matrix, std::vector<double> right) {
  const size_t size = right.size();
  double largest = 0;
  for (size_t i = 0; i < size; ++i) {
    largest = std::fmax(largest, std::abs(matrix[i][i]));
  }
  std::vector<bool> used(size, false);
  // Gauss-Jordan with diagonal pivots, the largest first. What is left of a null direction is rounding.
  for (size_t step = 0; step < size; ++step) {
    size_t pivot = size;
    for (size_t i = 0; i < size; ++i) {
      if (!used[i] && (pivot == size || matrix[i][i] > matrix[pivot][pivot])) {
        pivot = i;
      }
    }
    if (matrix[pivot][pivot] <= 1e-11 * largest) {
      break;
    }
    used[pivot] = true;
    for (size_t i = 0; i < size; ++i) {
      if (i == pivot) {
        continue;
      }
      const double factor = matrix[i][pivot] / matrix[pivot][pivot];
      for (size_t j = 0; j < size; ++j) {
        matrix[i][j] -= factor * matrix[pivot][j];
      }
      right[i] -= factor * right[pivot];
    }
  }
  std::vector<double> solution(size, 0);
  for (size_t i = 0; i < size; ++i) {
    solution[i] = used[i] ? right[i] / matrix[i][i] : 0;
  }
  return solution;
}

double residual_squares(const std::vector<std::vector<double>>& design, const std::vector<double>& target,
                        const std::vector<double>& weights) {
  const size_t size = design[0].size();
  std::vector<std::vector<double>> matrix(size, std::vector<double>(size, 0));
  std::vector<double> right(size, 0);
  for (size_t row = 0; row < design.size(); ++row) {
    for (size_t i = 0; i < size; ++i) {
      for (size_t j = 0; j < size; ++j) {
        matrix[i][j] += weights[row] * design[row][i] * design[row][j];
      }
      right[i] += weights[row] * design[row][i] * target[row];
    }
  }
  const std::vector<double> x = solve(matrix, right);
  double sum = 0;
  for (size_t row = 0; row < design.size(); ++row) {
    double rest = target[row];
    for (size_t i = 0; i < size; ++i) {
      rest -= design[row][i] * x[i];
    }
    sum += weights[row] * rest * rest;
  }
  return sum;
}

}  // namespace reference
