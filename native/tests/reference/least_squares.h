// Weighted least squares by normal equations and Gaussian elimination.
#ifndef THREEGATE_TESTS_REFERENCE_LEAST_SQUARES_H
#define THREEGATE_TESTS_REFERENCE_LEAST_SQUARES_H

#include <vector>

namespace reference {

// Solves a symmetric, positive semidefinite and consistent system. Directions of the null space have the solution 0.
std::vector<double> solve(std::vector<std::vector<double>> matrix, std::vector<double> right);

// The least sum of weights * (target - design * x)^2 over x.
double residual_squares(const std::vector<std::vector<double>>& design, const std::vector<double>& target,
                        const std::vector<double>& weights);

}  // namespace reference

#endif  // THREEGATE_TESTS_REFERENCE_LEAST_SQUARES_H
