// The only symbol that libthreegate_cuda exports.
#include <cstdio>
#include <memory>
#include <string>

#include "common/cuda_functions.h"
#include "cuda/curvature/curvature.h"
#include "cuda/curvature/differences.h"
#include "cuda/diff/diff.h"
#include "cuda/mask/magnitudes.h"
#include "cuda/mask/selection.h"
#include "cuda/mask/sets.h"
#include "cuda/patch/patch.h"
#include "cuda/support/libraries.h"
#include "cuda/support/session.h"
#include "cuda/svd/truncated_svd.h"

namespace threegate::cuda {
namespace {

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

constexpr int kOldestMajor = 8;  // compute capability of the oldest code in this library

tg_status count_devices(int32_t* devices, CudaText name, CudaText error) noexcept {
  std::string message;
  tg_status status = TG_OK;
  *devices = 0;
  try {
    int driver = 0;
    int runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    int count = 0;
    const cudaError_t found = cudaGetDeviceCount(&count);
    if (found == cudaErrorInsufficientDriver || (driver > 0 && driver / 1000 < runtime / 1000)) {
      throw Error(TG_UNSUPPORTED, driver == 0
                                      ? "no NVIDIA driver is installed"
                                      : "the NVIDIA driver knows CUDA up to " + version(driver) + ", and this library needs " +
                                            version(runtime / 1000 * 1000) + " or later: update the driver");
    }
    if (found == cudaErrorNoDevice || (found == cudaSuccess && count == 0)) {
      throw Error(TG_UNSUPPORTED, "the NVIDIA driver finds no device");
    }
    check(found, "counting devices");
    // Counts the devices before the first one that is too old, because the index of a context is that of CUDA.
    for (int i = 0; i < count; ++i) {
      cudaDeviceProp properties{};
      check(cudaGetDeviceProperties(&properties, i), "the device's properties");
      if (properties.major < kOldestMajor) {
        message = std::string(properties.name) + " has compute capability " + std::to_string(properties.major) + "." +
                  std::to_string(properties.minor) + ", and this library needs 8.0 or later";
        break;
      }
      if (i == 0) {
        constexpr double kGib = 1 << 30;
        char text[160];
        std::snprintf(text, sizeof(text), "%.80s, compute capability %d.%d, %.0f GiB", properties.name, properties.major,
                      properties.minor, static_cast<double>(properties.totalGlobalMem) / kGib);
        copy_text(text, name.text, name.capacity);
      }
      ++*devices;
    }
  } catch (...) {
    status = describe_current_exception(message);
  }
  copy_text(message, error.text, error.capacity);
  return status;
}

tg_status open(int32_t device, const Parallel* parallel, CudaSession** session, CudaText error) noexcept {
  std::string message;
  tg_status status = TG_OK;
  try {
    const DeviceScope scope(device);
    *session = std::make_unique<CudaSession>(device, *parallel).release();
  } catch (...) {
    status = describe_current_exception(message);
  }
  copy_text(message, error.text, error.capacity);
  return status;
}

void close(CudaSession* session) noexcept {
  std::unique_ptr<CudaSession> owned(session);
  int previous = 0;
  cudaGetDevice(&previous);
  cudaSetDevice(owned->device);
  for (auto& slot : owned->slots) {
    cudaStreamSynchronize(slot.stream.get());
  }
  // Memory, streams and libraries are released while their device is the current one.
  owned.reset();
  cudaSetDevice(previous);
}

tg_status set_stream(CudaSession* session, void* stream, CudaText error) noexcept {
  return reported(session, error, [&] { session->set_stream(static_cast<cudaStream_t>(stream)); });
}

tg_status set_libraries(const char* path) noexcept {
  try {
    return set_library_path(path) ? TG_OK : TG_UNSUPPORTED;
  } catch (...) {
    std::string message;
    return describe_current_exception(message);
  }
}

int32_t place_of(CudaSession* session, const void* pointer, int32_t* device) noexcept {
  const cudaPointerAttributes attributes = attributes_of(pointer);
  // Managed memory is on every device.
  *device = attributes.type == cudaMemoryTypeDevice ? attributes.device : session->device;
  return is_on_device(pointer) ? 1 : 0;
}

int64_t diff_workspace(CudaSession*, const CudaDiff* items, int64_t count) { return diff_bytes(items, count); }

tg_status run_diff(CudaSession* session, const CudaDiff* items, int64_t count, tg_control* control, CudaText error) noexcept {
  return guarded(session, error, [&] { diff(*session, items, count, control); });
}

int64_t mask_workspace(CudaSession*, const tg_mask_scores* scores) { return mask_bytes(*scores); }

tg_status run_select(CudaSession* session, const tg_mask_scores* scores, const tg_mask_options* options, tg_control* control,
                     uint64_t* mask, CudaText error) noexcept {
  return guarded(session, error, [&] { select(*session, *scores, *options, control, mask); });
}

tg_status run_combine(CudaSession* session, const tg_mask_sets* sets, int32_t operation, uint64_t* result, int64_t* entries,
                      CudaText error) noexcept {
  return guarded(session, error, [&] { *entries = combine(*session, *sets, operation, result); });
}

tg_status run_overlaps(CudaSession* session, const tg_mask_sets* sets, int64_t* common, int64_t* memberships,
                       CudaText error) noexcept {
  return guarded(session, error, [&] { overlaps(*session, *sets, common, memberships); });
}

tg_status run_histogram(CudaSession* session, const tg_operand* matrix, const uint64_t* first, const uint64_t* second,
                        int64_t* const* counts, CudaText error) noexcept {
  return guarded(session, error, [&] { magnitude_histogram(*session, *matrix, first, second, counts); });
}

tg_status run_profile(CudaSession* session, const tg_operand* matrix, const double* table, double* row_sums, double* column_sums,
                      CudaText error) noexcept {
  return guarded(session, error, [&] { magnitude_profile(*session, *matrix, table, row_sums, column_sums); });
}

int64_t slopes_workspace(CudaSession*, const tg_layer_samples* samples, const tg_direction* directions, int64_t count) {
  return slopes_bytes(*samples, directions, count);
}

tg_status run_slopes(CudaSession* session, const tg_layer_samples* samples, const tg_direction* directions, int64_t count,
                     tg_control* control, double* out, double* squares, CudaText error) noexcept {
  return guarded(session, error, [&] { slopes(*session, *samples, directions, count, control, out, squares); });
}

int64_t products_workspace(CudaSession*, const tg_matrix* left, const tg_matrix* right) { return products_bytes(*left, *right); }

tg_status run_products(CudaSession* session, const tg_matrix* left, const double* weights, const tg_matrix* right,
                       tg_control* control, double* sums, CudaText error) noexcept {
  return guarded(session, error, [&] { products(*session, *left, weights, *right, control, sums); });
}

tg_status run_displace(CudaSession* session, const tg_displacement* displacement, void* displaced, double* rounding,
                       CudaText error) noexcept {
  return guarded(session, error, [&] { *rounding = displace(*session, *displacement, displaced); });
}

tg_status run_difference(CudaSession* session, const tg_gradient_difference* difference, void* product, tg_difference_sums* sums,
                         CudaText error) noexcept {
  return guarded(session, error, [&] { difference_gradients(*session, *difference, product, *sums); });
}

tg_status run_extract(CudaSession* session, const tg_patch_pair* pair, const tg_patch_entries* entries, int64_t* changed,
                      CudaText error) noexcept {
  return guarded(session, error, [&] { *changed = extract(*session, *pair, *entries); });
}

tg_status run_apply(CudaSession* session, const tg_patch_entries* entries, void* target, int64_t count, int64_t* misplaced,
                    CudaText error) noexcept {
  return guarded(session, error, [&] { *misplaced = apply(*session, *entries, target, count); });
}

tg_status run_verify(CudaSession* session, const tg_patch_entries* entries, const void* target, int64_t count, int64_t* misplaced,
                     int64_t* differing, CudaText error) noexcept {
  return guarded(session, error, [&] { *misplaced = verify(*session, *entries, target, count, *differing); });
}

tg_status run_gaps(CudaSession* session, uint32_t* positions, int64_t count, int64_t previous, CudaText error) noexcept {
  return guarded(session, error, [&] { gaps(*session, positions, count, previous); });
}

tg_status run_positions(CudaSession* session, uint32_t* gaps, int64_t count, int64_t previous, int64_t* summed,
                        CudaText error) noexcept {
  return guarded(session, error, [&] { *summed = positions(*session, gaps, count, previous); });
}

tg_status run_planes(CudaSession* session, const void* from, int64_t count, int32_t width, void* to, CudaText error) noexcept {
  return guarded(session, error, [&] { byte_planes(*session, from, count, width, to); });
}

tg_status run_elements(CudaSession* session, const void* from, int64_t count, int32_t width, void* to, CudaText error) noexcept {
  return guarded(session, error, [&] { byte_elements(*session, from, count, width, to); });
}

int32_t suits(const CudaSvdBatch* batch, int64_t i) { return svd_suits(*batch, i) ? 1 : 0; }

int64_t svd_workspace(CudaSession*, const CudaSvdBatch* batch) { return svd_bytes(*batch); }

tg_status run_svd(CudaSession* session, const CudaSvdBatch* batch, tg_control* control, CudaText error) noexcept {
  return guarded(session, error, [&] { svd(*session, *batch, control); });
}

CudaFunctions make_functions() {
  CudaFunctions functions{};
  functions.size = sizeof(functions);
  functions.abi_version = TG_ABI_VERSION;
  functions.count_devices = count_devices;
  functions.open = open;
  functions.close = close;
  functions.set_stream = set_stream;
  functions.set_library_path = set_libraries;
  functions.place_of = place_of;
  functions.diff_bytes = diff_workspace;
  functions.diff = run_diff;
  functions.mask_bytes = mask_workspace;
  functions.mask_select = run_select;
  functions.mask_combine = run_combine;
  functions.mask_overlaps = run_overlaps;
  functions.magnitude_histogram = run_histogram;
  functions.magnitude_profile = run_profile;
  functions.layer_slopes_bytes = slopes_workspace;
  functions.layer_slopes = run_slopes;
  functions.token_products_bytes = products_workspace;
  functions.token_products = run_products;
  functions.displace = run_displace;
  functions.difference_gradients = run_difference;
  functions.patch_extract = run_extract;
  functions.patch_apply = run_apply;
  functions.patch_verify = run_verify;
  functions.patch_gaps = run_gaps;
  functions.patch_positions = run_positions;
  functions.byte_planes = run_planes;
  functions.byte_elements = run_elements;
  functions.svd_suits = suits;
  functions.svd_bytes = svd_workspace;
  functions.svd = run_svd;
  return functions;
}

const CudaFunctions kFunctions = make_functions();

}  // namespace
}  // namespace threegate::cuda

extern "C" TG_API const threegate::CudaFunctions* tg_cuda_functions() { return &threegate::cuda::kFunctions; }
