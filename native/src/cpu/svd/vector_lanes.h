// Vectors that the compiler maps to those of the instruction set of a file. Everything has internal linkage, for the reason in
// dtype.h.
#ifndef THREEGATE_CPU_SVD_VECTOR_LANES_H
#define THREEGATE_CPU_SVD_VECTOR_LANES_H

#include <cstdint>
#include <cstring>
#include <utility>

namespace threegate::svd {
namespace {

// Wider vectors than the instruction set has would stay in memory.
#if defined(__AVX512F__)
constexpr int64_t kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int64_t kVectorBytes = 32;
#else
constexpr int64_t kVectorBytes = 16;
#endif

// Vector fills a register. Narrow has as many entries as a vector of float64.
template <typename T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float Vector __attribute__((vector_size(kVectorBytes)));
  typedef float Narrow __attribute__((vector_size(kVectorBytes / 2)));
};
template <>
struct Lanes<double> {
  typedef double Vector __attribute__((vector_size(kVectorBytes)));
  typedef double Narrow __attribute__((vector_size(kVectorBytes)));
};

template <typename T>
constexpr int64_t kLanes = kVectorBytes / static_cast<int64_t>(sizeof(T));

template <typename T>
[[gnu::always_inline]] inline typename Lanes<T>::Vector load_lanes(const T* from) {
  typename Lanes<T>::Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <typename T>
[[gnu::always_inline]] inline void store_lanes(const typename Lanes<T>::Vector& vector, T* to) {
  std::memcpy(to, &vector, sizeof(vector));
}

// Keeps a vector in its register. GCC would otherwise load it again for each use, and the loads then bind.
template <typename Vector>
[[gnu::always_inline]] inline void keep_in_register([[maybe_unused]] Vector& vector) {
#if defined(__AVX512F__)
  asm("" : "+v"(vector));
#elif defined(__x86_64__)
  asm("" : "+x"(vector));
#endif
}

// Adds the upper half of the lanes to the lower one, and so on. The upper lanes of a sum repeat it.
template <typename T, int64_t kWidth, size_t... kIndex>
[[gnu::always_inline]] inline T fold_lanes(typename Lanes<T>::Vector vector, std::index_sequence<kIndex...> indices) {
  if constexpr (kWidth == 0) {
    return vector[0];
  } else {
    vector += __builtin_shufflevector(vector, vector, ((kIndex + static_cast<size_t>(kWidth)) % sizeof...(kIndex))...);
    return fold_lanes<T, kWidth / 2>(vector, indices);
  }
}

template <typename T>
[[gnu::always_inline]] inline T sum_of(const typename Lanes<T>::Vector& vector) {
  return fold_lanes<T, kLanes<T> / 2>(vector, std::make_index_sequence<static_cast<size_t>(kLanes<T>)>());
}

}  // namespace
}  // namespace threegate::svd

#endif  // THREEGATE_CPU_SVD_VECTOR_LANES_H
