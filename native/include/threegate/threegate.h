/*
 * Threegate: the public header of the native library. It is valid C11 and C++17.
 *
 * Conventions
 *  - Only int32_t, int64_t, double, pointers, and structs behind pointers cross this boundary.
 *  - Every function that can fail returns a tg_status. tg_error_message copies out the text of the last failure of a
 *    context. The text names the argument, its value and the allowed values. Arguments are checked before any work.
 *  - Structs begin with `size`, which the caller sets to sizeof(struct). A struct that grows keeps its older sizes. Any
 *    other size is refused with TG_INVALID_ARGUMENT. Structs that are only parts of others or elements of arrays have no
 *    `size`.
 *  - The caller allocates the outputs. Data pointers may have any alignment. Pointers to structs are 8-byte aligned.
 *  - A context runs one call at a time. A second, concurrent call returns TG_BUSY. Different contexts are independent.
 *  - The library never prints, never exits and lets no C++ exception out.
 *  - All matrices are row-major. A mask has one bit per entry; tg_diff_profiles.mask describes its layout.
 *
 * Devices
 *  - In a context of a CUDA device these functions run on the device: tg_diff, tg_mask_select, tg_mask_combine,
 *    tg_mask_overlaps, tg_magnitude_histogram, tg_magnitude_profile, tg_layer_slopes and tg_token_products.
 *    tg_svd and tg_svd_track run there as far as their comments say. tg_displace, tg_difference_gradients, tg_patch_*
 *    and tg_byte_* run there on data that lies in device memory. All other functions run on the CPU.
 *  - A tg_operand or tg_matrix of the functions that run on the device may lie in host memory, from which it is
 *    streamed, or in device memory. The same holds for the masks that they read or write. All other data is in host
 *    memory.
 *  - Device memory belongs to the context. It is kept from call to call until the context is destroyed. `device_bytes`
 *    of a workspace query is what a call takes in addition to two buffers of at most 64 MiB each. If less memory is
 *    available, the call does its work in parts where it can.
 *  - A call on the device begins after the work that the context's stream has at that time. It has ended when it returns, so
 *    work of any stream may then use its results. The context's stream is the legacy default stream of the device, which
 *    includes all streams that synchronise with it, or that of tg_context_set_stream. The call does not wait for work of
 *    other streams, nor for copies that write host memory.
 *  - Device memory is that of the context's device, or managed memory. That of another device is refused.
 *  - After an error that ends the work of this process on a device, such as an illegal address, every later call of the
 *    context returns TG_DEVICE. Any other error concerns one call.
 *
 * Sources: "P" is arXiv 2511.08567, "The Path Not Taken: RLVR Provably Learns Off the Principals". Other sources are
 * cited in full.
 */
#ifndef THREEGATE_THREEGATE_H
#define THREEGATE_THREEGATE_H

#include <stdint.h>

#if defined(__GNUC__)
#define TG_API __attribute__((visibility("default")))
#else
#define TG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The version of this interface. It is raised with every change of a declaration below, additions included. A program runs
 * with every library of the same SONAME whose version is not lower than that of the header that the program was compiled
 * with. Changes that would break a compiled program change the SONAME.
 */
#define TG_ABI_VERSION 21

/* ---------------------------------------------------------------- status ------------------------------------------ */

/** The outcome of a call: one of the status constants. They are never renumbered. */
typedef int32_t tg_status;
/** The call succeeded. */
#define TG_OK 0
/** An argument is not allowed. Nothing was computed unless the comment of the function says otherwise. */
#define TG_INVALID_ARGUMENT 1
/** The machine or the library does not support what was asked for. */
#define TG_UNSUPPORTED 2
/** Memory could not be allocated. */
#define TG_OUT_OF_MEMORY 3
/** A device failed or has too little memory. */
#define TG_DEVICE 4
/** A file could not be read, or has changed while it was mapped. */
#define TG_IO 5
/** Another call is running on the context. */
#define TG_BUSY 6
/** The caller stopped the call through tg_control.cancel. */
#define TG_CANCELLED 7
/** A result did not reach its tolerance. The result holds what was reached. */
#define TG_NOT_CONVERGED 8
/** The library has a bug, or a library that it loads is missing or broken. */
#define TG_INTERNAL 9

/* ---------------------------------------------------------------- dtypes and matrices ----------------------------- */

/** The type of stored numbers: one of the dtype constants. They are never renumbered. */
typedef int32_t tg_dtype;
/** IEEE 754 binary64. */
#define TG_F64 1
/** IEEE 754 binary32. */
#define TG_F32 2
/** IEEE 754 binary16. */
#define TG_F16 3
/** bfloat16: the upper 16 bits of a binary32. */
#define TG_BF16 4
/** OCP E4M3 "FN": it has no infinity, 0x7f and 0xff are NaN, and the largest finite value is 448. */
#define TG_F8_E4M3 5
/** OCP E5M2: infinities and NaN are as in IEEE 754. */
#define TG_F8_E5M2 6

/** A read-only, row-major matrix. It is a part of other structs and has no `size`. */
typedef struct tg_matrix {
  /** The first entry. It may be NULL if the matrix is empty. */
  const void* data;
  /** The number of rows. */
  int64_t rows;
  /** The number of columns. */
  int64_t columns;
  /** The distance between the beginnings of two rows, in elements. It is at least `columns`. */
  int64_t row_stride;
  /** The type of the entries. */
  tg_dtype dtype;
  /** Must be 0. */
  int32_t reserved;
} tg_matrix;

/**
 * A low-rank term, scale * left * right. Both factors are of type F32, F16, BF16 or F64. It is a part of other structs
 * and has no `size`.
 */
typedef struct tg_low_rank {
  /** The left factor, rows x rank. */
  tg_matrix left;
  /** The right factor, rank x columns. */
  tg_matrix right;
  /** The factor of the product. */
  double scale;
} tg_low_rank;

/**
 * What a kernel reads as one matrix: stored values, optionally times one float32 scale per block (quantised
 * checkpoints), and optionally plus low-rank terms (adapters). Scaled values are float32 products. Values with low-rank
 * terms are computed in float64, tile by tile, and are never stored as a whole.
 */
typedef struct tg_operand {
  /** sizeof(tg_operand). */
  int64_t size;
  /** The stored values. */
  tg_matrix values;
  /** F32, ceil(rows / block_rows) x ceil(columns / block_columns). Without scales its data is NULL. */
  tg_matrix block_scale;
  /** The number of rows of a block. */
  int64_t block_rows;
  /** The number of columns of a block. */
  int64_t block_columns;
  /** An array of low_rank_count terms, or NULL. */
  const tg_low_rank* low_rank;
  /** The number of low-rank terms. */
  int64_t low_rank_count;
} tg_operand;

/* ---------------------------------------------------------------- control and workspace --------------------------- */

/**
 * Cancellation and progress of a call. The caller owns it. The caller may write `cancel` and read `done` at any time
 * from any thread. Both are accessed atomically.
 */
typedef struct tg_control {
  /** sizeof(tg_control). */
  int64_t size;
  /** Set it to a value other than 0 to stop the call, which then returns TG_CANCELLED soon. */
  int32_t cancel;
  /** Not used. */
  int32_t reserved;
  /** The units of work that the call has finished. The unit depends on the function; for tg_diff it is an entry. */
  int64_t done;
  /** The units of work of the whole call. */
  int64_t total;
} tg_control;

/** The memory that a call needs in addition to its inputs and outputs, as a workspace query returns it. */
typedef struct tg_workspace_size {
  /** sizeof(tg_workspace_size). */
  int64_t size;
  /** Bytes of host memory. */
  int64_t host_bytes;
  /** Bytes of device memory, which the context allocates itself. */
  int64_t device_bytes;
} tg_workspace_size;

/** The memory that the caller gives a call to work in. */
typedef struct tg_workspace {
  /** sizeof(tg_workspace). */
  int64_t size;
  /** Host memory, 64-byte aligned. */
  void* host;
  /** Bytes at `host`, at least host_bytes of the query. */
  int64_t host_bytes;
  /** Not used, because device memory belongs to the context. */
  void* device;
  /** Not used. */
  int64_t device_bytes;
} tg_workspace;

/* ---------------------------------------------------------------- context ----------------------------------------- */

/** The worker threads, the device memory and the last error of a caller. */
typedef struct tg_context tg_context;

/** The CPU. */
#define TG_CPU 0
/** A CUDA device. */
#define TG_CUDA 1

/** The options of tg_context_create. */
typedef struct tg_context_options {
  /** sizeof(tg_context_options). */
  int64_t size;
  /** The threads of CPU kernels, including the caller's. 0 means one per hardware thread that this process may use. */
  int32_t threads;
  /** TG_CPU or TG_CUDA. */
  int32_t device;
  /** The index of the CUDA device, 0 to cuda_devices - 1. */
  int32_t device_index;
  /** Not used. */
  int32_t reserved;
} tg_context_options;

/** No vector instructions beyond those of x86-64-v2, or on other architectures beyond what a compiler makes of loops. */
#define TG_SIMD_SCALAR 0
/** AVX2, FMA, F16C and BMI2. */
#define TG_SIMD_AVX2 1
/** AVX-512 F, BW, DQ, VL and VBMI2 (Ice Lake, Zen 4 and later). */
#define TG_SIMD_AVX512 2
/** NEON (Advanced SIMD) of AArch64, and its SHA-2 instructions where the processor has them. */
#define TG_SIMD_NEON 3

/** What the library can use on this machine. Texts are terminated by a zero byte. */
typedef struct tg_capabilities {
  /** sizeof(tg_capabilities). */
  int64_t size;
  /** The number of hardware threads that this process may use. */
  int32_t hardware_threads;
  /** TG_SIMD_*: the instruction set that the kernels of a new context use. */
  int32_t simd;
  /** The number of usable CUDA devices. */
  int32_t cuda_devices;
  /** Not used. */
  int32_t reserved;
  /** The physical memory in bytes. */
  int64_t memory_bytes;
  /** The version of the library. */
  char version[32];
  /** The model name of the CPU. */
  char cpu[96];
  /** The reason why no higher SIMD level is used. It is empty if the highest one is used. */
  char simd_reason[256];
  /** The reason why no CUDA device is used. It is empty if one is used. */
  char cuda_reason[256];
  /** The name and the version of the BLAS library. */
  char blas[160];
  /** The name, compute capability and memory of the first CUDA device. It is empty if there is none. */
  char cuda[160];
  /** The path of the BLAS library. Since version 17. */
  char blas_file[256];
} tg_capabilities;

/** Returns the TG_ABI_VERSION of the library. It must not be lower than that of the header; check it before any other call. */
TG_API int32_t tg_abi_version(void);

/**
 * Fills `capabilities` with what the library can use on this machine. It needs no context. The struct of version 16, which
 * ends before blas_file, is also accepted.
 */
TG_API tg_status tg_capabilities_query(tg_capabilities* capabilities);

/**
 * Sets the directories in which cuBLAS and cuSOLVER are looked for, separated by colons, such as those into which a package
 * unpacked them. NULL is for those of the system, which is the default. The environment variable THREEGATE_CUDA_LIBRARIES
 * has precedence. The libraries are loaded once in a process, when a context of a CUDA device first needs them. Returns
 * TG_UNSUPPORTED if no CUDA device can be used, or if they were loaded from another place before. Since version 20.
 */
TG_API tg_status tg_set_cuda_library_path(const char* path);

/**
 * Creates a context and its worker threads. If that fails, `error` receives the reason: at most `error_capacity` bytes
 * including the terminating zero. `error` may be NULL.
 *
 * The environment variable THREEGATE_SIMD selects the instruction set of the CPU kernels: scalar, avx2 or avx512 on
 * x86-64, and scalar or neon on AArch64. A level that the machine lacks leads to TG_UNSUPPORTED. It is never replaced by
 * another one.
 */
TG_API tg_status tg_context_create(const tg_context_options* options, tg_context** context, char* error, int64_t error_capacity);

/** Frees a context. `context` may be NULL. Returns TG_BUSY while a call is running on the context. */
TG_API tg_status tg_context_destroy(tg_context* context);

/** Copies the text of the last failure of the context, truncated to capacity - 1 bytes and terminated by a zero byte. */
TG_API tg_status tg_error_message(tg_context* context, char* buffer, int64_t capacity);

/** Writes the number of CPU threads of the context to `threads`. */
TG_API tg_status tg_context_threads(tg_context* context, int32_t* threads);

/**
 * Sets the control of those calls of the context that take none; NULL for none. Only `cancel` is read. The caller keeps the
 * control until another one is set or the context is destroyed. A call on the CPU that is cancelled leaves its outputs
 * undefined. tg_patch_apply, tg_patch_gaps, tg_patch_positions, tg_byte_planes and tg_byte_elements always finish. Since
 * version 17.
 */
TG_API tg_status tg_context_set_control(tg_context* context, tg_control* control);

/**
 * Sets the stream whose work the later calls of the context wait for: a cudaStream_t or CUstream of the context's device. NULL
 * is the legacy default stream, as in a new context. cudaStreamPerThread is that of the thread of each call. The caller keeps
 * the stream until another one is set or the context is destroyed. A context of the CPU takes NULL only. Since version 20.
 */
TG_API tg_status tg_context_set_stream(tg_context* context, void* stream);

/* ---------------------------------------------------------------- quantised weights ------------------------------- */

/**
 * A tg_dtype: `data` of the matrix points to a tg_codes. Only tg_diff reads it, on the CPU, as the values of an operand. Since
 * version 18.
 */
#define TG_CODES 7

/** A row of codes after the other. In a byte, the first of two codes of four bits is in the low half. */
#define TG_CODES_LOW_FIRST 1
/** A row of codes after the other. In a byte, the first of two codes is in the high half (bitsandbytes). */
#define TG_CODES_HIGH_FIRST 2
/** A word of 32 bits has the codes of eight columns of one row, the first in the low bits. Words of rows lie side by side (GPTQ).
 */
#define TG_CODES_DOWN 3
/** A word of 32 bits has the codes of eight rows of one column, the first in the low bits. Words of rows lie side by side. */
#define TG_CODES_ACROSS 4
/** As TG_CODES_ACROSS, but the code of row i of a word is at place 0, 4, 1, 5, 2, 6, 3, 7 (AWQ). */
#define TG_CODES_AWQ 5

/**
 * A matrix of quantised weights: entry = (table[code] - zero) * scale, in float32. The scale and the zero belong to a group of
 * columns, and to scale_rows rows. Since version 18.
 */
typedef struct tg_codes {
  /** sizeof(tg_codes). */
  int64_t size;
  /** The word or byte with the first code. It may have any alignment. */
  const void* codes;
  /** The bytes that may be read at `codes`. */
  int64_t code_bytes;
  /** The number of rows. */
  int64_t rows;
  /** The number of columns. */
  int64_t columns;
  /** Bytes between two rows of codes, for TG_CODES_DOWN between two rows of words, or else between two columns of words. */
  int64_t stride;
  /** The bits of a code: 4, or 8 with TG_CODES_LOW_FIRST. */
  int32_t bits;
  /** TG_CODES_*. */
  int32_t order;
  /** The place of row 0 in its word, or further down, for TG_CODES_ACROSS and TG_CODES_AWQ. Otherwise 0. */
  int64_t first_row;
  /** The number that each code stands for: 16 or 256 numbers. */
  const float* table;
  /**
   * The scales. Those of row i and group g are at (i / scale_rows) * scale_stride + g for codes in rows, and at
   * g * scale_stride + (first_row + i) / scale_rows for the other orders.
   */
  const float* scales;
  /** What is subtracted before the product, in places like those of `scales`. NULL stands for zeros. */
  const float* zeros;
  /** The distance between two rows of scales, in elements. */
  int64_t scale_stride;
  /** The rows that share a scale. */
  int64_t scale_rows;
  /** The number of groups. */
  int64_t groups;
  /** The columns of a group, if group_of is NULL. */
  int64_t group_columns;
  /** The group of each column, or NULL. */
  const int32_t* group_of;
} tg_codes;

/**
 * Computes the entries of quantised weights: rows x columns, float32, row-major. The result has the same bits with every
 * instruction set and for any number of threads. It runs on the CPU. Since version 18.
 */
TG_API tg_status tg_codes_decode(tg_context* context, const tg_codes* codes, float* entries);

/* ---------------------------------------------------------------- memory ------------------------------------------ */

/** Allocates `bytes` bytes (0 or more) that are 64-byte aligned and not initialised. */
TG_API tg_status tg_memory_allocate(int64_t bytes, void** memory);

/** Frees memory from tg_memory_allocate. `memory` may be NULL. */
TG_API tg_status tg_memory_free(void* memory);

/**
 * Writes the number of live objects of this library to `objects` and the bytes of its live memory blocks to `bytes`.
 * Objects are memory blocks, contexts and mapped files.
 */
TG_API tg_status tg_live_objects(int64_t* objects, int64_t* bytes);

/* ---------------------------------------------------------------- mapped files ------------------------------------ */

/** A file that is mapped into memory for reading. */
typedef struct tg_mapped_file tg_mapped_file;

/**
 * Maps a file for reading. Its pages are read when they are first used. `data` receives the address of the first byte,
 * or NULL for an empty file, and `bytes` the length. `path` is in the encoding of the file system.
 *
 * If a part of the file disappears while it is mapped, because another process truncates it, that part reads as zeros.
 * The kernel that touched it and tg_mapped_file_check then return TG_IO.
 */
TG_API tg_status tg_mapped_file_open(tg_context* context, const char* path, tg_mapped_file** file, const void** data,
                                     int64_t* bytes);

/** Returns TG_IO if the size or the modification time of the file has changed, or mapped bytes were lost, since it was opened. */
TG_API tg_status tg_mapped_file_check(tg_context* context, tg_mapped_file* file);

/**
 * Says that [offset, offset + bytes) will be read soon (`needed` is 1 or 2) or no longer (0).
 *
 * With 2, the call reads the range past the page cache, into memory of the process that replaces the pages of the mapping. That
 * is for files that the cache could not keep. The memory is released when the range is no longer needed, or with the file. Where
 * a file system has no direct reads, 2 is the same as 1. Several threads may call this for one file.
 */
TG_API tg_status tg_mapped_file_advise(tg_context* context, tg_mapped_file* file, int64_t offset, int64_t bytes, int32_t needed);

/**
 * Copies [offset, offset + bytes) of the file to `destination` with read calls instead of through the mapping. Use it for
 * data that must not change while it is read, such as a header. Returns TG_IO if the file has become shorter or the
 * device fails.
 */
TG_API tg_status tg_mapped_file_read(tg_context* context, tg_mapped_file* file, int64_t offset, int64_t bytes, void* destination);

/** Unmaps and closes a file. `file` may be NULL. */
TG_API tg_status tg_mapped_file_close(tg_mapped_file* file);

/* ---------------------------------------------------------------- comparison of weights --------------------------- */

/** The number of bins of tg_diff_result.ulp_histogram. */
#define TG_ULP_BINS 15

/** The options of tg_diff. There are none yet. */
typedef struct tg_diff_options {
  /** sizeof(tg_diff_options). */
  int64_t size;
} tg_diff_options;

/**
 * Optional outputs of tg_diff for one pair. A pointer that is NULL is not filled. Outputs are overwritten, not added to.
 * An entry is changed in the sense of tg_diff_result.changed.
 */
typedef struct tg_diff_profiles {
  /** sizeof(tg_diff_profiles). */
  int64_t size;
  /** The number of changed entries of each row: `rows` elements. */
  int64_t* row_changed;
  /** The number of changed entries of each column: `columns` elements. */
  int64_t* column_changed;
  /**
   * The mask of changed entries, one bit per entry. Bit (j mod 64) of word i * ceil(columns / 64) + j / 64 belongs to entry
   * (i, j). Bits beyond the columns are 0.
   */
  uint64_t* mask;
  /** The words at `mask`, at least rows * ceil(columns / 64). */
  int64_t mask_words;
  /**
   * The number of changed entries in each cell of a map_rows x map_columns grid. Entry (i, j) belongs to cell
   * (i * map_rows / rows, j * map_columns / columns), rounded down.
   */
  int64_t* map;
  /** The rows of the map, 1 to `rows`. */
  int64_t map_rows;
  /** The columns of the map, 1 to `columns`. */
  int64_t map_columns;
} tg_diff_profiles;

/**
 * The counts and sums of one pair. `a` is an entry of the base and `b` the same entry of the tuned matrix, as stored or as
 * formed by the operand. A and B are `a` and `b` rounded to bf16: to nearest, ties to even, overflow to infinity, and a NaN
 * of another dtype to 0x7fc0. Sums are in float64 and run over the entries where `a` and `b` are both finite. Their relative
 * error is at most the number of entries times 2^-53.
 */
typedef struct tg_diff_result {
  /** sizeof(tg_diff_result). */
  int64_t size;
  /** The number of entries. */
  int64_t total;
  /** Entries where A and B differ. +0 equals -0 and NaN equals NaN (P, Definitions 2.1 and 2.2 with eta < 2^-8). */
  int64_t changed;
  /** Entries where A and B differ as bit patterns. */
  int64_t changed_bits;
  /** Entries where a and b differ. +0 equals -0 and NaN equals NaN. */
  int64_t changed_stored;
  /** Entries that count in changed_stored but not in `changed`: changes that rounding to bf16 hides. */
  int64_t hidden;
  /** Entries where a or b is infinite or NaN. */
  int64_t non_finite;
  /** Entries where both are finite and a * b < 0. */
  int64_t sign_flips;
  /**
   * The histogram of |b - a|, rounded to float64, in units of the bf16 spacing at a. It covers finite entries only. The
   * bins are 0, (0, 1/4], (1/4, 1/2], (1/2, 1], (1, 2], (2, 4], ..., (512, 1024], and above 1024. The spacing is 2^(e - 7),
   * where e is the exponent of a, and at least 2^-133.
   */
  int64_t ulp_histogram[TG_ULP_BINS];
  /** The sum of a^2. */
  double base_squares;
  /** The sum of (b - a)^2. */
  double delta_squares;
  /** The sum of (b - a) * a. */
  double delta_dot_base;
  /** The maximum of |b - a|, or 0 if there is no finite entry. */
  double max_abs_delta;
} tg_diff_result;

/** Writes the memory that tg_diff needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_diff_workspace(tg_context* context, const tg_operand* bases, const tg_operand* tuned, int64_t count,
                                   const tg_diff_options* options, const tg_diff_profiles* profiles,
                                   tg_workspace_size* workspace_size);

/**
 * Compares `count` pairs of matrices in one pass over their entries. The two matrices of a pair have the same shape and
 * any dtypes, and may be empty. `values` of an operand may be TG_CODES, of the same shape as its tg_codes; it then has no
 * other scales and no low-rank terms. Entries are decoded as tg_codes_decode does, block by block. If both sides have codes in
 * one layout with one table, or float8 numbers with scales in the same blocks, only the entries that differ are decoded.
 * `profiles` has one element per pair, or is NULL if none is wanted. control->done counts entries.
 *
 * Counts are the same on every device, at every SIMD level and for any number of threads. Sums are the same for any number
 * of threads, and agree within a relative 1e-12 between SIMD levels and devices. A CUDA device compares all pairs in as
 * few launches as memory allows, and in one launch if all operands are in device memory.
 */
TG_API tg_status tg_diff(tg_context* context, const tg_operand* bases, const tg_operand* tuned, int64_t count,
                         const tg_diff_options* options, tg_control* control, const tg_workspace* workspace,
                         const tg_diff_profiles* profiles, tg_diff_result* results);

/* ---------------------------------------------------------------- singular values --------------------------------- */

/** The Gram matrix of the short side in float32. */
#define TG_SVD_GRAM_SINGLE 1
/** The Gram matrix of the short side in float64. */
#define TG_SVD_GRAM_DOUBLE 2
/** The triangular factor of a QR decomposition, in float64. */
#define TG_SVD_TRIANGLE 3
/** Refinement of the singular vectors of a matrix nearby, see tg_svd_track. */
#define TG_SVD_TRACKED 4
/** Block Lanczos, for few triplets of a large matrix and for all matrices with a short side above 16384. */
#define TG_SVD_BLOCK_LANCZOS 5
/** Subspace iteration with Chebyshev filters in float32, on a CUDA device. */
#define TG_SVD_CHEBYSHEV 6

/** The options of tg_svd and tg_svd_track for one matrix. */
typedef struct tg_svd_options {
  /** sizeof(tg_svd_options). */
  int64_t size;
  /** k, the number of leading triplets: 1 to min(rows, columns). */
  int64_t rank;
  /** The upper bound for residual, orthogonality and spectrum_error of the result. */
  double tolerance;
  /** 1 for values and vectors, 0 for values alone, which are then taken from the spectrum. */
  int32_t vectors;
  /** Must be 0. */
  int32_t reserved;
} tg_svd_options;

/**
 * The singular triplets of one matrix. The caller allocates the arrays. All values are in float64 and belong to the matrix
 * itself, whatever precision was used to find them.
 */
typedef struct tg_svd_result {
  /** sizeof(tg_svd_result). */
  int64_t size;
  /** `rank` singular values, descending. */
  double* values;
  /** rank x rows: row i is the left singular vector u_i. NULL without vectors. */
  double* left;
  /** rank x columns: row i is the right singular vector v_i. NULL without vectors. */
  double* right;
  /** All min(rows, columns) singular values, descending. NULL if they are not wanted. */
  double* spectrum;
  /**
   * The maximum over i of |A v_i - sigma_i u_i| and |A^T u_i - sigma_i v_i|, divided by sigma_1. It certifies that A has
   * singular values within residual * sigma_1 of these. It is 0 without vectors. With 32 triplets or more it may be larger
   * than the maximum, because it then contains the rounding errors as sums of triplets with random signs show them. That
   * is an estimate, and not a bound for every matrix.
   */
  double residual;
  /** The largest entry of |U U^T - 1| and |V V^T - 1|. It is 0 without vectors. */
  double orthogonality;
  /**
   * An estimate of the largest error of the spectrum, divided by sigma_1. It is the rounding of a sum with as many terms as
   * the short side, divided by the smallest relative value if a Gram matrix was used. Proven bounds are larger, by a factor
   * of up to the long side.
   */
  double spectrum_error;
  /** TG_SVD_*: the method that reached the tolerance. */
  int32_t method;
  /**
   * The status of this matrix: TG_OK; TG_NOT_CONVERGED, where the result holds what was reached; or TG_INVALID_ARGUMENT if
   * an entry is not finite.
   */
  tg_status status;
} tg_svd_result;

/** Writes the memory that tg_svd needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_svd_workspace(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                                  const tg_svd_options* options, const tg_svd_result* results, tg_workspace_size* workspace_size);

/**
 * Computes leading singular triplets of `count` matrices of any shapes and dtypes, or of the differences
 * matrices[i] - subtracted[i]. `subtracted` may be NULL. Differences are formed as they are read. Entries are widened one
 * panel at a time and not stored as a whole, except for few triplets of a nearly square matrix with a short side below 2048.
 *
 * Beyond a short side of 16384 no matrix of its order is formed. The triplets come from a Krylov space whose memory is bounded
 * (Wu and Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems", 2000), and the workspace is
 * proportional to rank * (rows + columns). There a spectrum, a start, and a rank above a quarter of the short side are
 * TG_UNSUPPORTED, as is a side above 2^31 - 1 for any matrix. Tolerances below 1e-7 need singular values that are not as
 * small relative to the first one.
 *
 * Several matrices are solved at the same time, each by one thread. Fewer matrices than threads are solved one after the other,
 * each by all threads. Results do not depend on the number of threads. All results are filled. The call returns TG_OK if every
 * matrix reached its tolerance, and otherwise the status of the first one that did not. control->done counts matrices. A
 * cancellation takes effect within a matrix.
 *
 * A CUDA device solves a matrix together with others by subspace iteration if vectors and no spectrum are wanted, the
 * tolerance is at least 1e-5, and the block of vectors is small enough. The block holds the wanted vectors and half as many
 * more, at least 16; it may have at most 512 vectors and half of the short side. The remaining matrices, and those that did
 * not converge, are decomposed on the device one by one by cuSOLVER if it can be loaded, and on the CPU otherwise. With
 * cuSOLVER the method is TG_SVD_GRAM_DOUBLE and its workspace is not part of `device_bytes`. It is not used with a start.
 */
TG_API tg_status tg_svd(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                        const tg_svd_options* options, tg_control* control, const tg_workspace* workspace,
                        tg_svd_result* results);

/**
 * All singular values and all singular vectors of one side of a matrix nearby, such as the base of a checkpoint. The
 * decomposition of one base serves every later checkpoint.
 */
typedef struct tg_svd_start {
  /** sizeof(tg_svd_start). */
  int64_t size;
  /** min(rows, columns) singular values, descending. */
  const double* values;
  /**
   * F64 or F32, short side x short side: row i is the singular vector of the short side that belongs to values[i]. For a
   * square matrix these are the left singular vectors.
   */
  tg_matrix basis;
  /** The matrix that was decomposed, with the shape of the new one. NULL if it is not at hand. Read on the CPU only. */
  const tg_operand* base;
  /**
   * F64 or F32: row i is the singular vector of the long side that belongs to values[i]. rank + 16 rows suffice, and more
   * are not read. Without `base` it is not read.
   */
  tg_matrix images;
  /** The residual that tg_svd certified for these triplets. Without `base` it is not read. */
  double residual;
} tg_svd_start;

/** Writes the memory that tg_svd_track needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_svd_track_workspace(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted,
                                        int64_t count, const tg_svd_options* options, const tg_svd_start* starts,
                                        const tg_svd_result* results, tg_workspace_size* workspace_size);

/**
 * Computes what tg_svd computes, with one start per matrix. The options must ask for vectors, and the results for no
 * spectrum.
 *
 * A Rayleigh-Ritz step combines the leading vectors of the start and, for tolerances below 1e-4, sixteen guards below them. If
 * needed, each vector gets a first-order correction (Davidson, 1975), coarser from 1e-4 on. Another step combines them with
 * eight random directions, which turn towards what the start does not contain. Up to two more corrections follow. The result
 * has the same certificate as that of tg_svd. If it does not reach the tolerance, or if the rank is above a fifth of the short
 * side (a sixth, if the tolerance is below 1e-5 and the long side above four short ones), the matrix is decomposed as by tg_svd.
 * `method` of the result tells which way was taken.
 *
 * With a base, the first step multiplies only the entries that differ from it, because the products of the base follow from its
 * triplets. Both matrices must be plain bf16, without a matrix to subtract. At most a sixteenth of the entries of any 64 rows
 * may differ, `images` needs rank + 16 rows, and the tolerance is at least 1e-5. `residual` is part of the certificate. If that
 * is beyond the tolerance, one pass over the matrix corrects all vectors and gives their residuals. The triplets are known to
 * be the leading ones up to the tolerance: any other direction has less than values[rank + 16] and a bound of the norm of the
 * difference. Where one of these conditions fails, the base is not used. The workspace has a list of the entries that differ,
 * of a quarter of the bytes of the matrix.
 *
 * Otherwise the certificate proves that the results are singular triplets. That they are the leading ones relies on the start
 * and on the random directions. A direction that is new and only slightly above the others can be missed.
 */
TG_API tg_status tg_svd_track(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                              const tg_svd_options* options, const tg_svd_start* starts, tg_control* control,
                              const tg_workspace* workspace, tg_svd_result* results);

/** Writes the memory that tg_principal_angles needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_principal_angles_workspace(tg_context* context, const tg_matrix* first, const tg_matrix* second,
                                               tg_workspace_size* workspace_size);

/**
 * Computes the principal angles between the row spaces of two k x n matrices with orthonormal rows (P, section 4.1). The
 * matrices are of type F64 or F32, and k <= n. `angles` receives k angles in radians, ascending.
 *
 * The cosine of the i-th angle is the i-th singular value of first * second^T. Angles below 45 degrees come from their sines,
 * the singular values of second * (1 - first^T first) (Bjorck and Golub, "Numerical methods for computing angles between
 * linear subspaces", 1973). Their error is about 1e-15 plus the deviation of the inputs from orthonormality.
 */
TG_API tg_status tg_principal_angles(tg_context* context, const tg_matrix* first, const tg_matrix* second,
                                     const tg_workspace* workspace, double* angles);

/** The input of tg_svd_perturb. W0 is the base matrix and r its short side. */
typedef struct tg_perturbation_options {
  /** sizeof(tg_perturbation_options). */
  int64_t size;
  /** r, the short side. */
  int64_t count;
  /** The rows of the core, r to 2 r. */
  int64_t core_rows;
  /** r singular values of W0, descending. */
  const double* base_values;
  /** core_rows x r, row-major: an update in the singular bases of W0, as tg_rotate_update writes it. */
  const float* core;
  /** The ranks k of the leading subspaces to compare, each 1 to r. */
  const int64_t* ranks;
  /** The number of ranks. */
  int64_t rank_count;
} tg_perturbation_options;

/** The output of tg_svd_perturb. The caller allocates the arrays. */
typedef struct tg_perturbation_result {
  /** sizeof(tg_perturbation_result). */
  int64_t size;
  /** r singular values of W0 + update, descending. */
  double* values;
  /** For each rank in turn, k principal angles in radians between the leading subspaces of the long side, ascending. */
  double* long_angles;
  /** The same for the short side. */
  double* short_angles;
  /**
   * For each rank, three squared Frobenius norms of parts of the update: in the k leading directions of the long side, in
   * those of the short side, and in both.
   */
  double* energies;
  /** The squared Frobenius norm of the update. */
  double total;
  /** The mean over all levels of the strength of mixing with all other levels but the strongest, see tg_svd_perturb. */
  double mixing;
  /** The same mean over the eight levels around a rank. It is the largest of these means over the ranks. */
  double boundary_mixing;
} tg_perturbation_result;

/** Writes the memory that tg_svd_perturb needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_svd_perturb_workspace(tg_context* context, const tg_perturbation_options* options,
                                          tg_workspace_size* workspace_size);

/**
 * Approximates the singular values and the leading subspaces of [diag(base_values); 0] + core by perturbation theory. A
 * level is a singular value of W0 with its directions. The first order comes from the diagonal. The second order comes from
 * pairs of levels. Each pair is solved exactly as a 2 x 2 matrix, so that levels may nearly coincide. The first order and the
 * angles are in float64, and the second order of the values is in float32.
 *
 * The approximation neglects levels that mix with more than one other. `mixing` measures this. It sums
 * g^2 / (gap^2 + g^2) over the pairs of a level except its strongest one, where g = F_ij + F_ji and F is the core. On random
 * matrices the distance between the spectra is correct to a fifth of the square of `mixing`, 0.2 % at 0.1. Decompose the sum
 * instead if `mixing` is larger.
 */
TG_API tg_status tg_svd_perturb(tg_context* context, const tg_perturbation_options* options, const tg_workspace* workspace,
                                tg_perturbation_result* result);

/**
 * Squared Frobenius norms of D = matrix - subtracted and of its parts in given subspaces (P, section 4.2). U and V have
 * orthonormal rows.
 */
typedef struct tg_projected_energy_result {
  /** sizeof(tg_projected_energy_result). */
  int64_t size;
  /** |D|^2. */
  double total;
  /** |U D|^2, the part in the span of the rows of U. */
  double left;
  /** |D V^T|^2, the part in the span of the rows of V. */
  double right;
  /** |U D V^T|^2, the part in both. */
  double both;
  /** The sum of the fourth powers of the entries of D. */
  double fourth;
} tg_projected_energy_result;

/** Writes the memory that tg_projected_energy needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_projected_energy_workspace(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted,
                                               const tg_matrix* left, const tg_matrix* right, tg_workspace_size* workspace_size);

/**
 * Computes the squared norms of the parts of matrix - subtracted in two subspaces. `left` is U, k x rows, and `right` is V,
 * k x columns. Both are of type F64 or F32 and have orthonormal rows. `subtracted` may be NULL. Sums are in float64. The
 * difference is formed panel by panel and never stored.
 */
TG_API tg_status tg_projected_energy(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted,
                                     const tg_matrix* left, const tg_matrix* right, const tg_workspace* workspace,
                                     tg_projected_energy_result* result);

/** Writes the memory that tg_projected_variances needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_projected_variances_workspace(tg_context* context, const tg_operand* matrix, const tg_matrix* left,
                                                  const tg_matrix* right, tg_workspace_size* workspace_size);

/**
 * Computes the variances that the entries of a random update have in the singular bases of a matrix. The entries of the
 * update itself are independent, and that at (a, b) has the variance table[c(a, b)], where c is the bf16 magnitude code of
 * the entry of the matrix (its 15 bits without the sign). Between the directions i and j the variance is the sum over a and b
 * of left[i][a]^2 right[j][b]^2 table[c(a, b)].
 *
 * `matrix` is plain BF16. `left` (k x rows) and `right` (k x columns) are its leading singular vectors, of type F64 or F32.
 * `values` are all its singular values, descending. `table` has TG_MAGNITUDE_CODES elements, none of them negative. Sums are
 * in float32, relative to the largest element of the table.
 *
 * `variances` is (k + 2) x (k + 2), row-major. Its indices are the k leading directions, the mean over all other directions,
 * and a slope. Two moments of the other directions follow from the completeness of the basis and from the norms of the rows
 * and columns. The variances there are modelled as linear in the squared singular value: the slope is the deviation of a
 * direction from the mean in proportion to its level. tg_normal_update evaluates this model.
 */
TG_API tg_status tg_projected_variances(tg_context* context, const tg_operand* matrix, const double* table, const double* values,
                                        const tg_matrix* left, const tg_matrix* right, const tg_workspace* workspace,
                                        double* variances);

/* ---------------------------------------------------------------- masks ------------------------------------------- */

/**
 * The scores that tg_mask_select selects by. With a matrix they are the absolute values of its entries. With triplets they
 * are |sum over i of values[i] * left[i, row] * right[i, column]|, the reconstruction from singular triplets as tg_svd
 * returns them (P, section 4.2). The reconstruction is never stored.
 */
typedef struct tg_mask_scores {
  /** sizeof(tg_mask_scores). */
  int64_t size;
  /** The matrix, or NULL if the scores come from triplets. The other fields are then not read. */
  const tg_operand* matrix;
  /** `rank` singular values. */
  const double* values;
  /** rank x rows: the left singular vectors. */
  const double* left;
  /** rank x columns: the right singular vectors. */
  const double* right;
  /** The number of triplets. */
  int64_t rank;
  /** The number of rows of the reconstruction. */
  int64_t rows;
  /** The number of columns of the reconstruction. */
  int64_t columns;
} tg_mask_scores;

/** The options of tg_mask_select. */
typedef struct tg_mask_options {
  /** sizeof(tg_mask_options). */
  int64_t size;
  /** The number of entries to select, 0 to rows * columns. */
  int64_t count;
  /** 0 to select the largest scores, 1 to select the smallest. */
  int32_t smallest;
  /** Must be 0. */
  int32_t reserved;
} tg_mask_options;

/**
 * Writes the memory that tg_mask_select needs with the same arguments to `workspace_size`. It does not grow with
 * rows * columns. For triplets it has float32 copies of their vectors, and the call also allocates at most about 50 MB for
 * entries close to the last selected one.
 */
TG_API tg_status tg_mask_select_workspace(tg_context* context, const tg_mask_scores* scores, const tg_mask_options* options,
                                          tg_workspace_size* workspace_size);

/**
 * Selects exactly options->count entries and sets their bits in `mask`. Of equal scores those with the lower row-major index
 * are selected. The layout is that of tg_diff_profiles.mask, and bits beyond the columns are 0. `mask_words` is the number of
 * words at `mask`. Scores are computed in float64, and the result is the same for any number of threads. A score that is not
 * finite is TG_INVALID_ARGUMENT. control->done counts entries.
 */
TG_API tg_status tg_mask_select(tg_context* context, const tg_mask_scores* scores, const tg_mask_options* options,
                                tg_control* control, const tg_workspace* workspace, uint64_t* mask, int64_t mask_words);

/** The largest number of masks in a tg_mask_sets. */
#define TG_MASK_MOST_SETS 255

/** Masks of one shape in the layout of tg_diff_profiles.mask. Bits beyond the columns must be 0. */
typedef struct tg_mask_sets {
  /** sizeof(tg_mask_sets). */
  int64_t size;
  /** `count` masks of rows * ceil(columns / 64) words each. */
  const uint64_t* const* masks;
  /** The number of masks, 1 to TG_MASK_MOST_SETS. */
  int64_t count;
  /** The number of rows of each mask. */
  int64_t rows;
  /** The number of columns of each mask. */
  int64_t columns;
} tg_mask_sets;

/** Entries that at least one mask has. */
#define TG_MASK_UNION 1
/** Entries that all masks have. */
#define TG_MASK_INTERSECTION 2
/** Entries that the first mask has and no other one. */
#define TG_MASK_DIFFERENCE 3
/** Entries that an odd number of masks have. */
#define TG_MASK_SYMMETRIC_DIFFERENCE 4
/** Entries that no mask has. */
#define TG_MASK_COMPLEMENT 5

/**
 * Combines masks by a set operation, one of TG_MASK_UNION to TG_MASK_COMPLEMENT. `result` receives the combination in
 * `result_words` words. It may be one of the masks, or NULL if only the number of entries is wanted. `entries` receives the
 * number of entries of the combination.
 */
TG_API tg_status tg_mask_combine(tg_context* context, const tg_mask_sets* sets, int32_t operation, uint64_t* result,
                                 int64_t result_words, int64_t* entries);

/**
 * Counts the overlaps of masks. common[i * count + j] becomes the number of entries that masks i and j share, which for
 * i = j is the number of entries of mask i. `common` has count * count elements. memberships[i] becomes the number of
 * entries that exactly i of the masks have. It has count + 1 elements, or is NULL.
 */
TG_API tg_status tg_mask_overlaps(tg_context* context, const tg_mask_sets* sets, int64_t* common, int64_t* memberships);

/** The number of bf16 magnitude codes: the values of the 15 bits of a bf16 number without the sign. */
#define TG_MAGNITUDE_CODES 32768

/**
 * Counts entries by their bf16 magnitude code, the 15 bits without the sign of the value rounded to bf16. The counts are of
 * all entries, of those in the mask `first`, of those in the mask `second`, and of those in both. Masks have the layout of
 * tg_diff_profiles.mask. Each array of counts has TG_MAGNITUDE_CODES elements.
 */
TG_API tg_status tg_magnitude_histogram(tg_context* context, const tg_operand* matrix, const uint64_t* first,
                                        const uint64_t* second, int64_t* all, int64_t* in_first, int64_t* in_second,
                                        int64_t* in_both);

/**
 * Sums table[c] over the entries of each row and of each column, where c is the bf16 magnitude code of an entry. If the table
 * holds the share of changed entries of each magnitude, the sums are the counts of changed entries that magnitude alone lets
 * one expect. `table` has TG_MAGNITUDE_CODES elements, `row_sums` has `rows` and `column_sums` has `columns`.
 */
TG_API tg_status tg_magnitude_profile(tg_context* context, const tg_operand* matrix, const double* table, double* row_sums,
                                      double* column_sums);

/**
 * Counts entries by the bf16 magnitude codes that a matrix has, and by pairs of masks. A small matrix has few codes, so that this
 * costs as much as its entries, and not as much as TG_MAGNITUDE_CODES counters. `sets` has masks of the shape of the matrix. It
 * may be NULL, for none.
 *
 * `codes` receives the codes in ascending order, and `code_count` their number. all[c] becomes the number of entries with the
 * code codes[c]. common[(i * sets->count + j) * capacity + c] becomes the number of those in both mask i and mask j, for all i
 * and j. `capacity` is the number of elements of `codes` and of `all`, and `common` has sets->count * sets->count * capacity. The
 * smaller one of rows * columns and TG_MAGNITUDE_CODES is always enough.
 */
TG_API tg_status tg_magnitude_overlaps(tg_context* context, const tg_operand* matrix, const tg_mask_sets* sets, int64_t capacity,
                                       int32_t* codes, int64_t* all, int64_t* common, int64_t* code_count);

/**
 * Sums numbers over the entries of each row and of each column, as tg_magnitude_profile does, for several tables at once. Table t
 * has the number values[t * code_count + c] for the magnitude code codes[c], and 0 for all other codes. The sums of row i are
 * row_sums[t * rows + i], and those of column j are column_sums[t * columns + j]. Codes may be in any order, each at most once.
 */
TG_API tg_status tg_magnitude_sums(tg_context* context, const tg_operand* matrix, const int32_t* codes, int64_t code_count,
                                   const double* values, int64_t table_count, double* row_sums, double* column_sums);

/* ---------------------------------------------------------------- curvature --------------------------------------- */

/**
 * The activations and gradients of a linear layer y = W x, one row per token: its inputs (N x n) and the gradients with
 * respect to its outputs (N x m). W is m x n. Gradients of the log-likelihood of labels that the model itself sampled give
 * its Fisher information, which is the generalised Gauss-Newton matrix. Gradients for the labels of the data give the
 * empirical Fisher. Any dtype is allowed; F64 is rounded to float32. The caller chooses N and passes a longer sample in parts.
 */
typedef struct tg_layer_samples {
  /** sizeof(tg_layer_samples). */
  int64_t size;
  /** N x n: the inputs. */
  tg_matrix input;
  /** N x m: the gradients with respect to the outputs. */
  tg_matrix gradient;
} tg_layer_samples;

/**
 * A direction V in the space of the m x n weights of a layer. It is given by entries, which may be those of a difference, or
 * by low-rank factors, which are never multiplied.
 */
typedef struct tg_direction {
  /** sizeof(tg_direction). */
  int64_t size;
  /** m x n: the entries. NULL if the direction is given by factors. */
  const tg_operand* matrix;
  /** m x n: what is subtracted from `matrix`, or NULL. */
  const tg_operand* subtracted;
  /** Entries outside of this mask count as 0. NULL means that all count. The layout is that of tg_diff_profiles.mask. */
  const uint64_t* mask;
  /** An array of terms whose sum is the direction, or NULL if it is given by entries. */
  const tg_low_rank* low_rank;
  /** The number of low-rank terms. */
  int64_t low_rank_count;
} tg_direction;

/** Writes the entries of a direction that is given by entries: m x n, float64, row-major. */
TG_API tg_status tg_direction_entries(tg_context* context, const tg_direction* direction, double* entries);

/** Writes the memory that tg_layer_slopes needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_layer_slopes_workspace(tg_context* context, const tg_layer_samples* samples, const tg_direction* directions,
                                           int64_t count, tg_workspace_size* workspace_size);

/**
 * Computes slopes[d * N + t] = g_t^T V_d x_t, the derivative of the objective of token t along direction d. The mean of the
 * squared slopes is V^T F V, the curvature along V, where F is the Fisher information of the layer. squares[d] receives the
 * squared Frobenius norm of V_d; `squares` may be NULL. `slopes` has count * N elements.
 *
 * Products over n are in float32, for which the entries of V are rounded. Sums over m are in float64. The result is the same
 * for any number of threads. An entry that is not finite is TG_INVALID_ARGUMENT, and the error text names its row.
 * control->done counts tokens, once for each direction.
 */
TG_API tg_status tg_layer_slopes(tg_context* context, const tg_layer_samples* samples, const tg_direction* directions,
                                 int64_t count, tg_control* control, const tg_workspace* workspace, double* slopes,
                                 double* squares);

/** Writes the memory that tg_token_products needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_token_products_workspace(tg_context* context, const tg_matrix* left, const tg_matrix* right,
                                             tg_workspace_size* workspace_size);

/**
 * Adds the sum over tokens t of weights[t] * left_t right_t^T to `products`, which is left.columns x right.columns. left_t is
 * row t of `left`. `weights` may be NULL, and all weights are then 1.
 *
 * With gradients, slopes and inputs this is N F V. With the inputs twice, or the gradients twice, it is N times a factor of
 * K-FAC (arXiv 1503.05671). Products of 512 tokens are in float32 and their sum is in float64. The result is the same for any
 * number of threads. An entry that is not finite is TG_INVALID_ARGUMENT, and the error text names its row.
 */
TG_API tg_status tg_token_products(tg_context* context, const tg_matrix* left, const double* weights, const tg_matrix* right,
                                   tg_control* control, const tg_workspace* workspace, double* products);

/**
 * The input of tg_displace. Points, directions and gradients are vectors of `count` contiguous numbers of type F32 or F64. All
 * of them are in host memory, or all are in the memory of the context's device.
 */
typedef struct tg_displacement {
  /** sizeof(tg_displacement). */
  int64_t size;
  /** The point. */
  const void* point;
  /** The direction. */
  const void* direction;
  /** The number of elements. */
  int64_t count;
  /** TG_F32 or TG_F64. */
  tg_dtype dtype;
  /** Must be 0. */
  int32_t reserved;
  /** The factor of the direction. */
  double step;
} tg_displacement;

/**
 * Computes displaced = point + step * direction, rounded once, in one pass. `displaced` may be `point` or `direction`.
 *
 * `rounding` receives the squared length of the difference between displaced - point and step * direction, which the rounding
 * causes. For TG_F64 it is correct to a factor of two where the displacement exceeds the point. Arithmetic and sums are
 * in float64 and the same for any number of threads.
 */
TG_API tg_status tg_displace(tg_context* context, const tg_displacement* displacement, void* displaced, double* rounding);

/**
 * The input of tg_difference_gradients: gradients at two points that tg_displace computed. The vectors are as in
 * tg_displacement.
 */
typedef struct tg_gradient_difference {
  /** sizeof(tg_gradient_difference). */
  int64_t size;
  /** The gradient at point + step * direction. */
  const void* ahead;
  /** The gradient at point - step * direction. */
  const void* behind;
  /** The product from a step twice as large, or NULL. */
  const void* wider;
  /** The direction v. */
  const void* direction;
  /** The number of elements. */
  int64_t count;
  /** TG_F32 or TG_F64. */
  tg_dtype dtype;
  /** Must be 0. */
  int32_t reserved;
  /** The step. */
  double step;
} tg_gradient_difference;

/** The sums of tg_difference_gradients, taken before the product is rounded to its dtype. */
typedef struct tg_difference_sums {
  /** sizeof(tg_difference_sums). */
  int64_t size;
  /** The squared length of the gradient ahead. */
  double ahead;
  /** The squared length of the gradient behind. */
  double behind;
  /** The squared length of what the extrapolation changed. */
  double change;
  /** The product . direction, v^T H v. */
  double along;
} tg_difference_sums;

/**
 * Computes a product of the Hessian H with a direction v from two gradients: product = (ahead - behind) / (2 step). Its error
 * is proportional to the third derivative and the square of the step. With `wider` it is Richardson's extrapolation
 * (4 product - wider) / 3, whose error is proportional to the fourth power of the step (Nocedal and Wright, Numerical
 * Optimization, section 8.1).
 *
 * It takes one pass. `product` may be any of the inputs. Arithmetic and sums are in float64 and the same for any number of
 * threads. Numbers that are not finite lead to sums that are not finite.
 */
TG_API tg_status tg_difference_gradients(tg_context* context, const tg_gradient_difference* difference, void* product,
                                         tg_difference_sums* sums);

/* ---------------------------------------------------------------- weight patches ---------------------------------- */

/** The values of a patch are the new bits. */
#define TG_PATCH_OVERWRITE 1
/** The values of a patch are the old bits xor the new ones. Applying such a patch a second time undoes it. */
#define TG_PATCH_XOR 2

/**
 * Stored weights before and after a training step, compared bit by bit. A change of the sign of zero counts, and a NaN is
 * compared by its bits. Everything is in host memory, or everything is in the memory of the context's device. Elements and
 * values in device memory are aligned to their width, and positions to 4 bytes.
 */
typedef struct tg_patch_pair {
  /** sizeof(tg_patch_pair). */
  int64_t size;
  /** The elements before the step. */
  const void* before;
  /** The elements after the step. */
  const void* after;
  /** The number of elements, 0 to 2^32. */
  int64_t count;
  /** The position of the first element. The positions of all elements are below 2^32. */
  int64_t first;
  /** The bytes of an element: 1, 2, 4 or 8. */
  int32_t width;
  /** TG_PATCH_OVERWRITE or TG_PATCH_XOR. */
  int32_t form;
} tg_patch_pair;

/** The changed elements of a patch. */
typedef struct tg_patch_entries {
  /** sizeof(tg_patch_entries). */
  int64_t size;
  /** The positions of the elements, strictly ascending. */
  uint32_t* positions;
  /** The values, `width` bytes each. */
  void* values;
  /** The number of entries, or the room for entries where they are written. */
  int64_t count;
  /** The bytes of an element: 1, 2, 4 or 8. */
  int32_t width;
  /** TG_PATCH_OVERWRITE or TG_PATCH_XOR. */
  int32_t form;
} tg_patch_entries;

/**
 * Finds all elements that differ and writes their positions, which begin at `first`, and their values. `changed` receives the
 * number of these elements. If `entries` has too little room, `changed` is still correct, and what was written to the entries
 * must not be used. `entries` has the width and the form of the pair.
 *
 * It takes one pass. The result is the same on every device and for any number of threads.
 */
TG_API tg_status tg_patch_extract(tg_context* context, const tg_patch_pair* pair, const tg_patch_entries* entries,
                                  int64_t* changed);

/** The elements of a pair in two files. */
typedef struct tg_patch_files {
  /** sizeof(tg_patch_files). */
  int64_t size;
  /** The file with the elements before the step. */
  tg_mapped_file* before;
  /** The file with the elements after the step. It may be the same file. */
  tg_mapped_file* after;
  /** The position of the first element before the step, in bytes. */
  int64_t before_offset;
  /** The position of the first element after the step, in bytes. */
  int64_t after_offset;
  /** The number of elements, 0 to 2^32. */
  int64_t count;
  /** The position of the first element in `entries`. The positions of all elements are below 2^32. */
  int64_t first;
  /** The state of tg_xxh3_update to which the bytes before the step are added, or NULL. */
  void* before_state;
  /** The state of tg_xxh3_update to which the bytes after the step are added, or NULL. */
  void* after_state;
  /** The bytes of an element: 1, 2, 4 or 8. */
  int32_t width;
  /** TG_PATCH_OVERWRITE or TG_PATCH_XOR. */
  int32_t form;
} tg_patch_files;

/**
 * Does what tg_patch_extract does for elements in files, and adds their bytes to digests. It reads each byte once, with read
 * calls into memory of the context that fits a cache. The entries and the digests are therefore those of the same bytes, even
 * if another process writes to a file. It runs on the calling thread. `entries` is in host memory. Returns TG_IO if a file has
 * become shorter or the device fails.
 */
TG_API tg_status tg_patch_extract_files(tg_context* context, const tg_patch_files* files, const tg_patch_entries* entries,
                                        int64_t* changed);

/**
 * Applies entries in place to the `count` elements at `target`. All positions are checked before anything is written. A
 * position that does not ascend or is not below `count` is TG_INVALID_ARGUMENT, and the error text names the first one.
 */
TG_API tg_status tg_patch_apply(tg_context* context, const tg_patch_entries* entries, void* target, int64_t count);

/**
 * Counts the entries whose values differ from the elements at `target`, of which there are `count`. The values of the entries
 * must be the new bits (TG_PATCH_OVERWRITE). `differing` receives the number. Positions are checked as by tg_patch_apply.
 */
TG_API tg_status tg_patch_verify(tg_context* context, const tg_patch_entries* entries, const void* target, int64_t count,
                                 int64_t* differing);

/**
 * Replaces `count` ascending positions i_k by the gaps g_k = i_k - i_(k-1) - 1, in place. The first gap counts from
 * `previous`, which is -1 before the first position of all.
 */
TG_API tg_status tg_patch_gaps(tg_context* context, uint32_t* positions, int64_t count, int64_t previous);

/**
 * Replaces `count` gaps by positions, in place. It is the inverse of tg_patch_gaps. A position of 2^32 or more is
 * TG_INVALID_ARGUMENT. On the CPU the gaps before it are then replaced already, and on a device none are.
 */
TG_API tg_status tg_patch_positions(tg_context* context, uint32_t* gaps, int64_t count, int64_t previous);

/**
 * Writes `count` elements of `width` bytes as `width` planes of `count` bytes, that of the lowest bytes first. Bytes of the
 * same significance are similar, which helps a compressor. `to` must not overlap `from`.
 */
TG_API tg_status tg_byte_planes(tg_context* context, const void* from, int64_t count, int32_t width, void* to);

/** Writes `width` planes of `count` bytes as `count` elements of `width` bytes. It is the inverse of tg_byte_planes. */
TG_API tg_status tg_byte_elements(tg_context* context, const void* from, int64_t count, int32_t width, void* to);

/* ---------------------------------------------------------------- null updates ------------------------------------ */

/** Independent normal entries with the same standard deviation. */
#define TG_PERTURB_GAUSSIAN 1
/** The entries of tuned - base at random positions. */
#define TG_PERTURB_PERMUTED 2

/** The options of tg_perturb. */
typedef struct tg_perturb_options {
  /** sizeof(tg_perturb_options). */
  int64_t size;
  /** TG_PERTURB_GAUSSIAN or TG_PERTURB_PERMUTED. */
  int32_t kind;
  /** The type of the result: TG_F32, or for Gaussian updates also TG_BF16, rounded to nearest even. */
  tg_dtype dtype;
  /** Any number. Random numbers are Philox4x32-10 of seed, draw and position. */
  int64_t seed;
  /** 0 to 2^32 - 1. The draws of one seed are independent. */
  int64_t draw;
  /** The standard deviation of an entry of a Gaussian update. */
  double deviation;
} tg_perturb_options;

/**
 * Writes base + a random update, with which the measures of a true update are compared. `tuned` is read for
 * TG_PERTURB_PERMUTED only and may be NULL otherwise. `perturbed` receives rows * columns entries of options->dtype,
 * row-major. The relative error of normal numbers is about 1e-7. The same seed and draw give the same bits at every SIMD
 * level.
 */
TG_API tg_status tg_perturb(tg_context* context, const tg_operand* base, const tg_operand* tuned,
                            const tg_perturb_options* options, tg_control* control, void* perturbed);

/** The options of tg_rotate_update. */
typedef struct tg_rotation_options {
  /** sizeof(tg_rotation_options). */
  int64_t size;
  /** r, the short side. */
  int64_t count;
  /** m, the long side, at least r. */
  int64_t long_side;
  /** As in tg_perturb_options. */
  int64_t seed;
  /** As in tg_perturb_options. */
  int64_t draw;
  /** r singular values of the update. */
  const double* update_values;
} tg_rotation_options;

/** Writes the memory that tg_rotate_update needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_rotate_update_workspace(tg_context* context, const tg_rotation_options* options,
                                            tg_workspace_size* workspace_size);

/**
 * Draws an update with given singular values and random directions: P S Q^T, where P (m x r) and Q (r x r) are
 * Haar-distributed. Its distribution is the same in the singular bases of W0, in which W0 is diagonal.
 *
 * `core` receives the part of the update that matters: (r + min(r, m - r)) x r, row-major, where the columns are the short
 * side. Of the m - r rows below the first r it holds the triangle of their QR factorisation. Nothing else of them influences
 * the singular values of [diag(values of W0); 0] + P S Q^T, its right singular vectors, or the angles with the first r left
 * directions.
 */
TG_API tg_status tg_rotate_update(tg_context* context, const tg_rotation_options* options, const tg_workspace* workspace,
                                  float* core);

/** The options of tg_shuffle_update. */
typedef struct tg_shuffle_options {
  /** sizeof(tg_shuffle_options). */
  int64_t size;
  /** r, the short side. */
  int64_t count;
  /** The rows of the core, r to 2 r. */
  int64_t core_rows;
  /** As in tg_perturb_options. */
  int64_t seed;
  /** As in tg_perturb_options. */
  int64_t draw;
} tg_shuffle_options;

/**
 * Puts the first r rows and the columns of a core in random order. The Haar measure is invariant under this. A core of
 * tg_rotate_update becomes another draw of the same distribution at the cost of a copy. Such draws consist of the same
 * numbers at other positions and are therefore not independent.
 */
TG_API tg_status tg_shuffle_update(tg_context* context, const tg_shuffle_options* options, const float* core, float* shuffled);

/** The options of tg_normal_update. */
typedef struct tg_normal_options {
  /** sizeof(tg_normal_options). */
  int64_t size;
  /** r, the short side. */
  int64_t count;
  /** m, the long side, at least r. */
  int64_t long_side;
  /** k, the number of leading directions that have variances of their own, 0 to r. */
  int64_t leading;
  /** As in tg_perturb_options. */
  int64_t seed;
  /** As in tg_perturb_options. */
  int64_t draw;
  /** r singular values of W0, descending. They place the directions other than the leading ones. */
  const double* values;
  /**
   * (k + 2) x (k + 2) variances, the directions of the long side by those of the short side, as tg_projected_variances writes
   * them. If k is 0, {v, 0, 0, 0} sets all variances to v.
   */
  const double* variances;
} tg_normal_options;

/**
 * Draws an update whose entries in the singular bases of W0 are independent normal numbers with given variances. `core`
 * receives it in the shape that tg_rotate_update describes. An update with many independent or permuted entries has this
 * distribution by the central limit theorem, because in these bases each entry is a sum over all of them.
 */
TG_API tg_status tg_normal_update(tg_context* context, const tg_normal_options* options, float* core);

/* ---------------------------------------------------------------- rescalings ------------------------------------ */

/**
 * The residual R of an update after rescalings: R_ij = tuned_ij - base_ij - (common + row_factors[i] + column_factors[j]) *
 * base_ij. Without factors and with common = 0 it is the update itself. An entry that is not finite on both sides counts as 0.
 */
typedef struct tg_residual {
  /** sizeof(tg_residual). */
  int64_t size;
  /** W0, the weights before the update. */
  const tg_operand* base;
  /** The weights after the update, of the shape of `base`. */
  const tg_operand* tuned;
  /** The factor that all entries share. */
  double common;
  /** A factor for each row, or NULL for zeros. */
  const double* row_factors;
  /** A factor for each column, or NULL for zeros. */
  const double* column_factors;
} tg_residual;

/** The options of tg_rescaling_fit. */
typedef struct tg_rescaling_options {
  /** sizeof(tg_rescaling_options). */
  int64_t size;
  /** The bound for tg_rescaling.imbalance, above 0 and below 1. The error of all squares is about its square. */
  double tolerance;
  /** The largest number of steps of conjugate gradients, at least 1. */
  int64_t most_steps;
} tg_rescaling_options;

/** What one term of the decomposition explains. It is a part of tg_rescaling and has no `size`. */
typedef struct tg_rescaling_term {
  /** By how much |residual|^2 grows without this term, when the other two are fitted again. */
  double squares;
  /** The expectation of `squares` if the term is absent and the entries of the residual have independent random signs. */
  double noise;
  /**
   * The standard deviation of `squares`, for the same random signs and the fitted term. It is estimated from the fit. For noise
   * it is too large by about the inverse root of the number of factors.
   */
  double deviation;
} tg_rescaling_term;

/** The output of tg_rescaling_fit. The caller allocates the arrays. */
typedef struct tg_rescaling {
  /** sizeof(tg_rescaling). */
  int64_t size;
  /** a: `rows` factors. The sum of a_i |row i of W0|^2 is 0. */
  double* row_factors;
  /** b: `columns` factors. The sum of b_j |column j of W0|^2 is 0. */
  double* column_factors;
  /** c, the factor that all entries share. */
  double common;
  /** The standard error of c, which allows entries of different variance. */
  double common_error;
  /** The share of c. For noise of equal variance its squares are 1 / (rows * columns) of the whole on average. */
  tg_rescaling_term common_term;
  /** The share of a. For noise of equal variance it is (rows - 1) / (rows * columns) of the whole on average. */
  tg_rescaling_term row_term;
  /** The share of b. For noise of equal variance it is (columns - 1) / (rows * columns) of the whole on average. */
  tg_rescaling_term column_term;
  /** |D|^2, where D = tuned - base. */
  double update_squares;
  /** |D - c W0 - diag(a) W0 - W0 diag(b)|^2. */
  double residual_squares;
  /** |W0|^2. */
  double base_squares;
  /** The number of entries that are finite on both sides. All sums run over these. */
  int64_t entries;
  /** The number of steps that were taken. */
  int64_t steps;
  /** The norm of what is left of the normal equations of the columns, relative to their right-hand side. */
  double imbalance;
  /** TG_OK, or TG_NOT_CONVERGED if `imbalance` is above the tolerance or a sum is not finite. */
  tg_status status;
  /** Not used. */
  int32_t reserved;
} tg_rescaling;

/** Writes the memory that tg_rescaling_fit needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_rescaling_fit_workspace(tg_context* context, const tg_operand* base, const tg_operand* tuned,
                                            const tg_rescaling_options* options, tg_workspace_size* workspace_size);

/**
 * Decomposes an update by least squares: tuned - base = c W0 + diag(a) W0 + W0 diag(b) + R, where W0 is the base. Weight decay
 * is c, and gains that were absorbed are a and b. A row or column of W0 without an entry other than 0 has the factor 0.
 *
 * The normal equations couple rows and columns through Q_ij = W0_ij^2. Rows are eliminated, and conjugate gradients solve for
 * the columns. Each step streams the base once. The workspace grows with the columns and not with the entries. Sums are in
 * float64, the same at every SIMD level and for any number of threads. A result that does not converge has its own status,
 * and the call returns TG_OK.
 */
TG_API tg_status tg_rescaling_fit(tg_context* context, const tg_operand* base, const tg_operand* tuned,
                                  const tg_rescaling_options* options, const tg_workspace* workspace, tg_rescaling* rescaling);

/** The counts of tg_dtype_change. */
typedef struct tg_dtype_change_result {
  /** sizeof(tg_dtype_change_result). */
  int64_t size;
  /** The number of entries that are finite on both sides. The other counts are of these. */
  int64_t entries;
  /** Entries whose difference is above half a spacing of the dtype. The spacing is that at the larger magnitude. */
  int64_t beyond_half;
  /** Entries whose tuned value is not the base value rounded to the dtype. */
  int64_t tuned_differs;
  /** Entries whose base value is not the tuned value rounded to the dtype. */
  int64_t base_differs;
} tg_dtype_change_result;

/**
 * Counts the entries that contradict an update that is only a change of dtype. Values are rounded to nearest, ties to even, in
 * one step from float64. Zeros of either sign are equal. `dtype` is the coarser dtype, any but TG_F64. It takes one pass.
 */
TG_API tg_status tg_dtype_change(tg_context* context, const tg_operand* base, const tg_operand* tuned, tg_dtype dtype,
                                 tg_dtype_change_result* result);

/* ---------------------------------------------------------------- sign flips ------------------------------------ */

/** The options of tg_sign_flip_energy. */
typedef struct tg_sign_flip_energy_options {
  /** sizeof(tg_sign_flip_energy_options). */
  int64_t size;
  /** The ranks k, each 1 to the rows of both bases. */
  const int64_t* ranks;
  /** The number of ranks, 1 to 1024. */
  int64_t rank_count;
  /** The largest standard error of a variance, relative to it. 0 for variances without such an error. Below 1. */
  double tolerance;
  /** Any number. Probes are Philox4x32-10 of it. */
  int64_t seed;
} tg_sign_flip_energy_options;

/** The energy of a residual in leading subspaces, and its moments under random signs. It is an array element, without `size`. */
typedef struct tg_sign_flip_moments {
  /** E = |U_k R V_k^T|^2. */
  double energy;
  /** The mean of E over all patterns of signs. */
  double mean;
  /** The variance of E over all patterns of signs. */
  double variance;
  /** The standard error of the variance if probes estimate a part of it, or 0. */
  double variance_error;
} tg_sign_flip_moments;

/** Writes the memory that tg_sign_flip_energy needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_sign_flip_energy_workspace(tg_context* context, const tg_residual* residual, const tg_matrix* left,
                                               const tg_matrix* right, const tg_sign_flip_energy_options* options,
                                               tg_workspace_size* workspace_size);

/**
 * Computes the energy E = |U_k R V_k^T|^2 of a residual for several ranks k, and the mean and the variance that E has if every
 * entry of R gets an independent random sign. `left` is U, and `right` is V, as in tg_projected_energy, and U_k and V_k are
 * their first k rows. `moments` has an element for each rank.
 *
 * With P = U_k^T U_k, Q = V_k^T V_k, p and q their diagonals, and squares taken entrywise:
 *   mean     = sum of R_ij^2 p_i q_j,
 *   variance = 2 (<R^2, (P o P) R^2 (Q o Q)> - sum of R_ij^4 p_i^2 q_j^2).
 * Energies, means and the second sum are in float64. Products of the first sum are in float32 over 256 terms, and sums over them
 * are in float64, so that its relative error is about 1e-6.
 *
 * The first sum costs min(k (k + 1) / 2, long side / 2) * 2 * rows * columns and more operations. With a tolerance, R^2 is first
 * split into the product of its row and column sums, whose part is exact and cheap, and a rest. 64 random vectors (u o v, where
 * u and v are random in the rows of a basis) on each side estimate the part of the rest without bias (Hutchinson, 1989). Where
 * the standard error is above the tolerance, the whole sum is computed. Memory does not grow with the entries. Results are the
 * same for any number of threads.
 */
TG_API tg_status tg_sign_flip_energy(tg_context* context, const tg_residual* residual, const tg_matrix* left,
                                     const tg_matrix* right, const tg_sign_flip_energy_options* options,
                                     const tg_workspace* workspace, tg_sign_flip_moments* moments);

/** Writes the memory that tg_sign_flip_variances needs with the same arguments to `workspace_size`. */
TG_API tg_status tg_sign_flip_variances_workspace(tg_context* context, const tg_residual* residual, const tg_matrix* left,
                                                  const tg_matrix* right, tg_workspace_size* workspace_size);

/**
 * Computes the variances that a residual with independent random signs has in the singular bases of the base. It is
 * tg_projected_variances with the square of the residual's entry as the variance of each entry. `left`, `right` and `values`
 * are the leading singular vectors and all singular values of `residual->base`, and `variances` is as described there.
 */
TG_API tg_status tg_sign_flip_variances(tg_context* context, const tg_residual* residual, const double* values,
                                        const tg_matrix* left, const tg_matrix* right, const tg_workspace* workspace,
                                        double* variances);

/** The options of tg_sign_flip. */
typedef struct tg_sign_flip_options {
  /** sizeof(tg_sign_flip_options). */
  int64_t size;
  /** Any number. Signs are bits of Philox4x32-10 of seed, draw and position. */
  int64_t seed;
  /** 0 to 2^32 - 1. The draws of one seed are independent. */
  int64_t draw;
  /** The type of the result, TG_F32 or TG_BF16, rounded to nearest even. */
  tg_dtype dtype;
  /** 1 for random signs, 0 to keep all signs. */
  int32_t flips;
} tg_sign_flip_options;

/**
 * Writes base + S o R, where S has independent random signs and R is the residual. The magnitudes of the update stay where they
 * are, and its directions go. Without flips it is base + R, with which the draws are compared. `flipped` receives rows *
 * columns entries of options->dtype, row-major. Entries that are not finite on both sides are those of the base. The same seed
 * and draw give the same bits at every SIMD level and for any number of threads.
 */
TG_API tg_status tg_sign_flip(tg_context* context, const tg_residual* residual, const tg_sign_flip_options* options,
                              void* flipped);

/* ---------------------------------------------------------------- changed entries ------------------------------- */

/**
 * A set of changed entries, and what its model knows of an entry: row, column and magnitude. The probability of a change is
 * 1 / (1 + exp(-(r_i + c_j + g_b))), where b is the bin of the magnitude.
 */
typedef struct tg_change_model {
  /** sizeof(tg_change_model). */
  int64_t size;
  /** The matrix whose magnitudes count. */
  const tg_operand* base;
  /** The changed entries, in the layout of tg_diff_profiles.mask. */
  const uint64_t* changed;
  /** The bin of each bf16 magnitude code: TG_MAGNITUDE_CODES elements, each 0 to bin_count - 1. Not read if there are ends. */
  const int32_t* bins;
  /** The number of bins, 1 to TG_MAGNITUDE_CODES. */
  int64_t bin_count;
  /**
   * NULL, or `bin_count` exclusive ends of ranges of codes, which are the bins. They ascend, and the last is TG_MAGNITUDE_CODES.
   * For a small matrix this is much less than an element for each code.
   */
  const int32_t* bin_ends;
} tg_change_model;

/** The options of tg_change_fit. */
typedef struct tg_change_options {
  /** sizeof(tg_change_options). */
  int64_t size;
  /** The bound for tg_change_logits.imbalance, above 0. */
  double tolerance;
  /** The largest number of Newton's steps, at least 1. */
  int64_t most_steps;
} tg_change_options;

/** A fitted tg_change_model. The caller allocates the arrays. */
typedef struct tg_change_logits {
  /** sizeof(tg_change_logits). */
  int64_t size;
  /** r: `rows` log odds. Minus or plus infinity means that no or every entry of the row changed; it carries no information. */
  double* rows;
  /** c: `columns` log odds, as for the rows. */
  double* columns;
  /** g: bin_count log odds, as for the rows. A bin without entries has minus infinity. */
  double* bins;
  /**
   * The largest difference between a fitted and an observed number of changes of a row, column or bin, in units of its standard
   * deviation.
   */
  double imbalance;
  /** The number of entries that carry information: those whose row, column and bin have finite log odds. */
  int64_t free_entries;
  /** The number of Newton's steps. */
  int64_t steps;
  /** TG_OK, or TG_NOT_CONVERGED if `imbalance` is above the tolerance. Such a fit allows no conclusion. */
  tg_status status;
  /** Not used. */
  int32_t reserved;
} tg_change_logits;

/** Writes the memory that tg_change_fit and tg_change_score need with this model to `workspace_size`. */
TG_API tg_status tg_change_workspace(tg_context* context, const tg_change_model* model, tg_workspace_size* workspace_size);

/**
 * Fits the model by maximum likelihood, so that the expected number of changes of every row, column and bin is the observed one.
 * Newton's method on the columns and bins, with rows fitted within each pass; its systems are solved by conjugate gradients.
 * Rows, columns and bins where nothing or everything changed are removed first, and again as long as others become such.
 *
 * Probabilities are computed in float32 as they are needed, with a relative error of 1e-6, and never stored. Sums are in
 * float64, the same at every SIMD level and for any number of threads. The call returns TG_OK whatever the status of the fit.
 */
TG_API tg_status tg_change_fit(tg_context* context, const tg_change_model* model, const tg_change_options* options,
                               const tg_workspace* workspace, tg_change_logits* logits);

/** The score test of one set of entries. It is an element of arrays and has no `size`. */
typedef struct tg_change_score_result {
  /** s, the sum of (A - A^)(M - pi). */
  double score;
  /** I, the variance of s: the sum of w (A - A^)^2. */
  double information;
  /** The sum of w A^2, of which rows, columns and bins explain 1 - information / total. */
  double total;
  /** The expected number of changed entries of the set, among the free ones. */
  double expected;
  /** The number of changed entries of the set, among the free ones. */
  int64_t observed;
  /** The number of free entries of the set. */
  int64_t entries;
  /** The norm of what is left of the equations of the projection, relative to the root of `total`. */
  double imbalance;
  /** The number of steps of the projection. */
  int64_t steps;
  /** TG_OK, or TG_NOT_CONVERGED if `imbalance` is above 1e-4. The information is too large by about its square. */
  tg_status status;
  /** Not used. */
  int32_t reserved;
} tg_change_score_result;

/**
 * Tests whether the entries of each of `set_count` sets A change more often or less often than the fitted model says. It is the
 * score test of A as one more covariate (Rao, 1948). M is the set of changes, pi their probabilities, w = pi (1 - pi), and A^ is
 * the w-weighted projection of A on rows, columns and bins. z = score / sqrt(information) is about standard normal if A
 * makes no difference. The log odds ratio is about score / information, with the standard error 1 / sqrt(information). This is
 * one step of Newton's method from 0. Where changes are rare, it tends to exp(b) - 1 for a log odds ratio b.
 *
 * `sets` are masks in the layout of tg_diff_profiles.mask. `results` has `set_count` elements. `logits` must be a fit of this
 * model.
 */
TG_API tg_status tg_change_score(tg_context* context, const tg_change_model* model, const tg_change_logits* logits,
                                 const uint64_t* const* sets, int64_t set_count, const tg_workspace* workspace,
                                 tg_change_score_result* results);

/* ---------------------------------------------------------------- digests ----------------------------------------- */

/** A range of bytes. It is an element of arrays and has no `size`. */
typedef struct tg_span {
  /** The first byte. */
  const void* data;
  /** The number of bytes. */
  int64_t bytes;
} tg_span;

/**
 * Computes the SHA-256 digests (FIPS 180-4) of `count` byte ranges. Digest i is written to digests + 32 * i. Each thread
 * processes up to four ranges in step, which is almost twice as fast as one after the other. control->done counts bytes.
 */
TG_API tg_status tg_sha256(tg_context* context, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests);

/** The bytes of a state of tg_xxh3_update. */
#define TG_XXH3_STATE_BYTES 704

/** A state and the bytes that are added to it. It is an element of arrays and has no `size`. */
typedef struct tg_xxh3_part {
  /**
   * TG_XXH3_STATE_BYTES bytes, which stay at this address until the digest is taken. Zeros are the state before the first
   * byte.
   */
  void* state;
  /** The bytes to add, in host memory. */
  const void* data;
  /** The number of bytes. */
  int64_t bytes;
} tg_xxh3_part;

/**
 * Adds bytes to the states of XXH3 digests of 128 bits with seed 0. Each part has a state of its own and is processed by one
 * thread, at about the speed of memory. The implementation is the reference implementation of xxHash at the vector width of
 * this machine. XXH3 is not a cryptographic digest: it detects accidental changes, not forgeries.
 */
TG_API tg_status tg_xxh3_update(tg_context* context, const tg_xxh3_part* parts, int64_t count);

/**
 * Writes the digest of the bytes that were added to a state: 16 bytes in canonical order, as xxhsum prints them. More bytes may
 * be added to the state afterwards.
 */
TG_API tg_status tg_xxh3_digest(tg_context* context, const void* state, uint8_t* digest);

/**
 * Computes the BLAKE3 digests (O'Connor, Aumasson, Neves and Wilcox-O'Hearn, 2020) of `count` byte ranges, without a key. Digest
 * i is written to digests + 32 * i. BLAKE3 is a cryptographic digest like SHA-256, and a tree: all threads work on one range,
 * and the lanes of vectors on its chunks. The digest does not depend on either. control->done counts bytes. Needs 32 bytes of
 * memory for each MiB.
 */
TG_API tg_status tg_blake3(tg_context* context, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests);

#ifdef __cplusplus
}
#endif

#endif /* THREEGATE_THREEGATE_H */
