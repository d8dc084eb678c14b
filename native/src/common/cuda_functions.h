// The interface between libthreegate and libthreegate_cuda: a table of functions, which the latter exports as its only symbol.
// The caller has checked all arguments. Each function returns a status and writes the reason of a failure to `error`.
#ifndef THREEGATE_COMMON_CUDA_FUNCTIONS_H
#define THREEGATE_COMMON_CUDA_FUNCTIONS_H

#include <cstdint>

#include "threegate/threegate.h"

namespace threegate {

constexpr const char* kCudaFunctionsSymbol = "tg_cuda_functions";

struct CudaSession;  // one device in use by one context

// Runs body(argument, 0) .. body(argument, tasks - 1) on the context's threads.
struct Parallel {
  void* pool;
  void (*run)(void* pool, int tasks, void (*body)(void* argument, int task), void* argument);
  int threads;
};

// A buffer for a text.
struct CudaText {
  char* text;
  int64_t capacity;
};

struct CudaDiff {
  const tg_operand* base;
  const tg_operand* tuned;
  const tg_diff_profiles* profiles;  // may be nullptr
  tg_diff_result* result;
};

struct CudaSvdBatch {
  const tg_operand* matrices;
  const tg_operand* subtracted;  // nullptr if nothing is subtracted
  const tg_svd_options* options;
  const tg_svd_start* starts;  // nullptr without starts
  tg_svd_result* results;
  int64_t count;
};

struct CudaFunctions {
  int64_t size;
  int32_t abi_version;
  // Also writes the name of the first device.
  tg_status (*count_devices)(int32_t* devices, CudaText name, CudaText error);
  tg_status (*open)(int32_t device, const Parallel* parallel, CudaSession** session, CudaText error);
  void (*close)(CudaSession* session);
  // Later calls wait for this stream. nullptr is the default stream.
  tg_status (*set_stream)(CudaSession* session, void* stream, CudaText error);
  // Sets the directories of cuBLAS and cuSOLVER. Returns TG_UNSUPPORTED if they were loaded from another place before.
  tg_status (*set_library_path)(const char* path);
  // Returns whether the pointer is to memory of a device, and which one. Managed memory is on that of the session.
  int32_t (*place_of)(CudaSession* session, const void* pointer, int32_t* device);

  int64_t (*diff_bytes)(CudaSession* session, const CudaDiff* items, int64_t count);
  tg_status (*diff)(CudaSession* session, const CudaDiff* items, int64_t count, tg_control* control, CudaText error);

  int64_t (*mask_bytes)(CudaSession* session, const tg_mask_scores* scores);
  tg_status (*mask_select)(CudaSession* session, const tg_mask_scores* scores, const tg_mask_options* options,
                           tg_control* control, uint64_t* mask, CudaText error);
  tg_status (*mask_combine)(CudaSession* session, const tg_mask_sets* sets, int32_t operation, uint64_t* result, int64_t* entries,
                            CudaText error);
  tg_status (*mask_overlaps)(CudaSession* session, const tg_mask_sets* sets, int64_t* common, int64_t* memberships,
                             CudaText error);
  tg_status (*magnitude_histogram)(CudaSession* session, const tg_operand* matrix, const uint64_t* first, const uint64_t* second,
                                   int64_t* const* counts, CudaText error);
  tg_status (*magnitude_profile)(CudaSession* session, const tg_operand* matrix, const double* table, double* row_sums,
                                 double* column_sums, CudaText error);

  int64_t (*layer_slopes_bytes)(CudaSession* session, const tg_layer_samples* samples, const tg_direction* directions,
                                int64_t count);
  tg_status (*layer_slopes)(CudaSession* session, const tg_layer_samples* samples, const tg_direction* directions, int64_t count,
                            tg_control* control, double* slopes, double* squares, CudaText error);
  int64_t (*token_products_bytes)(CudaSession* session, const tg_matrix* left, const tg_matrix* right);
  tg_status (*token_products)(CudaSession* session, const tg_matrix* left, const double* weights, const tg_matrix* right,
                              tg_control* control, double* sums, CudaText error);

  // Its arrays are all on the device.
  tg_status (*displace)(CudaSession* session, const tg_displacement* displacement, void* displaced, double* rounding,
                        CudaText error);
  tg_status (*difference_gradients)(CudaSession* session, const tg_gradient_difference* difference, void* product,
                                    tg_difference_sums* sums, CudaText error);

  // Its elements and entries are all on the device.
  tg_status (*patch_extract)(CudaSession* session, const tg_patch_pair* pair, const tg_patch_entries* entries, int64_t* changed,
                             CudaText error);
  // `misplaced` receives the index of the first position that does not ascend or is not below `count`, or entries->count if there
  // is none. Nothing is written if there is one.
  tg_status (*patch_apply)(CudaSession* session, const tg_patch_entries* entries, void* target, int64_t count, int64_t* misplaced,
                           CudaText error);
  // Counts the differing elements in *differing. Positions are checked in the same way. Nothing is written to the target.
  tg_status (*patch_verify)(CudaSession* session, const tg_patch_entries* entries, const void* target, int64_t count,
                            int64_t* misplaced, int64_t* differing, CudaText error);
  tg_status (*patch_gaps)(CudaSession* session, uint32_t* positions, int64_t count, int64_t previous, CudaText error);
  // `summed` receives the number of positions before one that is too large. Nothing is written if there is one.
  tg_status (*patch_positions)(CudaSession* session, uint32_t* gaps, int64_t count, int64_t previous, int64_t* summed,
                               CudaText error);
  tg_status (*byte_planes)(CudaSession* session, const void* from, int64_t count, int32_t width, void* to, CudaText error);
  tg_status (*byte_elements)(CudaSession* session, const void* from, int64_t count, int32_t width, void* to, CudaText error);

  // Returns whether svd() solves matrix i of a batch. The CPU solves the others.
  int32_t (*svd_suits)(const CudaSvdBatch* batch, int64_t i);
  int64_t (*svd_bytes)(CudaSession* session, const CudaSvdBatch* batch);
  // Solves the matrices that are suitable. A result with the status NOT_CONVERGED is left to the CPU.
  tg_status (*svd)(CudaSession* session, const CudaSvdBatch* batch, tg_control* control, CudaText error);
};

using CudaFunctionsGetter = const CudaFunctions* (*)();

}  // namespace threegate

#endif  // THREEGATE_COMMON_CUDA_FUNCTIONS_H
