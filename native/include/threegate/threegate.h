/*
 * Threegate: the one public header of the native library. C11; also valid C++17.
 *
 * Conventions
 *  - Only int32_t, int64_t, double, pointers and structs behind pointers cross this boundary.
 *  - Every function that can fail returns a tg_status. The text of the last failure of a context is copied out by
 *    tg_error_message; it names the argument, its value and what is allowed. Arguments are checked before any work.
 *  - Structs begin with `size`, which the caller sets to sizeof(struct); a struct of another size is refused.
 *  - Outputs are allocated by the caller. Data pointers may have any alignment; struct pointers are 8-byte aligned.
 *  - A context takes one call at a time (a second, concurrent one gets TG_BUSY). Different contexts are independent.
 *  - The library never prints, never exits and lets no exception out.
 *
 * Devices
 *  - In a context of a CUDA device these functions run there: tg_diff, tg_mask_select, tg_mask_combine, tg_mask_overlaps,
 *    tg_magnitude_histogram, tg_magnitude_profile, tg_layer_slopes, tg_token_products, and of tg_svd and tg_svd_track what
 *    suits (see there); tg_displace, tg_difference_gradients, tg_patch_* and tg_byte_* of what lies there. All
 *    others run on the CPU.
 *  - A tg_operand or tg_matrix of those functions, and a mask that they read or write, may lie in host memory, from which
 *    it is streamed, or in device memory. Everything else is host memory.
 *  - Device memory is the context's own: it is kept from call to call until the context is destroyed. `device_bytes` of a
 *    query says what a call takes, beside two buffers of at most 64 MiB; where there is less, it is done in parts as far as
 *    that goes.
 *  - After a failure of a device (TG_DEVICE, other than for want of memory) every later call of the context says so.
 *
 * Sources: "P" is arXiv 2511.08567, "The Path Not Taken: RLVR Provably Learns Off the Principals".
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

/* Raised whenever anything below changes, additions included: caller and library must have the same. */
#define TG_ABI_VERSION 16

/* ---------------------------------------------------------------- status ------------------------------------------ */

typedef int32_t tg_status; /* one of the constants below; they are never renumbered */
#define TG_OK 0
#define TG_INVALID_ARGUMENT 1
#define TG_UNSUPPORTED 2
#define TG_OUT_OF_MEMORY 3
#define TG_DEVICE 4
#define TG_IO 5
#define TG_BUSY 6
#define TG_CANCELLED 7
#define TG_NOT_CONVERGED 8
#define TG_INTERNAL 9

/* ---------------------------------------------------------------- dtypes and views -------------------------------- */

typedef int32_t tg_dtype; /* one of the constants below; they are never renumbered */
#define TG_F64 1
#define TG_F32 2
#define TG_F16 3
#define TG_BF16 4
#define TG_F8_E4M3 5 /* OCP E4M3 "FN": no infinity, 0x7f and 0xff are NaN, largest finite value 448 */
#define TG_F8_E5M2 6 /* OCP E5M2: infinities and NaN as in IEEE 754 */

/* A read-only, row-major matrix. */
typedef struct tg_matrix {
  const void* data;
  int64_t rows;
  int64_t columns;
  int64_t row_stride; /* distance between rows, in elements, at least `columns` */
  tg_dtype dtype;
  int32_t reserved; /* 0 */
} tg_matrix;

/* A term scale * left * right: left is rows x rank, right is rank x columns, both F32, F16, BF16 or F64. */
typedef struct tg_low_rank {
  tg_matrix left;
  tg_matrix right;
  double scale;
} tg_low_rank;

/*
 * What a kernel reads as one matrix: stored values, optionally times one float32 scale per block (quantised
 * checkpoints), optionally plus low-rank terms (adapters). Scaled values are float32 products; values with low-rank
 * terms are formed in float64, tile by tile, and never stored.
 */
typedef struct tg_operand {
  int64_t size;
  tg_matrix values;
  tg_matrix block_scale; /* data NULL: none; else F32, ceil(rows/block_rows) x ceil(columns/block_columns) */
  int64_t block_rows;
  int64_t block_columns;
  const tg_low_rank* low_rank; /* array of low_rank_count terms, or NULL */
  int64_t low_rank_count;
} tg_operand;

/* ---------------------------------------------------------------- control and workspace --------------------------- */

/* Caller-owned; the caller may write `cancel` and read `done` at any time from any thread (both are accessed atomically). */
typedef struct tg_control {
  int64_t size;
  int32_t cancel; /* set to non-zero to stop: the call returns TG_CANCELLED soon after */
  int32_t reserved;
  int64_t done;  /* units of work finished by this call (for tg_diff: entries) */
  int64_t total; /* units of work of this call */
} tg_control;

typedef struct tg_workspace_size {
  int64_t size;
  int64_t host_bytes;
  int64_t device_bytes;
} tg_workspace_size;

typedef struct tg_workspace {
  int64_t size;
  void* host; /* 64-byte aligned, at least host_bytes of the query */
  int64_t host_bytes;
  void* device;         /* not used: see Devices, above */
  int64_t device_bytes; /* not used */
} tg_workspace;

/* ---------------------------------------------------------------- context ----------------------------------------- */

typedef struct tg_context tg_context;

#define TG_CPU 0
#define TG_CUDA 1

typedef struct tg_context_options {
  int64_t size;
  int32_t threads;      /* threads of CPU kernels, the caller's included; 0: one per hardware thread this process may use */
  int32_t device;       /* TG_CPU or TG_CUDA */
  int32_t device_index; /* which CUDA device: 0 .. cuda_devices - 1 */
  int32_t reserved;
} tg_context_options;

#define TG_SIMD_SCALAR 0
#define TG_SIMD_AVX2 1   /* AVX2, FMA, F16C, BMI2 */
#define TG_SIMD_AVX512 2 /* AVX-512 F, BW, DQ, VL, VBMI2 (Ice Lake, Zen 4 and later) */

typedef struct tg_capabilities {
  int64_t size;
  int32_t hardware_threads; /* hardware threads this process may use */
  int32_t simd;             /* TG_SIMD_*: what the kernels of a new context use */
  int32_t cuda_devices;     /* usable CUDA devices */
  int32_t reserved;
  int64_t memory_bytes;  /* physical memory */
  char version[32];      /* of this library */
  char cpu[96];          /* model name */
  char simd_reason[256]; /* why no higher level is used; empty when the highest is */
  char cuda_reason[256]; /* why no CUDA device is used; empty when one is */
  char blas[160];        /* name and version of the BLAS library */
  char cuda[160];        /* name, compute capability and memory of the first CUDA device; empty when there is none */
} tg_capabilities;

/* TG_ABI_VERSION of the library; compare with the header's before anything else. */
TG_API int32_t tg_abi_version(void);

/* What runs on this machine and why the rest does not. Needs no context. */
TG_API tg_status tg_capabilities_query(tg_capabilities* capabilities);

/*
 * Creates a context, which owns its worker threads. `error` (may be NULL) receives the reason of a failure, at most
 * `error_capacity` bytes with the final zero. The environment variable THREEGATE_SIMD (scalar, avx2, avx512) forces the
 * instruction set of the CPU kernels; a level that the machine lacks is TG_UNSUPPORTED, never replaced silently.
 */
TG_API tg_status tg_context_create(const tg_context_options* options, tg_context** context, char* error, int64_t error_capacity);

/* Frees a context. NULL is allowed. TG_BUSY while a call is running on it. */
TG_API tg_status tg_context_destroy(tg_context* context);

/* Copies the text of the context's last failure, truncated to capacity - 1 bytes and always terminated. */
TG_API tg_status tg_error_message(tg_context* context, char* buffer, int64_t capacity);

/* Number of CPU threads of the context. */
TG_API tg_status tg_context_threads(tg_context* context, int32_t* threads);

/* ---------------------------------------------------------------- memory ------------------------------------------ */

/* Allocates `bytes` (>= 0) bytes, 64-byte aligned, not initialised. */
TG_API tg_status tg_memory_allocate(int64_t bytes, void** memory);

/* Frees what tg_memory_allocate returned. NULL is allowed. */
TG_API tg_status tg_memory_free(void* memory);

/* Objects of this library that are alive: memory blocks, contexts and mapped files; and the bytes of the blocks. */
TG_API tg_status tg_live_objects(int64_t* objects, int64_t* bytes);

/* ---------------------------------------------------------------- mapped files ------------------------------------ */

typedef struct tg_mapped_file tg_mapped_file;

/*
 * Maps a file for reading, lazily. `data` is NULL for an empty file. A part of the file that disappears while it is
 * mapped (another process truncates it) is read as zeros and remembered: the kernel that touched it, and
 * tg_mapped_file_check, return TG_IO. `path` is in the file system's own encoding.
 */
TG_API tg_status tg_mapped_file_open(tg_context* context, const char* path, tg_mapped_file** file, const void** data,
                                     int64_t* bytes);

/* TG_IO when the file has changed (size, modification time) or lost mapped bytes since it was opened. */
TG_API tg_status tg_mapped_file_check(tg_context* context, tg_mapped_file* file);

/* Tells the operating system that [offset, offset + bytes) will be read soon (needed 1) or no more (needed 0). */
TG_API tg_status tg_mapped_file_advise(tg_context* context, tg_mapped_file* file, int64_t offset, int64_t bytes, int32_t needed);

/*
 * Copies [offset, offset + bytes) of the file to `destination` with read calls, not through the mapping: for what must not change
 * under its reader, such as a header. TG_IO when the file has become shorter or the device fails.
 */
TG_API tg_status tg_mapped_file_read(tg_context* context, tg_mapped_file* file, int64_t offset, int64_t bytes, void* destination);

/* Unmaps and closes. NULL is allowed. */
TG_API tg_status tg_mapped_file_close(tg_mapped_file* file);

/* ---------------------------------------------------------------- bf16-round-trip diff ---------------------------- */

#define TG_ULP_BINS 15

typedef struct tg_diff_options {
  int64_t size;
} tg_diff_options;

/*
 * Optional vectors; NULL: not wanted. All are overwritten, not added to. Element (i, j) counts as changed by the rule of
 * tg_diff_result.changed.
 */
typedef struct tg_diff_profiles {
  int64_t size;
  int64_t* row_changed;    /* rows entries */
  int64_t* column_changed; /* columns entries */
  /* One bit per entry: bit (j mod 64) of word i * ceil(columns / 64) + j / 64 is set when entry (i, j) changed. */
  uint64_t* mask;
  int64_t mask_words; /* capacity of mask, at least rows * ceil(columns / 64) */
  /* Number of changed entries in each cell of a map_rows x map_columns grid; entry (i, j) belongs to cell
     (i * map_rows / rows, j * map_columns / columns), rounded down. */
  int64_t* map;
  int64_t map_rows;    /* 1 .. rows */
  int64_t map_columns; /* 1 .. columns */
} tg_diff_profiles;

/*
 * a = an entry of base, b = the same entry of tuned, as stored (or as formed by the operand); A, B = a and b rounded to
 * bf16 (to nearest, ties to even, overflow to infinity; a NaN of another dtype to 0x7fc0). Sums, in float64, run over the entries
 * where a and b are both finite; their relative error is at most entries * 2^-53.
 */
typedef struct tg_diff_result {
  int64_t size;
  int64_t total;
  int64_t changed;        /* A and B differ; +0 equals -0, NaN equals NaN (P Def. 2.1, 2.2 with eta < 2^-8) */
  int64_t changed_bits;   /* A and B differ as bit patterns */
  int64_t changed_stored; /* a and b differ; +0 equals -0, NaN equals NaN */
  int64_t hidden;         /* changed_stored and not changed: what bf16 hides */
  int64_t non_finite;     /* a or b is infinite or NaN */
  int64_t sign_flips;     /* a * b < 0, both finite */
  /* |b - a|, rounded to float64, in units of the bf16 spacing at a: 0, (0,1/4], (1/4,1/2], (1/2,1], (1,2], (2,4], ...,
     (512,1024], above 1024; finite entries only. The spacing is 2^(e-7), e the exponent of a, at least 2^-133. */
  int64_t ulp_histogram[TG_ULP_BINS];
  double base_squares;   /* sum of a^2 */
  double delta_squares;  /* sum of (b - a)^2 */
  double delta_dot_base; /* sum of (b - a) * a */
  double max_abs_delta;  /* max |b - a|; 0 when there is no finite entry */
} tg_diff_result;

/* Bytes that tg_diff needs beside its inputs and outputs. */
TG_API tg_status tg_diff_workspace(tg_context* context, const tg_operand* bases, const tg_operand* tuned, int64_t count,
                                   const tg_diff_options* options, const tg_diff_profiles* profiles,
                                   tg_workspace_size* workspace_size);

/*
 * Compares `count` pairs of matrices, each of one shape, of any of the dtypes above, in one pass; on a CUDA device in as few
 * launches as memory allows, one where all operands are there. Counts are identical on every device, at every SIMD level and for
 * any number of threads; sums are identical for any number of threads and agree within 1e-12 relative between SIMD levels and
 * devices. Empty matrices are allowed. `profiles` NULL: none for any pair.
 */
TG_API tg_status tg_diff(tg_context* context, const tg_operand* bases, const tg_operand* tuned, int64_t count,
                         const tg_diff_options* options, tg_control* control, const tg_workspace* workspace,
                         const tg_diff_profiles* profiles, tg_diff_result* results);

/* ---------------------------------------------------------------- singular values --------------------------------- */

#define TG_SVD_GRAM_SINGLE 1   /* Gram matrix of the short side in float32 */
#define TG_SVD_GRAM_DOUBLE 2   /* the same in float64 */
#define TG_SVD_TRIANGLE 3      /* triangle of a QR decomposition, float64 */
#define TG_SVD_TRACKED 4       /* from the singular vectors of a matrix nearby */
#define TG_SVD_BLOCK_LANCZOS 5 /* in a Krylov space of the Gram matrix, float32: few triplets of a large matrix */
#define TG_SVD_CHEBYSHEV 6     /* by subspace iteration with Chebyshev filters, float32, on a CUDA device */

typedef struct tg_svd_options {
  int64_t size;
  int64_t rank;     /* k, the leading triplets wanted: 1 .. min(rows, columns) */
  double tolerance; /* what residual, orthogonality and spectrum_error may be at most */
  int32_t vectors;  /* 1: values and vectors; 0: values alone, from the spectrum */
  int32_t reserved; /* 0 */
} tg_svd_options;

/* The arrays are the caller's. All values are in float64 and of the matrix as it is, whatever was used to find them. */
typedef struct tg_svd_result {
  int64_t size;
  double* values;   /* rank singular values, descending */
  double* left;     /* rank x rows: row i is u_i. NULL without vectors */
  double* right;    /* rank x columns: row i is v_i. NULL without vectors */
  double* spectrum; /* all min(rows, columns) singular values, descending; NULL: not wanted */
  /* The certificate: max over i of |A v_i - sigma_i u_i| and |A^T u_i - sigma_i v_i|, over sigma_1. There are singular values of
     A within residual * sigma_1 of these. */
  double residual;
  double orthogonality; /* largest entry of |U U^T - 1| and |V V^T - 1|; residual and orthogonality are 0 without vectors */
  /* Estimate of the spectrum's largest error, over sigma_1: the rounding of as many terms as the short side has, over the
     smallest value where a Gram matrix was used. The proven bounds are larger by up to the long side. */
  double spectrum_error;
  int32_t method;   /* TG_SVD_*: what reached the tolerance */
  tg_status status; /* of this matrix: TG_OK; TG_NOT_CONVERGED, with what was reached; TG_INVALID_ARGUMENT: not finite */
} tg_svd_result;

/* Bytes that tg_svd needs beside its inputs and outputs. */
TG_API tg_status tg_svd_workspace(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                                  const tg_svd_options* options, const tg_svd_result* results, tg_workspace_size* workspace_size);

/*
 * Leading singular triplets of `count` matrices of any shapes and dtypes, or of their differences matrices[i] - subtracted[i]
 * (`subtracted` NULL: nothing is), which are formed as they are read. Every matrix is solved by one thread, several matrices
 * side by side: results do not depend on the number of threads. Entries are widened a panel at a time, never stored as a whole.
 * Returns TG_OK when every matrix reached its tolerance; otherwise the status of the first that did not, and all results are
 * filled nevertheless. control->done counts matrices; a cancellation stops in the middle of one. A short side above 16384 is
 * TG_UNSUPPORTED. On a CUDA device, all at once, go the matrices of which vectors without a spectrum are wanted, to 1e-5 or more,
 * and of which the vectors and half as many again (at least 16 more) are at most 512 and half of the short side. The others, and
 * those that did not come to their tolerance so, are decomposed there one by one by cuSOLVER where it can be loaded
 * (TG_SVD_GRAM_DOUBLE, with its workspace beside device_bytes; not with a start), and else on the CPU.
 */
TG_API tg_status tg_svd(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                        const tg_svd_options* options, tg_control* control, const tg_workspace* workspace,
                        tg_svd_result* results);

/* Singular values and vectors of a matrix nearby, all of them: what tg_svd found of a base serves every later checkpoint. */
typedef struct tg_svd_start {
  int64_t size;
  const double* values; /* min(rows, columns), descending */
  tg_matrix
      basis; /* F64 or F32, short side x short side: row i is the singular vector to values[i], of a square matrix the left one */
} tg_svd_start;

/*
 * tg_svd with a start for each matrix: up to two steps of Rayleigh-Ritz on the leading vectors, a first-order correction of each,
 * and eight random directions that turn to what entered from outside; then the same certificate. Where it is not reached (the
 * step was too large, or a direction entered that the start does not lead to), and where rank is above an eighth of the short
 * side, it does what tg_svd does; `method` says which. A certificate is of singular triplets; that they are the leading ones
 * rests on the start and on the random directions: a direction that enters barely above the others can be missed. Options must
 * ask for vectors and results for no spectrum.
 */
TG_API tg_status tg_svd_track_workspace(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted,
                                        int64_t count, const tg_svd_options* options, const tg_svd_start* starts,
                                        const tg_svd_result* results, tg_workspace_size* workspace_size);
TG_API tg_status tg_svd_track(tg_context* context, const tg_operand* matrices, const tg_operand* subtracted, int64_t count,
                              const tg_svd_options* options, const tg_svd_start* starts, tg_control* control,
                              const tg_workspace* workspace, tg_svd_result* results);

/*
 * Principal angles between the row spaces of two k x n matrices with orthonormal rows (F64 or F32, k <= n), in radians,
 * ascending; angles has room for k. cos of the i-th is the i-th singular value of first * second^T (P 4.1); angles below 45
 * degrees come from the sine form, singular values of second * (1 - first^T first) (Bjorck and Golub, "Numerical methods for
 * computing angles between linear subspaces", 1973), so that they are right to about 1e-15 plus the inputs' departure from
 * orthonormality.
 */
TG_API tg_status tg_principal_angles_workspace(tg_context* context, const tg_matrix* first, const tg_matrix* second,
                                               tg_workspace_size* workspace_size);
TG_API tg_status tg_principal_angles(tg_context* context, const tg_matrix* first, const tg_matrix* second,
                                     const tg_workspace* workspace, double* angles);

typedef struct tg_perturbation_options {
  int64_t size;
  int64_t count;             /* r, the short side */
  int64_t core_rows;         /* r .. 2 r */
  const double* base_values; /* r singular values of W0, descending */
  const float* core;         /* core_rows x r, row-major: an update as tg_rotate_update writes it */
  const int64_t* ranks;      /* each 1 .. r */
  int64_t rank_count;
} tg_perturbation_options;

typedef struct tg_perturbation_result {
  int64_t size;
  double* values;         /* r singular values of W0 + update, descending */
  double* long_angles;    /* of each rank in turn, k principal angles between leading subspaces of the long side, ascending */
  double* short_angles;   /* the same of the short side */
  double* energies;       /* 3 of each rank: of the update in the k leading directions of the long side, the short side, both */
  double total;           /* |update|^2 */
  double mixing;          /* mean over levels of the strength of mixing with all other levels but one: see below */
  double boundary_mixing; /* the same over the eight levels about a rank, the largest over the ranks */
} tg_perturbation_result;

/*
 * Singular values and leading subspaces of [diag(base_values); 0] + core by perturbation theory: first order from the diagonal,
 * second from pairs of levels, each pair solved exactly as a 2 x 2 matrix so that levels which nearly coincide do not matter.
 * What is neglected are levels that mix with more than one other. `mixing` sums g^2 / (gap^2 + g^2) over the pairs of a level
 * but its strongest, g = F_ij + F_ji: on random matrices the distance of the spectra is right to a fifth of its square, 0.2 % at
 * 0.1. Beyond that decompose the sum. The first order and the angles in float64, the second order of the values in float32.
 */
TG_API tg_status tg_svd_perturb_workspace(tg_context* context, const tg_perturbation_options* options,
                                          tg_workspace_size* workspace_size);
TG_API tg_status tg_svd_perturb(tg_context* context, const tg_perturbation_options* options, const tg_workspace* workspace,
                                tg_perturbation_result* result);

/* Squared Frobenius norms of D = matrix - subtracted and of its parts in given subspaces (P 4.2). */
typedef struct tg_projected_energy_result {
  int64_t size;
  double total;  /* |D|^2 */
  double left;   /* |U D|^2, U with orthonormal rows: the part in the span of U's rows */
  double right;  /* |D V^T|^2 */
  double both;   /* |U D V^T|^2 */
  double fourth; /* the sum of the fourth powers of D's entries */
} tg_projected_energy_result;

/*
 * `left` is k x rows, `right` k x columns, F64 or F32 with orthonormal rows; `subtracted` may be NULL. Sums in float64, formed
 * panel by panel: the difference is never stored.
 */
TG_API tg_status tg_projected_energy_workspace(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted,
                                               const tg_matrix* left, const tg_matrix* right, tg_workspace_size* workspace_size);
TG_API tg_status tg_projected_energy(tg_context* context, const tg_operand* matrix, const tg_operand* subtracted,
                                     const tg_matrix* left, const tg_matrix* right, const tg_workspace* workspace,
                                     tg_projected_energy_result* result);

/*
 * Variances, in the singular bases of a matrix, of the entries of an update whose own entries are independent with variances
 * table[c], c the bf16 magnitude code of the matrix' entry (15 bits): between directions i and j the sum over a, b of
 * left[i][a]^2 right[j][b]^2 table[c(a, b)]. `matrix` is plain BF16, `left` k x rows and `right` k x columns its leading singular
 * vectors (F64 or F32), `values` all its singular values, descending. Of the other directions two moments are known, the
 * completeness of the basis and the norms of rows and columns: their squares are taken to be linear in the squared singular
 * value. So `variances` is (k + 2) x (k + 2), row-major: the leading directions, the mean over all others, and the slope, by
 * which a direction departs from the mean in proportion to its level (tg_normal_update knows how). `table` has TG_MAGNITUDE_CODES
 * entries, none negative. Sums in float32, relative to the largest entry of the table.
 */
TG_API tg_status tg_projected_variances_workspace(tg_context* context, const tg_operand* matrix, const tg_matrix* left,
                                                  const tg_matrix* right, tg_workspace_size* workspace_size);
TG_API tg_status tg_projected_variances(tg_context* context, const tg_operand* matrix, const double* table, const double* values,
                                        const tg_matrix* left, const tg_matrix* right, const tg_workspace* workspace,
                                        double* variances);

/* ---------------------------------------------------------------- masks ------------------------------------------- */

/*
 * Scores to select by: |entries| of `matrix`, or, where that is NULL, |sum over i of values[i] * left[i, row] * right[i,
 * column]|, the reconstruction from `rank` singular triplets as tg_svd returns them (P 4.2), which is never stored.
 */
typedef struct tg_mask_scores {
  int64_t size;
  const tg_operand* matrix;
  const double* values; /* rank */
  const double* left;   /* rank x rows */
  const double* right;  /* rank x columns */
  int64_t rank;
  int64_t rows;
  int64_t columns;
} tg_mask_scores;

typedef struct tg_mask_options {
  int64_t size;
  int64_t count;    /* entries to select: 0 .. rows * columns */
  int32_t smallest; /* 0: the largest scores; 1: the smallest */
  int32_t reserved; /* 0 */
} tg_mask_options;

/*
 * Bytes that tg_mask_select needs beside its inputs and outputs: it does not grow with rows * columns. For triplets it also
 * allocates float32 copies of their vectors and at most about 50 MB for entries near the last selected one.
 */
TG_API tg_status tg_mask_select_workspace(tg_context* context, const tg_mask_scores* scores, const tg_mask_options* options,
                                          tg_workspace_size* workspace_size);

/*
 * Selects exactly options->count entries; of equal scores those with the lower row-major index. Bits are laid out as in
 * tg_diff_profiles.mask; bits beyond the columns are 0. Scores are computed in float64, the same for any number of threads. An
 * entry that is not finite is TG_INVALID_ARGUMENT. control->done counts entries looked at.
 */
TG_API tg_status tg_mask_select(tg_context* context, const tg_mask_scores* scores, const tg_mask_options* options,
                                tg_control* control, const tg_workspace* workspace, uint64_t* mask, int64_t mask_words);

#define TG_MASK_MOST_SETS 255

/* Masks of one shape, laid out as in tg_diff_profiles.mask; bits beyond the columns must be 0. */
typedef struct tg_mask_sets {
  int64_t size;
  const uint64_t* const* masks; /* count of them, each of rows * ceil(columns / 64) words */
  int64_t count;                /* 1 .. TG_MASK_MOST_SETS */
  int64_t rows;
  int64_t columns;
} tg_mask_sets;

#define TG_MASK_UNION 1
#define TG_MASK_INTERSECTION 2
#define TG_MASK_DIFFERENCE 3           /* entries of the first that no other has */
#define TG_MASK_SYMMETRIC_DIFFERENCE 4 /* entries that an odd number of them has */
#define TG_MASK_COMPLEMENT 5           /* entries that none has */

/*
 * Set algebra: combines masks into `result`, which may be one of them, or NULL where the number of entries alone is wanted.
 * `operation` is one of TG_MASK_*; *entries becomes the number of entries of the result.
 */
TG_API tg_status tg_mask_combine(tg_context* context, const tg_mask_sets* sets, int32_t operation, uint64_t* result,
                                 int64_t result_words, int64_t* entries);

/*
 * Overlaps: common[i * count + j] becomes the number of entries that masks i and j share (all that mask i has, for i = j),
 * memberships[i] the number of those that are in exactly i of them. `common` has count * count elements, `memberships` count + 1,
 * or is NULL.
 */
TG_API tg_status tg_mask_overlaps(tg_context* context, const tg_mask_sets* sets, int64_t* common, int64_t* memberships);

#define TG_MAGNITUDE_CODES 32768

/*
 * Counts entries by bf16 magnitude code (the 15 bits without the sign, of the value rounded to bf16): all of them, those in
 * `first`, those in `second`, those in both. Masks as in tg_diff_profiles.mask; each counter array has TG_MAGNITUDE_CODES
 * entries.
 */
TG_API tg_status tg_magnitude_histogram(tg_context* context, const tg_operand* matrix, const uint64_t* first,
                                        const uint64_t* second, int64_t* all, int64_t* in_first, int64_t* in_second,
                                        int64_t* in_both);

/*
 * Sums table[c] over the entries of each row and of each column, c their bf16 magnitude codes as above: with the share of changed
 * entries of each magnitude as the table, what magnitude alone lets one expect of row and column counts. `table` has
 * TG_MAGNITUDE_CODES entries, `row_sums` rows, `column_sums` columns.
 */
TG_API tg_status tg_magnitude_profile(tg_context* context, const tg_operand* matrix, const double* table, double* row_sums,
                                      double* column_sums);

/* ---------------------------------------------------------------- curvature --------------------------------------- */

/*
 * What a linear layer y = W x saw, one row a token: its inputs, N x n, and gradients with respect to its outputs, N x m. Of
 * log-likelihoods of labels that the model itself sampled they give its Fisher information, which is the generalised
 * Gauss-Newton matrix; of the data's labels the empirical Fisher. Any dtype; float32 and BF16 are not rounded. N is the
 * caller's: a longer sample is given in parts.
 */
typedef struct tg_layer_samples {
  int64_t size;
  tg_matrix input;
  tg_matrix gradient;
} tg_layer_samples;

/* A direction V in the space of the layer's m x n weights: entries, of a difference too, or factors, which are never multiplied.
 */
typedef struct tg_direction {
  int64_t size;
  const tg_operand* matrix;     /* m x n; NULL: factors */
  const tg_operand* subtracted; /* from matrix; NULL: nothing */
  const uint64_t* mask;         /* entries outside it count as 0; NULL: all count; as in tg_diff_profiles.mask */
  const tg_low_rank* low_rank;  /* the sum of these terms; with a matrix NULL */
  int64_t low_rank_count;
} tg_direction;

/* Writes the entries of a direction that is one of entries: m x n, float64, row by row. */
TG_API tg_status tg_direction_entries(tg_context* context, const tg_direction* direction, double* entries);

/*
 * slopes[d * N + t] = g_t' V_d x_t, the derivative of token t's objective along direction d, and squares[d] = |V_d|^2
 * (Frobenius), unless `squares` is NULL: the mean of squared slopes is V' F V. Products over n in float32, entries of V rounded
 * to it; sums over m in float64. The same for any number of threads. An entry that is not finite is TG_INVALID_ARGUMENT, with its
 * row. control->done counts tokens of a direction.
 */
TG_API tg_status tg_layer_slopes_workspace(tg_context* context, const tg_layer_samples* samples, const tg_direction* directions,
                                           int64_t count, tg_workspace_size* workspace_size);
TG_API tg_status tg_layer_slopes(tg_context* context, const tg_layer_samples* samples, const tg_direction* directions,
                                 int64_t count, tg_control* control, const tg_workspace* workspace, double* slopes,
                                 double* squares);

/*
 * Adds sum over t of weights[t] * left_t right_t' to `products` (left.columns x right.columns); weights NULL: all 1. With
 * gradients, slopes and inputs this is N F V; with inputs twice, or gradients twice, N times a factor of K-FAC (arXiv
 * 1503.05671). Products of 512 tokens in float32, their sum in float64; the same for any number of threads. Errors as above.
 */
TG_API tg_status tg_token_products_workspace(tg_context* context, const tg_matrix* left, const tg_matrix* right,
                                             tg_workspace_size* workspace_size);
TG_API tg_status tg_token_products(tg_context* context, const tg_matrix* left, const double* weights, const tg_matrix* right,
                                   tg_control* control, const tg_workspace* workspace, double* products);

/*
 * Products of a Hessian by finite differences of gradients that the caller computes. Parameters, directions and gradients are
 * `count` numbers one behind the other, TG_F32 or TG_F64, all on the host or all on the context's device. One pass over them
 * each; arithmetic and sums are float64, the same for any number of threads.
 */
typedef struct tg_displacement {
  int64_t size;
  const void* point;
  const void* direction;
  int64_t count;
  tg_dtype dtype;
  int32_t reserved; /* 0 */
  double step;
} tg_displacement;

/*
 * displaced = point + step * direction, rounded once. *rounding: the squared length of what the rounding adds, so of the
 * difference between displaced - point and step * direction (of TG_F64 to within a factor of two where the displacement exceeds
 * the point). `displaced` may be `point` or `direction`.
 */
TG_API tg_status tg_displace(tg_context* context, const tg_displacement* displacement, void* displaced, double* rounding);

typedef struct tg_gradient_difference {
  int64_t size;
  const void* ahead;     /* the gradient at point + step * direction */
  const void* behind;    /* and at point - step * direction */
  const void* wider;     /* the product from a step twice as wide; NULL: none */
  const void* direction; /* v */
  int64_t count;
  tg_dtype dtype;
  int32_t reserved; /* 0 */
  double step;
} tg_gradient_difference;

typedef struct tg_difference_sums {
  int64_t size;
  double ahead;  /* squared lengths of the gradients */
  double behind; /* */
  double change; /* and of what the extrapolation changed */
  double along;  /* product . direction */
} tg_difference_sums;

/*
 * product = (ahead - behind) / (2 step), H v up to the third derivative times the step's square; with `wider` Richardson's
 * (4 narrow - wider) / 3, up to its fourth power (Nocedal and Wright, Numerical Optimization, section 8.1). Sums are of what came
 * before the rounding to dtype. `product` may be any of the inputs. Numbers that are not finite make sums that are not.
 */
TG_API tg_status tg_difference_gradients(tg_context* context, const tg_gradient_difference* difference, void* product,
                                         tg_difference_sums* sums);

/* ---------------------------------------------------------------- weight patches ---------------------------------- */

/*
 * What a step of training changes of stored weights, bit for bit: a flip of the sign of zero counts, and a NaN is its bits.
 * Elements are `width` bytes each, of any dtype. Everything is on the host, or everything on the context's device, where elements
 * and values lie at multiples of their width and positions at multiples of 4.
 */
#define TG_PATCH_OVERWRITE 1 /* values are the new bits */
#define TG_PATCH_XOR 2       /* values are the old bits xor the new ones: applied twice it undoes itself */

typedef struct tg_patch_pair {
  int64_t size;
  const void* before;
  const void* after;
  int64_t count; /* elements: 0 .. 2^32 */
  int64_t first; /* position of the first one: those of the last one's are below 2^32 */
  int32_t width; /* 1, 2, 4 or 8 */
  int32_t form;  /* TG_PATCH_* */
} tg_patch_pair;

typedef struct tg_patch_entries {
  int64_t size;
  uint32_t* positions; /* of elements, strictly ascending */
  void* values;        /* `width` bytes each */
  int64_t count;       /* room for so many, or so many there are */
  int32_t width;       /* 1, 2, 4 or 8 */
  int32_t form;        /* TG_PATCH_* */
} tg_patch_entries;

/*
 * Positions (from `first` on) and values of all elements that differ, in one pass (two on a device); *changed: how many. Where
 * there is not room for all of them *changed is right and what was written is not to be used. The same for any number of threads
 * and on every device. `entries` has the pair's width and form.
 */
TG_API tg_status tg_patch_extract(tg_context* context, const tg_patch_pair* pair, const tg_patch_entries* entries,
                                  int64_t* changed);

/*
 * Writes entries to the `count` elements at `target`, in place. Positions are checked before anything is written:
 * TG_INVALID_ARGUMENT names the first one that does not ascend or is not below `count`.
 */
TG_API tg_status tg_patch_apply(tg_context* context, const tg_patch_entries* entries, void* target, int64_t count);

/*
 * *differing: of how many entries, whose values are the new bits, the `count` elements at `target` have others. Positions are
 * checked as by tg_patch_apply.
 */
TG_API tg_status tg_patch_verify(tg_context* context, const tg_patch_entries* entries, const void* target, int64_t count,
                                 int64_t* differing);

/*
 * Of `count` ascending positions the gaps g_k = i_k - i_(k-1) - 1, the first from `previous` (-1 before all), in place; and back,
 * where a sum of 2^32 and more is TG_INVALID_ARGUMENT and leaves what was summed up to there, on a device nothing.
 */
TG_API tg_status tg_patch_gaps(tg_context* context, uint32_t* positions, int64_t count, int64_t previous);
TG_API tg_status tg_patch_positions(tg_context* context, uint32_t* gaps, int64_t count, int64_t previous);

/*
 * `count` elements of `width` bytes as `width` planes of `count` bytes, the lowest byte's first, and back: bytes of
 * one significance are alike, so that a compressor finds them. `to` overlaps nothing of `from`.
 */
TG_API tg_status tg_byte_planes(tg_context* context, const void* from, int64_t count, int32_t width, void* to);
TG_API tg_status tg_byte_elements(tg_context* context, const void* from, int64_t count, int32_t width, void* to);

/* ---------------------------------------------------------------- null updates ------------------------------------ */

#define TG_PERTURB_GAUSSIAN 1 /* independent normal entries of one deviation */
#define TG_PERTURB_PERMUTED 2 /* the entries of tuned - base at random positions */

typedef struct tg_perturb_options {
  int64_t size;
  int32_t kind;     /* TG_PERTURB_* */
  tg_dtype dtype;   /* of the result: TG_F32, or TG_BF16 with rounding to nearest even (Gaussian only) */
  int64_t seed;     /* any; random numbers are Philox4x32-10 of (seed, draw, position) */
  int64_t draw;     /* 0 .. 2^32 - 1: draws of one seed are independent */
  double deviation; /* standard deviation of an entry (Gaussian only) */
} tg_perturb_options;

/*
 * Writes base + a random update: what the measures of a true update are held against. `tuned` is read for TG_PERTURB_PERMUTED
 * alone and may be NULL otherwise. `perturbed` has room for rows * columns entries of options->dtype, row-major. Normal numbers
 * are good to about 1e-7. The same seed and draw give the same bits at every instruction set.
 */
TG_API tg_status tg_perturb(tg_context* context, const tg_operand* base, const tg_operand* tuned,
                            const tg_perturb_options* options, tg_control* control, void* perturbed);

typedef struct tg_rotation_options {
  int64_t size;
  int64_t count;     /* r, the short side */
  int64_t long_side; /* m >= r */
  int64_t seed;      /* as in tg_perturb_options */
  int64_t draw;
  const double* update_values; /* r singular values of the update */
} tg_rotation_options;

/*
 * An update with the same singular values in random directions: P S Q^T with Haar-distributed P (m x r) and Q (r x r). In the
 * singular bases of W0 (the unit vectors there) it has the same distribution, and of the m - r rows below the first r only the
 * triangle of their QR factorisation matters to the singular values of [diag(values of W0); 0] + P S Q^T, to right singular
 * vectors and to angles with the first r left directions. So what is written is the core of the update, (r + min(r, m - r)) x r,
 * row-major; columns are the short side.
 */
TG_API tg_status tg_rotate_update_workspace(tg_context* context, const tg_rotation_options* options,
                                            tg_workspace_size* workspace_size);
TG_API tg_status tg_rotate_update(tg_context* context, const tg_rotation_options* options, const tg_workspace* workspace,
                                  float* core);

typedef struct tg_shuffle_options {
  int64_t size;
  int64_t count;     /* r, the short side */
  int64_t core_rows; /* r .. 2 r */
  int64_t seed;      /* as in tg_perturb_options */
  int64_t draw;
} tg_shuffle_options;

/*
 * Puts the first r rows of a core, and its columns, in random order. Haar measure is invariant under that: of a core that
 * tg_rotate_update wrote it makes another draw of the same distribution, at the cost of a copy. Such draws are made of the same
 * numbers in other places.
 */
TG_API tg_status tg_shuffle_update(tg_context* context, const tg_shuffle_options* options, const float* core, float* shuffled);

typedef struct tg_normal_options {
  int64_t size;
  int64_t count;     /* r, the short side */
  int64_t long_side; /* m >= r */
  int64_t leading;   /* k: directions with variances of their own, 0 .. r */
  int64_t seed;      /* as in tg_perturb_options */
  int64_t draw;
  const double* values;    /* r singular values of W0, descending: they place the other directions */
  const double* variances; /* (k + 2) x (k + 2), of directions of the long side by those of the short one, see
                              tg_projected_variances; with k = 0, {v, 0, 0, 0} is v everywhere */
} tg_normal_options;

/*
 * The core, as in tg_rotate_update, of an update whose entries in the singular bases of W0 are independent normal numbers of the
 * given variances. That is what the entries of any update with many independent, or permuted, entries come to, by the
 * central limit theorem: in those bases each is a sum over all of them.
 */
TG_API tg_status tg_normal_update(tg_context* context, const tg_normal_options* options, float* core);

/* ---------------------------------------------------------------- digests ----------------------------------------- */

typedef struct tg_span {
  const void* data;
  int64_t bytes;
} tg_span;

/*
 * SHA-256 (FIPS 180-4) of `count` byte ranges; digest i goes to digests + 32 * i. Each thread keeps up to four ranges in step,
 * which is almost twice as fast as one after the other. control->done counts bytes.
 */
TG_API tg_status tg_sha256(tg_context* context, const tg_span* spans, int64_t count, tg_control* control, uint8_t* digests);

#define TG_XXH3_STATE_BYTES 704

typedef struct tg_xxh3_part {
  void* state; /* TG_XXH3_STATE_BYTES that stay where they are until the digest is taken; zeros: of no bytes yet */
  const void* data;
  int64_t bytes;
} tg_xxh3_part;

/*
 * XXH3 of 128 bits, seed 0 (xxHash's reference implementation, at the width of this machine's vectors), of bytes that come part
 * by part, on the host. Each part is added to a state of its own, each in a thread of its own: as fast as the memory. No
 * cryptographic digest: it finds accidents, not forgeries. `digest`: 16 bytes in the canonical order, as xxhsum prints them; the
 * state may go on.
 */
TG_API tg_status tg_xxh3_update(tg_context* context, const tg_xxh3_part* parts, int64_t count);
TG_API tg_status tg_xxh3_digest(tg_context* context, const void* state, uint8_t* digest);

#ifdef __cplusplus
}
#endif

#endif /* THREEGATE_THREEGATE_H */
