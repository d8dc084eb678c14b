#include "cpu/svd/truncated_svd.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "api/context.h"
#include "api/operand.h"
#include "common/control.h"

namespace threegate {
namespace {

constexpr int64_t kLongestSide = INT32_MAX;  // LAPACK sizes have 32 bits
constexpr int64_t kLongestWhole = 16384;     // short side of which a square may be stored
constexpr int64_t kLeastWhole = 256;         // that tests may choose instead
constexpr int64_t kLeastShareOfBlocks = 4;   // short side over rank, beyond it

// Tests set the variable, so that matrices of their size are solved by blocks.
int64_t longest_whole() {
  const char* given = std::getenv("THREEGATE_SVD_LONGEST_WHOLE");
  return given == nullptr ? kLongestWhole : std::clamp<int64_t>(std::strtoll(given, nullptr, 10), kLeastWhole, kLongestWhole);
}

struct Batch {
  const tg_operand* matrices;
  const tg_operand* subtracted;  // nullptr if nothing is subtracted
  int64_t count;
  const tg_svd_options* options;
  const tg_svd_start* starts;  // nullptr without starts
  tg_svd_result* results;
};

std::string name_of_start(int64_t i) { return "starts[" + std::to_string(i) + "]"; }

// The base and its vectors of the long side.
void require_base(const tg_matrix& matrix, const tg_svd_start& start, const std::string& name) {
  require_operand(start.base, name + ".base");
  require(start.base->values.rows == matrix.rows && start.base->values.columns == matrix.columns, (name + ".base").c_str(),
          std::to_string(start.base->values.rows) + " x " + std::to_string(start.base->values.columns),
          "it must have the shape of the matrix");
  require_matrix(start.images, name + ".images");
  require(start.images.dtype == TG_F64 || start.images.dtype == TG_F32, (name + ".images.dtype").c_str(),
          std::to_string(start.images.dtype), "allowed are TG_F64 (1) and TG_F32 (2)");
  require(start.images.columns == std::max(matrix.rows, matrix.columns), (name + ".images").c_str(),
          std::to_string(start.images.rows) + " x " + std::to_string(start.images.columns),
          "its rows must have the length of the long side");
  require(start.residual >= 0 && start.residual < 1, (name + ".residual").c_str(), std::to_string(start.residual),
          "it must not be below 0, and below 1");
}

void require_start(const Batch& batch, int64_t i) {
  const std::string name = name_of_start(i);
  const tg_svd_start& start = batch.starts[i];
  const int64_t short_side = std::min(batch.matrices[i].values.rows, batch.matrices[i].values.columns);
  require(start.values != nullptr, (name + ".values").c_str(), "NULL", "min(rows, columns) values are required");
  require_matrix(start.basis, name + ".basis");
  require(start.basis.dtype == TG_F64 || start.basis.dtype == TG_F32, (name + ".basis.dtype").c_str(),
          std::to_string(start.basis.dtype), "allowed are TG_F64 (1) and TG_F32 (2)");
  require(start.basis.rows == short_side && start.basis.columns == short_side, (name + ".basis").c_str(),
          std::to_string(start.basis.rows) + " x " + std::to_string(start.basis.columns),
          ("it must be " + std::to_string(short_side) + " x " + std::to_string(short_side)).c_str());
  require(batch.options[i].vectors == 1 && batch.results[i].spectrum == nullptr, ("options[" + std::to_string(i) + "]").c_str(),
          "without vectors or with a spectrum", "tracking needs vectors and no spectrum");
  if (start.base != nullptr) {
    require_base(batch.matrices[i].values, start, name);
  }
}

// Copies of starts, which are shorter in older headers.
std::vector<tg_svd_start> read_starts(const tg_svd_start* starts, int64_t count) {
  require(starts != nullptr || count == 0, "starts", "NULL", "count elements are required");
  const auto* next = reinterpret_cast<const uint8_t*>(starts);
  std::vector<tg_svd_start> copies;
  for (int64_t i = 0; i < count; ++i) {
    copies.push_back(read_struct(reinterpret_cast<const tg_svd_start*>(next), name_of_start(i).c_str()));
    next += copies.back().size;
  }
  return copies;
}

// What needs a square of the short side is limited.
void require_whole(const Batch& batch, int64_t i, const std::string& shape) {
  const int64_t short_side = std::min(batch.matrices[i].values.rows, batch.matrices[i].values.columns);
  if (short_side > kLongestWhole && (batch.results[i].spectrum != nullptr || batch.starts != nullptr ||
                                     kLeastShareOfBlocks * batch.options[i].rank > short_side)) {
    throw Error(TG_UNSUPPORTED, "matrices[" + std::to_string(i) + "] is " + shape + "; beyond a short side of " +
                                    std::to_string(kLongestWhole) +
                                    " there is no spectrum, no start, and a rank of at most a quarter of it");
  }
}

void require_request(const Batch& batch, int64_t i) {
  const std::string index = "[" + std::to_string(i) + "]";
  const tg_operand& matrix = batch.matrices[i];
  const tg_svd_options& options = batch.options[i];
  const tg_svd_result& result = batch.results[i];
  require_operand(&matrix, "matrices" + index);
  if (batch.subtracted != nullptr) {
    const tg_operand& other = batch.subtracted[i];
    require_operand(&other, "subtracted" + index);
    require(other.values.rows == matrix.values.rows && other.values.columns == matrix.values.columns,
            ("subtracted" + index).c_str(), std::to_string(other.values.rows) + " x " + std::to_string(other.values.columns),
            "it must have the shape of the matrix");
  }
  require_struct(&options, ("options" + index).c_str());
  require_struct(&result, ("results" + index).c_str());
  const int64_t rows = matrix.values.rows;
  const int64_t columns = matrix.values.columns;
  const std::string shape = std::to_string(rows) + " x " + std::to_string(columns);
  require(std::min(rows, columns) >= 1, ("matrices" + index).c_str(), shape, "a matrix without entries has no singular values");
  if (std::max(rows, columns) > kLongestSide) {
    throw Error(TG_UNSUPPORTED,
                "matrices" + index + " is " + shape + "; the sides may be at most " + std::to_string(kLongestSide));
  }
  require(options.rank >= 1 && options.rank <= std::min(rows, columns), ("options" + index + ".rank").c_str(),
          std::to_string(options.rank), ("allowed are 1 to " + std::to_string(std::min(rows, columns))).c_str());
  require(options.tolerance > 0 && options.tolerance < 1, ("options" + index + ".tolerance").c_str(),
          std::to_string(options.tolerance), "it must be above 0 and below 1");
  require(options.vectors == 0 || options.vectors == 1, ("options" + index + ".vectors").c_str(), std::to_string(options.vectors),
          "allowed are 0 and 1");
  require(result.values != nullptr, ("results" + index + ".values").c_str(), "NULL", "it must have room for rank values");
  require(options.vectors == 0 || (result.left != nullptr && result.right != nullptr),
          ("results" + index + ".left or right").c_str(), "NULL", "they must have room for the vectors");
  require(options.vectors == 1 || result.spectrum != nullptr, ("results" + index + ".spectrum").c_str(), "NULL",
          "values without vectors require a spectrum");
  require_whole(batch, i, shape);
}

void require_batch(const Batch& batch) {
  require(batch.count >= 0, "count", std::to_string(batch.count), "it must not be negative");
  require(batch.count == 0 || (batch.matrices != nullptr && batch.options != nullptr && batch.results != nullptr),
          "matrices, options or results", "NULL", "count elements of each are required");
  for (int64_t i = 0; i < batch.count; ++i) {
    require_request(batch, i);
    if (batch.starts != nullptr) {
      require_start(batch, i);
    }
  }
}

// The number of matrices that are solved at the same time. Fewer matrices than threads are solved one after the other, each by
// all threads.
int matrices_at_once(const ThreadPool& pool, const Batch& batch) { return batch.count < pool.threads() ? 1 : pool.threads(); }

// Workspace of one matrix at a time.
int64_t bytes_each(const Batch& batch) {
  int64_t bytes = 64;
  for (int64_t i = 0; i < batch.count; ++i) {
    bytes = std::max(
        bytes, svd::workspace_bytes(batch.matrices[i], batch.options[i], batch.starts == nullptr ? nullptr : batch.starts + i,
                                    batch.results[i], longest_whole()));
  }
  return bytes;
}

CudaSvdBatch for_device(const Batch& batch) {
  return {batch.matrices, batch.subtracted, batch.options, batch.starts, batch.results, batch.count};
}

// Solves on the device what the device can solve. A result with the status OK is done.
void solve_on_device(const CudaDevice& device, const Batch& batch, tg_control* control) {
  const CudaSvdBatch devices = for_device(batch);
  device.call(&CudaFunctions::svd, &devices, control);
}

// Solves the matrices that are not done yet. Returns false if the call was cancelled.
bool solve_all(ThreadPool& pool, SimdLevel level, const Batch& batch, tg_control* control, void* workspace) {
  const int64_t each = bytes_each(batch);
  std::atomic<int64_t> next{0};
  const auto take = [&](int thread) {
    void* own = static_cast<uint8_t*>(workspace) + thread * each;
    for (int64_t i = next++; i < batch.count && !is_cancelled(control); i = next++) {
      if (batch.results[i].status == TG_OK) {
        continue;
      }
      svd::truncated_svd(level, batch.matrices[i], batch.subtracted == nullptr ? nullptr : batch.subtracted + i, batch.options[i],
                         batch.starts == nullptr ? nullptr : batch.starts + i, longest_whole(), control, own, batch.results[i]);
      add_done(control, 1);
    }
  };
  if (matrices_at_once(pool, batch) == 1) {
    take(0);
  } else {
    pool.run(matrices_at_once(pool, batch), take);
  }
  return !is_cancelled(control);
}

void require_success(const Batch& batch) {
  for (int64_t i = 0; i < batch.count; ++i) {
    const std::string name = "matrices[" + std::to_string(i) + "]";
    const tg_svd_result& result = batch.results[i];
    if (result.status == TG_INVALID_ARGUMENT) {
      throw Error(TG_INVALID_ARGUMENT, name + " has an entry that is not finite");
    }
    if (result.status != TG_OK) {
      char text[160];
      std::snprintf(text, sizeof(text), ": residual %.1e, orthogonality %.1e, tolerance %.1e", result.residual,
                    result.orthogonality, batch.options[i].tolerance);
      throw Error(result.status, name + text);
    }
  }
}

void query(const tg_context* context, const Batch& batch, tg_workspace_size* workspace_size) {
  require_batch(batch);
  require_struct(workspace_size, "workspace_size");
  workspace_size->host_bytes = matrices_at_once(context->pool, batch) * bytes_each(batch);
  const CudaSvdBatch devices = for_device(batch);
  workspace_size->device_bytes =
      context->cuda != nullptr ? context->cuda->functions().svd_bytes(context->cuda->session(), &devices) : 0;
}

void solve(tg_context* context, const Batch& batch, tg_control* control, const tg_workspace* workspace) {
  require_batch(batch);
  if (control != nullptr) {
    require_struct(control, "control");
  }
  require_workspace(workspace, matrices_at_once(context->pool, batch) * bytes_each(batch));
  for (int64_t i = 0; i < batch.count; ++i) {
    const std::string index = "[" + std::to_string(i) + "]";
    require_own_device(*context, batch.matrices + i, "matrices" + index);
    require_own_device(*context, batch.subtracted == nullptr ? nullptr : batch.subtracted + i, "subtracted" + index);
  }
  begin_work(control, batch.count);
  for (int64_t i = 0; i < batch.count; ++i) {
    batch.results[i].status = TG_NOT_CONVERGED;
  }
  for (int64_t i = 0; i < batch.count && batch.starts != nullptr; ++i) {
    const tg_svd_start& start = batch.starts[i];
    require_on_host(*context, start.basis.data, name_of_start(i) + ".basis.data");
    if (start.base != nullptr) {
      require_operand_on_host(*context, start.base, name_of_start(i) + ".base");
      require_on_host(*context, start.images.data, name_of_start(i) + ".images.data");
    }
  }
  if (context->cuda != nullptr) {
    solve_on_device(*context->cuda, batch, control);
    for (int64_t i = 0; i < batch.count; ++i) {
      if (batch.results[i].status != TG_OK) {
        const std::string index = "[" + std::to_string(i) + "]";
        require_operand_on_host(*context, batch.matrices + i, "matrices" + index);
        require_operand_on_host(*context, batch.subtracted == nullptr ? nullptr : batch.subtracted + i, "subtracted" + index);
      }
    }
  }
  if (!solve_all(context->pool, context->simd, batch, control, workspace->host)) {
    throw Error(TG_CANCELLED, "cancelled");
  }
  for (int64_t i = 0; i < batch.count; ++i) {
    require_intact_operand(batch.matrices[i]);
    if (batch.subtracted != nullptr) {
      require_intact_operand(batch.subtracted[i]);
    }
    if (batch.starts != nullptr && batch.starts[i].base != nullptr) {
      require_intact_operand(*batch.starts[i].base);
    }
  }
  require_success(batch);
}

}  // namespace
}  // namespace threegate

extern "C" {

tg_status tg_svd_workspace(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                           const tg_svd_options* options, const tg_svd_result* results, tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    threegate::query(context, {matrices, subtracted, count, options, nullptr, const_cast<tg_svd_result*>(results)},
                     workspace_size);
  });
}

tg_status tg_svd(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                 const tg_svd_options* options, tg_control* control, const tg_workspace* workspace, tg_svd_result* results) {
  return threegate::guarded_call(context, [&] {
    threegate::solve(context, {matrices, subtracted, count, options, nullptr, results}, control, workspace);
  });
}

tg_status tg_svd_track_workspace(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                                 const tg_svd_options* options, const tg_svd_start* starts, const tg_svd_result* results,
                                 tg_workspace_size* workspace_size) {
  return threegate::guarded_call(context, [&] {
    const std::vector<tg_svd_start> copies = threegate::read_starts(starts, count);
    threegate::query(context, {matrices, subtracted, count, options, copies.data(), const_cast<tg_svd_result*>(results)},
                     workspace_size);
  });
}

tg_status tg_svd_track(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                       const tg_svd_options* options, const tg_svd_start* starts, tg_control* control,
                       const tg_workspace* workspace, tg_svd_result* results) {
  return threegate::guarded_call(context, [&] {
    const std::vector<tg_svd_start> copies = threegate::read_starts(starts, count);
    threegate::solve(context, {matrices, subtracted, count, options, copies.data(), results}, control, workspace);
  });
}

}  // extern "C"
