// Instructions of whole warps, with the layouts of the PTX ISA: group g = lane / 4 and thread in group t = lane % 4.
#include "emulated_instructions.h"
#include "matrix_unit.h"

namespace threegate::cuda {
namespace {

float widened(uint32_t pair, int half) { return emulation::from_bf16(static_cast<uint16_t>(pair >> 16 * half)); }

struct Product {
  float* c;
  const uint32_t* a;
  const uint32_t* b;
};

void multiply_warp(void* const lanes[32]) {
  double a[16][16];
  double b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* own = static_cast<const Product*>(lanes[lane]);
    const int g = lane / 4;
    const int t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        a[g + 8 * (i % 2)][2 * t + half + 8 * (i / 2)] = static_cast<double>(widened(own->a[i], half));
      }
      for (int i = 0; i < 2; ++i) {
        b[2 * t + half + 8 * i][g] = static_cast<double>(widened(own->b[i], half));
      }
    }
  }
  double sums[16][8] = {};
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) {
      for (int j = 0; j < 8; ++j) {
        sums[i][j] += a[i][k] * b[k][j];
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto* own = static_cast<const Product*>(lanes[lane]);
    for (int i = 0; i < 4; ++i) {
      own->c[i] = emulation::towards_zero(static_cast<double>(own->c[i]) + sums[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2]);
    }
  }
}

struct Load {
  uint32_t* out;
  const void* row;
};

template <bool kTransposed>
void load_warp(void* const lanes[32]) {
  uint16_t matrices[4][8][8];
  for (int lane = 0; lane < 32; ++lane) {
    std::memcpy(matrices[lane / 8][lane % 8], static_cast<const Load*>(lanes[lane])->row, sizeof(matrices[0][0]));
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto g = static_cast<size_t>(lane / 4);
    const auto t = static_cast<size_t>(lane % 4);
    for (size_t i = 0; i < 4; ++i) {
      const uint32_t low = kTransposed ? matrices[i][2 * t][g] : matrices[i][g][2 * t];
      const uint32_t high = kTransposed ? matrices[i][2 * t + 1][g] : matrices[i][g][2 * t + 1];
      static_cast<const Load*>(lanes[lane])->out[i] = low | high << 16;
    }
  }
}

void note_row(const void* row) {
  constexpr size_t kRowBytes = 16;
  emulation::require_aligned(row, kRowBytes, "a row of ldmatrix");
  emulation::note_access(row, kRowBytes, emulation::Access::kRead);
}

}  // namespace

void multiply_add_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Product own{c, a, b};
  emulation::warp_collective("mma", 0xffffffffU, &own, multiply_warp);
}

void load_matrices(uint32_t (&out)[4], const void* row) {
  note_row(row);
  Load own{out, row};
  emulation::warp_collective("ldmatrix", 0xffffffffU, &own, load_warp<false>);
}

void load_matrices_transposed(uint32_t (&out)[4], const void* row) {
  note_row(row);
  Load own{out, row};
  emulation::warp_collective("ldmatrix.trans", 0xffffffffU, &own, load_warp<true>);
}

}  // namespace threegate::cuda
