/* Checks that the header compiles as C11, and that structs have the layout on which both Java bindings rely. */
#include <stddef.h>

#include "threegate/threegate.h"

#define OFFSET(type, field, expected) _Static_assert(offsetof(type, field) == (expected), #type "." #field)
#define SIZE(type, expected) _Static_assert(sizeof(type) == (expected), #type)

SIZE(tg_matrix, 40);
OFFSET(tg_matrix, rows, 8);
OFFSET(tg_matrix, row_stride, 24);
OFFSET(tg_matrix, dtype, 32);
SIZE(tg_low_rank, 88);
OFFSET(tg_low_rank, scale, 80);
SIZE(tg_operand, 120);
OFFSET(tg_operand, block_scale, 48);
OFFSET(tg_operand, block_rows, 88);
OFFSET(tg_operand, low_rank, 104);
SIZE(tg_codes, 128);
OFFSET(tg_codes, order, 52);
OFFSET(tg_codes, group_of, 120);
SIZE(tg_control, 32);
OFFSET(tg_control, cancel, 8);
OFFSET(tg_control, done, 16);
SIZE(tg_workspace_size, 24);
SIZE(tg_workspace, 40);
SIZE(tg_context_options, 24);
SIZE(tg_capabilities, 1248);
OFFSET(tg_capabilities, version, 32);
OFFSET(tg_capabilities, cpu, 64);
OFFSET(tg_capabilities, simd_reason, 160);
OFFSET(tg_capabilities, cuda_reason, 416);
OFFSET(tg_capabilities, blas, 672);
OFFSET(tg_capabilities, cuda, 832);
OFFSET(tg_capabilities, blas_file, 992);
SIZE(tg_diff_options, 8);
SIZE(tg_diff_profiles, 64);
OFFSET(tg_diff_profiles, map, 40);
SIZE(tg_diff_result, 216);
OFFSET(tg_diff_result, ulp_histogram, 64);
OFFSET(tg_diff_result, base_squares, 184);
SIZE(tg_patch_pair, 48);
OFFSET(tg_patch_pair, form, 44);
SIZE(tg_patch_files, 80);
OFFSET(tg_patch_files, before_state, 56);
OFFSET(tg_patch_files, form, 76);
SIZE(tg_patch_entries, 40);
OFFSET(tg_patch_entries, width, 32);
SIZE(tg_displacement, 48);
OFFSET(tg_displacement, step, 40);
SIZE(tg_gradient_difference, 64);
OFFSET(tg_gradient_difference, step, 56);
SIZE(tg_difference_sums, 40);
OFFSET(tg_difference_sums, along, 32);
SIZE(tg_mask_sets, 40);
OFFSET(tg_mask_sets, columns, 32);
SIZE(tg_layer_samples, 88);
OFFSET(tg_layer_samples, gradient, 48);
SIZE(tg_direction, 48);
OFFSET(tg_direction, low_rank, 32);
SIZE(tg_residual, 48);
OFFSET(tg_residual, column_factors, 40);
SIZE(tg_rescaling_options, 24);
SIZE(tg_rescaling_term, 24);
SIZE(tg_rescaling, 168);
OFFSET(tg_rescaling, common_term, 40);
OFFSET(tg_rescaling, update_squares, 112);
OFFSET(tg_rescaling, status, 160);
SIZE(tg_dtype_change_result, 40);
SIZE(tg_sign_flip_moments, 32);
SIZE(tg_sign_flip_energy_options, 40);
SIZE(tg_sign_flip_options, 32);
OFFSET(tg_sign_flip_options, flips, 28);
SIZE(tg_change_model, 48);
OFFSET(tg_change_model, bin_ends, 40);
SIZE(tg_change_options, 24);
SIZE(tg_change_logits, 64);
OFFSET(tg_change_logits, status, 56);
SIZE(tg_change_score_result, 72);
OFFSET(tg_change_score_result, status, 64);
SIZE(tg_span, 16);
OFFSET(tg_span, bytes, 8);
SIZE(tg_xxh3_part, 24);
OFFSET(tg_xxh3_part, bytes, 16);

int32_t abi_version_in_c(void);
int32_t abi_version_in_c(void) { return tg_abi_version(); }
