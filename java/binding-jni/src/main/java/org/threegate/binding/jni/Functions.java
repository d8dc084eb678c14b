package org.threegate.binding.jni;

import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.NoException;
import org.bytedeco.javacpp.annotation.Platform;

/**
 * The C functions. JavaCPP generates the shim; the C++ compiler checks each declaration against the
 * header.
 */
@Platform(
    include = {"threegate/threegate.h", "buffers.h"},
    link = "threegate")
@NoException
final class Functions {
  private Functions() {}

  @Name("tg_abi_version")
  static native int abiVersion();

  @Name("tg_capabilities_query")
  static native int capabilitiesQuery(@Cast("tg_capabilities*") long capabilities);

  @Name("tg_context_create")
  static native int contextCreate(
      @Cast("const tg_context_options*") long options,
      @Cast("tg_context**") long context,
      @Cast("char*") long error,
      long errorCapacity);

  @Name("tg_context_destroy")
  static native int contextDestroy(@Cast("tg_context*") long context);

  @Name("tg_context_threads")
  static native int contextThreads(
      @Cast("tg_context*") long context, @Cast("int32_t*") long threads);

  @Name("tg_error_message")
  static native int errorMessage(
      @Cast("tg_context*") long context, @Cast("char*") long buffer, long capacity);

  @Name("tg_memory_allocate")
  static native int memoryAllocate(long bytes, @Cast("void**") long memory);

  @Name("tg_memory_free")
  static native int memoryFree(@Cast("void*") long memory);

  @Name("tg_live_objects")
  static native int liveObjects(@Cast("int64_t*") long objects, @Cast("int64_t*") long bytes);

  @Name("tg_mapped_file_open")
  static native int mappedFileOpen(
      @Cast("tg_context*") long context,
      @Cast("const char*") long path,
      @Cast("tg_mapped_file**") long file,
      @Cast("const void**") long data,
      @Cast("int64_t*") long bytes);

  @Name("tg_mapped_file_check")
  static native int mappedFileCheck(
      @Cast("tg_context*") long context, @Cast("tg_mapped_file*") long file);

  @Name("tg_mapped_file_advise")
  static native int mappedFileAdvise(
      @Cast("tg_context*") long context,
      @Cast("tg_mapped_file*") long file,
      long offset,
      long bytes,
      int needed);

  @Name("tg_mapped_file_read")
  static native int mappedFileRead(
      @Cast("tg_context*") long context,
      @Cast("tg_mapped_file*") long file,
      long offset,
      long bytes,
      @Cast("void*") long destination);

  @Name("tg_mapped_file_close")
  static native int mappedFileClose(@Cast("tg_mapped_file*") long file);

  @Name("tg_svd_workspace")
  static native int svdWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrices,
      @Cast("const tg_operand*") long subtracted,
      long count,
      @Cast("const tg_svd_options*") long options,
      @Cast("const tg_svd_result*") long results,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_svd")
  static native int svd(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrices,
      @Cast("const tg_operand*") long subtracted,
      long count,
      @Cast("const tg_svd_options*") long options,
      @Cast("tg_control*") long control,
      @Cast("const tg_workspace*") long workspace,
      @Cast("tg_svd_result*") long results);

  @Name("tg_svd_track_workspace")
  static native int svdTrackWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrices,
      @Cast("const tg_operand*") long subtracted,
      long count,
      @Cast("const tg_svd_options*") long options,
      @Cast("const tg_svd_start*") long starts,
      @Cast("const tg_svd_result*") long results,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_svd_track")
  static native int svdTrack(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrices,
      @Cast("const tg_operand*") long subtracted,
      long count,
      @Cast("const tg_svd_options*") long options,
      @Cast("const tg_svd_start*") long starts,
      @Cast("tg_control*") long control,
      @Cast("const tg_workspace*") long workspace,
      @Cast("tg_svd_result*") long results);

  @Name("tg_principal_angles_workspace")
  static native int principalAnglesWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_matrix*") long first,
      @Cast("const tg_matrix*") long second,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_principal_angles")
  static native int principalAngles(
      @Cast("tg_context*") long context,
      @Cast("const tg_matrix*") long first,
      @Cast("const tg_matrix*") long second,
      @Cast("const tg_workspace*") long workspace,
      @Cast("double*") long angles);

  @Name("tg_projected_energy_workspace")
  static native int projectedEnergyWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrix,
      @Cast("const tg_operand*") long subtracted,
      @Cast("const tg_matrix*") long left,
      @Cast("const tg_matrix*") long right,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_projected_energy")
  static native int projectedEnergy(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrix,
      @Cast("const tg_operand*") long subtracted,
      @Cast("const tg_matrix*") long left,
      @Cast("const tg_matrix*") long right,
      @Cast("const tg_workspace*") long workspace,
      @Cast("tg_projected_energy_result*") long result);

  @Name("tg_projected_variances_workspace")
  static native int projectedVariancesWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrix,
      @Cast("const tg_matrix*") long left,
      @Cast("const tg_matrix*") long right,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_projected_variances")
  static native int projectedVariances(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrix,
      @Cast("const double*") long table,
      @Cast("const double*") long values,
      @Cast("const tg_matrix*") long left,
      @Cast("const tg_matrix*") long right,
      @Cast("const tg_workspace*") long workspace,
      @Cast("double*") long variances);

  @Name("tg_svd_perturb_workspace")
  static native int svdPerturbWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_perturbation_options*") long options,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_svd_perturb")
  static native int svdPerturb(
      @Cast("tg_context*") long context,
      @Cast("const tg_perturbation_options*") long options,
      @Cast("const tg_workspace*") long workspace,
      @Cast("tg_perturbation_result*") long result);

  @Name("tg_mask_select_workspace")
  static native int maskSelectWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_mask_scores*") long scores,
      @Cast("const tg_mask_options*") long options,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_mask_select")
  static native int maskSelect(
      @Cast("tg_context*") long context,
      @Cast("const tg_mask_scores*") long scores,
      @Cast("const tg_mask_options*") long options,
      @Cast("tg_control*") long control,
      @Cast("const tg_workspace*") long workspace,
      @Cast("uint64_t*") long mask,
      long maskWords);

  @Name("tg_mask_combine")
  static native int maskCombine(
      @Cast("tg_context*") long context,
      @Cast("const tg_mask_sets*") long sets,
      int operation,
      @Cast("uint64_t*") long result,
      long resultWords,
      @Cast("int64_t*") long entries);

  @Name("tg_mask_overlaps")
  static native int maskOverlaps(
      @Cast("tg_context*") long context,
      @Cast("const tg_mask_sets*") long sets,
      @Cast("int64_t*") long common,
      @Cast("int64_t*") long memberships);

  @Name("tg_magnitude_histogram")
  static native int magnitudeHistogram(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrix,
      @Cast("const uint64_t*") long first,
      @Cast("const uint64_t*") long second,
      @Cast("int64_t*") long all,
      @Cast("int64_t*") long inFirst,
      @Cast("int64_t*") long inSecond,
      @Cast("int64_t*") long inBoth);

  @Name("tg_magnitude_profile")
  static native int magnitudeProfile(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long matrix,
      @Cast("const double*") long table,
      @Cast("double*") long rowSums,
      @Cast("double*") long columnSums);

  @Name("tg_direction_entries")
  static native int directionEntries(
      @Cast("tg_context*") long context,
      @Cast("const tg_direction*") long direction,
      @Cast("double*") long entries);

  @Name("tg_layer_slopes_workspace")
  static native int layerSlopesWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_layer_samples*") long samples,
      @Cast("const tg_direction*") long directions,
      long count,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_layer_slopes")
  static native int layerSlopes(
      @Cast("tg_context*") long context,
      @Cast("const tg_layer_samples*") long samples,
      @Cast("const tg_direction*") long directions,
      long count,
      @Cast("tg_control*") long control,
      @Cast("const tg_workspace*") long workspace,
      @Cast("double*") long slopes,
      @Cast("double*") long squares);

  @Name("tg_token_products_workspace")
  static native int tokenProductsWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_matrix*") long left,
      @Cast("const tg_matrix*") long right,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_token_products")
  static native int tokenProducts(
      @Cast("tg_context*") long context,
      @Cast("const tg_matrix*") long left,
      @Cast("const double*") long weights,
      @Cast("const tg_matrix*") long right,
      @Cast("tg_control*") long control,
      @Cast("const tg_workspace*") long workspace,
      @Cast("double*") long products);

  @Name("tg_displace")
  static native int displace(
      @Cast("tg_context*") long context,
      @Cast("const tg_displacement*") long displacement,
      @Cast("void*") long displaced,
      @Cast("double*") long rounding);

  @Name("tg_difference_gradients")
  static native int differenceGradients(
      @Cast("tg_context*") long context,
      @Cast("const tg_gradient_difference*") long difference,
      @Cast("void*") long product,
      @Cast("tg_difference_sums*") long sums);

  @Name("tg_patch_extract")
  static native int patchExtract(
      @Cast("tg_context*") long context,
      @Cast("const tg_patch_pair*") long pair,
      @Cast("const tg_patch_entries*") long entries,
      @Cast("int64_t*") long changed);

  @Name("tg_patch_apply")
  static native int patchApply(
      @Cast("tg_context*") long context,
      @Cast("const tg_patch_entries*") long entries,
      @Cast("void*") long target,
      long count);

  @Name("tg_patch_verify")
  static native int patchVerify(
      @Cast("tg_context*") long context,
      @Cast("const tg_patch_entries*") long entries,
      @Cast("const void*") long target,
      long count,
      @Cast("int64_t*") long differing);

  @Name("tg_patch_gaps")
  static native int patchGaps(
      @Cast("tg_context*") long context,
      @Cast("uint32_t*") long positions,
      long count,
      long previous);

  @Name("tg_patch_positions")
  static native int patchPositions(
      @Cast("tg_context*") long context, @Cast("uint32_t*") long gaps, long count, long previous);

  @Name("tg_byte_planes")
  static native int bytePlanes(
      @Cast("tg_context*") long context,
      @Cast("const void*") long from,
      long count,
      int width,
      @Cast("void*") long to);

  @Name("tg_byte_elements")
  static native int byteElements(
      @Cast("tg_context*") long context,
      @Cast("const void*") long from,
      long count,
      int width,
      @Cast("void*") long to);

  @Name("tg_perturb")
  static native int perturb(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long base,
      @Cast("const tg_operand*") long tuned,
      @Cast("const tg_perturb_options*") long options,
      @Cast("tg_control*") long control,
      @Cast("void*") long perturbed);

  @Name("tg_rotate_update_workspace")
  static native int rotateUpdateWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_rotation_options*") long options,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_rotate_update")
  static native int rotateUpdate(
      @Cast("tg_context*") long context,
      @Cast("const tg_rotation_options*") long options,
      @Cast("const tg_workspace*") long workspace,
      @Cast("float*") long core);

  @Name("tg_shuffle_update")
  static native int shuffleUpdate(
      @Cast("tg_context*") long context,
      @Cast("const tg_shuffle_options*") long options,
      @Cast("const float*") long core,
      @Cast("float*") long shuffled);

  @Name("tg_normal_update")
  static native int normalUpdate(
      @Cast("tg_context*") long context,
      @Cast("const tg_normal_options*") long options,
      @Cast("float*") long core);

  @Name("tg_diff_workspace")
  static native int diffWorkspace(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long bases,
      @Cast("const tg_operand*") long tuned,
      long count,
      @Cast("const tg_diff_options*") long options,
      @Cast("const tg_diff_profiles*") long profiles,
      @Cast("tg_workspace_size*") long workspaceSize);

  @Name("tg_diff")
  static native int diff(
      @Cast("tg_context*") long context,
      @Cast("const tg_operand*") long bases,
      @Cast("const tg_operand*") long tuned,
      long count,
      @Cast("const tg_diff_options*") long options,
      @Cast("tg_control*") long control,
      @Cast("const tg_workspace*") long workspace,
      @Cast("const tg_diff_profiles*") long profiles,
      @Cast("tg_diff_result*") long results);

  @Name("tg_sha256")
  static native int sha256(
      @Cast("tg_context*") long context,
      @Cast("const tg_span*") long spans,
      long count,
      @Cast("tg_control*") long control,
      @Cast("uint8_t*") long digests);

  @Name("tg_xxh3_update")
  static native int xxh3Update(
      @Cast("tg_context*") long context, @Cast("const tg_xxh3_part*") long parts, long count);

  @Name("tg_xxh3_digest")
  static native int xxh3Digest(
      @Cast("tg_context*") long context,
      @Cast("const void*") long state,
      @Cast("uint8_t*") long digest);
}
