package org.threegate.binding.ffm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.util.Map;
import org.threegate.spi.KernelBinding;

/**
 * Passes each call on. Addresses are longs, as in the JNI binding. The handles are constants of
 * this class, which is what lets the JVM compile a call through them to a plain call; they are
 * bound when the first instance is made, and a JVM makes one.
 */
final class FfmBinding implements KernelBinding {
  private static DynamicLibrary library;

  /** Every C function and its signature; a test compares this table with the JNI declarations. */
  static final Map<String, FunctionDescriptor> FUNCTIONS =
      Map.ofEntries(
          Map.entry("tg_abi_version", FunctionDescriptor.of(JAVA_INT)),
          Map.entry("tg_capabilities_query", FunctionDescriptor.of(JAVA_INT, JAVA_LONG)),
          Map.entry(
              "tg_context_create",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry("tg_context_destroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG)),
          Map.entry("tg_context_threads", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_error_message", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry("tg_memory_allocate", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_sha256",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_xxh3_update", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_xxh3_digest", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry("tg_memory_free", FunctionDescriptor.of(JAVA_INT, JAVA_LONG)),
          Map.entry("tg_live_objects", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_mapped_file_open",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry("tg_mapped_file_check", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_mapped_file_advise",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT)),
          Map.entry(
              "tg_mapped_file_read",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry("tg_mapped_file_close", FunctionDescriptor.of(JAVA_INT, JAVA_LONG)),
          Map.entry(
              "tg_svd_workspace",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG)),
          Map.entry(
              "tg_svd",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_svd_track_workspace",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_svd_track",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_principal_angles_workspace",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_principal_angles",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_projected_energy_workspace",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_projected_energy",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG)),
          Map.entry(
              "tg_projected_variances_workspace",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_projected_variances",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_svd_perturb_workspace",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_svd_perturb",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_mask_select_workspace",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_mask_select",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG)),
          Map.entry(
              "tg_mask_combine",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_mask_overlaps",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_magnitude_histogram",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_magnitude_profile",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_direction_entries",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_layer_slopes_workspace",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_layer_slopes",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_token_products_workspace",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_token_products",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG)),
          Map.entry(
              "tg_displace",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_difference_gradients",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_patch_extract",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_patch_apply",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_patch_verify",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_patch_gaps",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_patch_positions",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_byte_planes",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG)),
          Map.entry(
              "tg_byte_elements",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG)),
          Map.entry(
              "tg_perturb",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_rotate_update_workspace",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_rotate_update",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_shuffle_update",
              FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_normal_update", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG)),
          Map.entry(
              "tg_diff_workspace",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG)),
          Map.entry(
              "tg_diff",
              FunctionDescriptor.of(
                  JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                  JAVA_LONG, JAVA_LONG, JAVA_LONG)));

  /** Bound when first used, after the library is there. */
  private static final class Handles {
    static final MethodHandle ABI_VERSION = bind("tg_abi_version");
    static final MethodHandle CAPABILITIES_QUERY = bind("tg_capabilities_query");
    static final MethodHandle CONTEXT_CREATE = bind("tg_context_create");
    static final MethodHandle CONTEXT_DESTROY = bind("tg_context_destroy");
    static final MethodHandle CONTEXT_THREADS = bind("tg_context_threads");
    static final MethodHandle ERROR_MESSAGE = bind("tg_error_message");
    static final MethodHandle MEMORY_ALLOCATE = bind("tg_memory_allocate");
    static final MethodHandle MEMORY_FREE = bind("tg_memory_free");
    static final MethodHandle LIVE_OBJECTS = bind("tg_live_objects");
    static final MethodHandle MAPPED_FILE_OPEN = bind("tg_mapped_file_open");
    static final MethodHandle MAPPED_FILE_CHECK = bind("tg_mapped_file_check");
    static final MethodHandle MAPPED_FILE_ADVISE = bind("tg_mapped_file_advise");
    static final MethodHandle MAPPED_FILE_READ = bind("tg_mapped_file_read");
    static final MethodHandle MAPPED_FILE_CLOSE = bind("tg_mapped_file_close");
    static final MethodHandle SVD_WORKSPACE = bind("tg_svd_workspace");
    static final MethodHandle SVD = bind("tg_svd");
    static final MethodHandle SVD_TRACK_WORKSPACE = bind("tg_svd_track_workspace");
    static final MethodHandle SVD_TRACK = bind("tg_svd_track");
    static final MethodHandle PRINCIPAL_ANGLES_WORKSPACE = bind("tg_principal_angles_workspace");
    static final MethodHandle PRINCIPAL_ANGLES = bind("tg_principal_angles");
    static final MethodHandle PROJECTED_ENERGY_WORKSPACE = bind("tg_projected_energy_workspace");
    static final MethodHandle PROJECTED_ENERGY = bind("tg_projected_energy");
    static final MethodHandle PROJECTED_VARIANCES_WORKSPACE =
        bind("tg_projected_variances_workspace");
    static final MethodHandle PROJECTED_VARIANCES = bind("tg_projected_variances");
    static final MethodHandle SVD_PERTURB_WORKSPACE = bind("tg_svd_perturb_workspace");
    static final MethodHandle SVD_PERTURB = bind("tg_svd_perturb");
    static final MethodHandle MASK_SELECT_WORKSPACE = bind("tg_mask_select_workspace");
    static final MethodHandle MASK_SELECT = bind("tg_mask_select");
    static final MethodHandle MASK_COMBINE = bind("tg_mask_combine");
    static final MethodHandle MASK_OVERLAPS = bind("tg_mask_overlaps");
    static final MethodHandle MAGNITUDE_HISTOGRAM = bind("tg_magnitude_histogram");
    static final MethodHandle MAGNITUDE_PROFILE = bind("tg_magnitude_profile");
    static final MethodHandle DIRECTION_ENTRIES = bind("tg_direction_entries");
    static final MethodHandle LAYER_SLOPES_WORKSPACE = bind("tg_layer_slopes_workspace");
    static final MethodHandle LAYER_SLOPES = bind("tg_layer_slopes");
    static final MethodHandle TOKEN_PRODUCTS_WORKSPACE = bind("tg_token_products_workspace");
    static final MethodHandle TOKEN_PRODUCTS = bind("tg_token_products");
    static final MethodHandle DISPLACE = bind("tg_displace");
    static final MethodHandle DIFFERENCE_GRADIENTS = bind("tg_difference_gradients");
    static final MethodHandle PATCH_EXTRACT = bind("tg_patch_extract");
    static final MethodHandle PATCH_APPLY = bind("tg_patch_apply");
    static final MethodHandle PATCH_VERIFY = bind("tg_patch_verify");
    static final MethodHandle PATCH_GAPS = bind("tg_patch_gaps");
    static final MethodHandle PATCH_POSITIONS = bind("tg_patch_positions");
    static final MethodHandle BYTE_PLANES = bind("tg_byte_planes");
    static final MethodHandle BYTE_ELEMENTS = bind("tg_byte_elements");
    static final MethodHandle PERTURB = bind("tg_perturb");
    static final MethodHandle ROTATE_UPDATE_WORKSPACE = bind("tg_rotate_update_workspace");
    static final MethodHandle ROTATE_UPDATE = bind("tg_rotate_update");
    static final MethodHandle SHUFFLE_UPDATE = bind("tg_shuffle_update");
    static final MethodHandle NORMAL_UPDATE = bind("tg_normal_update");
    static final MethodHandle DIFF_WORKSPACE = bind("tg_diff_workspace");
    static final MethodHandle DIFF = bind("tg_diff");
    static final MethodHandle SHA256 = bind("tg_sha256");
    static final MethodHandle XXH3_UPDATE = bind("tg_xxh3_update");
    static final MethodHandle XXH3_DIGEST = bind("tg_xxh3_digest");

    private static MethodHandle bind(String name) {
      return library.function(name, FUNCTIONS.get(name));
    }
  }

  FfmBinding(DynamicLibrary opened) {
    synchronized (FfmBinding.class) {
      if (library == null) {
        library = opened;
      }
    }
  }

  @Override
  public String name() {
    return "ffm";
  }

  @Override
  public int abiVersion() {
    try {
      return (int) Handles.ABI_VERSION.invokeExact();
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int capabilitiesQuery(long capabilities) {
    try {
      return (int) Handles.CAPABILITIES_QUERY.invokeExact(capabilities);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int contextCreate(long options, long context, long error, long errorCapacity) {
    try {
      return (int) Handles.CONTEXT_CREATE.invokeExact(options, context, error, errorCapacity);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int contextDestroy(long context) {
    try {
      return (int) Handles.CONTEXT_DESTROY.invokeExact(context);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int contextThreads(long context, long threads) {
    try {
      return (int) Handles.CONTEXT_THREADS.invokeExact(context, threads);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int errorMessage(long context, long buffer, long capacity) {
    try {
      return (int) Handles.ERROR_MESSAGE.invokeExact(context, buffer, capacity);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int memoryAllocate(long bytes, long memory) {
    try {
      return (int) Handles.MEMORY_ALLOCATE.invokeExact(bytes, memory);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int memoryFree(long memory) {
    try {
      return (int) Handles.MEMORY_FREE.invokeExact(memory);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int liveObjects(long objects, long bytes) {
    try {
      return (int) Handles.LIVE_OBJECTS.invokeExact(objects, bytes);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int mappedFileOpen(long context, long path, long file, long data, long bytes) {
    try {
      return (int) Handles.MAPPED_FILE_OPEN.invokeExact(context, path, file, data, bytes);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int mappedFileCheck(long context, long file) {
    try {
      return (int) Handles.MAPPED_FILE_CHECK.invokeExact(context, file);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int mappedFileAdvise(long context, long file, long offset, long bytes, int needed) {
    try {
      return (int) Handles.MAPPED_FILE_ADVISE.invokeExact(context, file, offset, bytes, needed);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int mappedFileRead(long context, long file, long offset, long bytes, long destination) {
    try {
      return (int) Handles.MAPPED_FILE_READ.invokeExact(context, file, offset, bytes, destination);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int mappedFileClose(long file) {
    try {
      return (int) Handles.MAPPED_FILE_CLOSE.invokeExact(file);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int svdWorkspace(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long results,
      long workspaceSize) {
    try {
      return (int)
          Handles.SVD_WORKSPACE.invokeExact(
              context, matrices, subtracted, count, options, results, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int svd(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long control,
      long workspace,
      long results) {
    try {
      return (int)
          Handles.SVD.invokeExact(
              context, matrices, subtracted, count, options, control, workspace, results);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int svdTrackWorkspace(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long starts,
      long results,
      long workspaceSize) {
    try {
      return (int)
          Handles.SVD_TRACK_WORKSPACE.invokeExact(
              context, matrices, subtracted, count, options, starts, results, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int svdTrack(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long starts,
      long control,
      long workspace,
      long results) {
    try {
      return (int)
          Handles.SVD_TRACK.invokeExact(
              context, matrices, subtracted, count, options, starts, control, workspace, results);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int principalAnglesWorkspace(long context, long first, long second, long workspaceSize) {
    try {
      return (int)
          Handles.PRINCIPAL_ANGLES_WORKSPACE.invokeExact(context, first, second, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int principalAngles(long context, long first, long second, long workspace, long angles) {
    try {
      return (int) Handles.PRINCIPAL_ANGLES.invokeExact(context, first, second, workspace, angles);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int projectedEnergyWorkspace(
      long context, long matrix, long subtracted, long left, long right, long workspaceSize) {
    try {
      return (int)
          Handles.PROJECTED_ENERGY_WORKSPACE.invokeExact(
              context, matrix, subtracted, left, right, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int projectedEnergy(
      long context,
      long matrix,
      long subtracted,
      long left,
      long right,
      long workspace,
      long result) {
    try {
      return (int)
          Handles.PROJECTED_ENERGY.invokeExact(
              context, matrix, subtracted, left, right, workspace, result);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int projectedVariancesWorkspace(
      long context, long matrix, long left, long right, long workspaceSize) {
    try {
      return (int)
          Handles.PROJECTED_VARIANCES_WORKSPACE.invokeExact(
              context, matrix, left, right, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int projectedVariances(
      long context,
      long matrix,
      long table,
      long values,
      long left,
      long right,
      long workspace,
      long variances) {
    try {
      return (int)
          Handles.PROJECTED_VARIANCES.invokeExact(
              context, matrix, table, values, left, right, workspace, variances);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int svdPerturbWorkspace(long context, long options, long workspaceSize) {
    try {
      return (int) Handles.SVD_PERTURB_WORKSPACE.invokeExact(context, options, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int svdPerturb(long context, long options, long workspace, long result) {
    try {
      return (int) Handles.SVD_PERTURB.invokeExact(context, options, workspace, result);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int maskSelectWorkspace(long context, long scores, long options, long workspaceSize) {
    try {
      return (int)
          Handles.MASK_SELECT_WORKSPACE.invokeExact(context, scores, options, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int maskSelect(
      long context,
      long scores,
      long options,
      long control,
      long workspace,
      long mask,
      long maskWords) {
    try {
      return (int)
          Handles.MASK_SELECT.invokeExact(
              context, scores, options, control, workspace, mask, maskWords);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int maskCombine(
      long context, long sets, int operation, long result, long resultWords, long entries) {
    try {
      return (int)
          Handles.MASK_COMBINE.invokeExact(context, sets, operation, result, resultWords, entries);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int maskOverlaps(long context, long sets, long common, long memberships) {
    try {
      return (int) Handles.MASK_OVERLAPS.invokeExact(context, sets, common, memberships);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int magnitudeHistogram(
      long context,
      long matrix,
      long first,
      long second,
      long all,
      long inFirst,
      long inSecond,
      long inBoth) {
    try {
      return (int)
          Handles.MAGNITUDE_HISTOGRAM.invokeExact(
              context, matrix, first, second, all, inFirst, inSecond, inBoth);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int magnitudeProfile(
      long context, long matrix, long table, long rowSums, long columnSums) {
    try {
      return (int)
          Handles.MAGNITUDE_PROFILE.invokeExact(context, matrix, table, rowSums, columnSums);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int directionEntries(long context, long direction, long entries) {
    try {
      return (int) Handles.DIRECTION_ENTRIES.invokeExact(context, direction, entries);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int layerSlopesWorkspace(
      long context, long samples, long directions, long count, long workspaceSize) {
    try {
      return (int)
          Handles.LAYER_SLOPES_WORKSPACE.invokeExact(
              context, samples, directions, count, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int layerSlopes(
      long context,
      long samples,
      long directions,
      long count,
      long control,
      long workspace,
      long slopes,
      long squares) {
    try {
      return (int)
          Handles.LAYER_SLOPES.invokeExact(
              context, samples, directions, count, control, workspace, slopes, squares);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int tokenProductsWorkspace(long context, long left, long right, long workspaceSize) {
    try {
      return (int)
          Handles.TOKEN_PRODUCTS_WORKSPACE.invokeExact(context, left, right, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int tokenProducts(
      long context,
      long left,
      long weights,
      long right,
      long control,
      long workspace,
      long products) {
    try {
      return (int)
          Handles.TOKEN_PRODUCTS.invokeExact(
              context, left, weights, right, control, workspace, products);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int displace(long context, long displacement, long displaced, long rounding) {
    try {
      return (int) Handles.DISPLACE.invokeExact(context, displacement, displaced, rounding);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int differenceGradients(long context, long difference, long product, long sums) {
    try {
      return (int) Handles.DIFFERENCE_GRADIENTS.invokeExact(context, difference, product, sums);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int patchExtract(long context, long pair, long entries, long changed) {
    try {
      return (int) Handles.PATCH_EXTRACT.invokeExact(context, pair, entries, changed);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int patchApply(long context, long entries, long target, long count) {
    try {
      return (int) Handles.PATCH_APPLY.invokeExact(context, entries, target, count);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int patchVerify(long context, long entries, long target, long count, long differing) {
    try {
      return (int) Handles.PATCH_VERIFY.invokeExact(context, entries, target, count, differing);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int patchGaps(long context, long positions, long count, long previous) {
    try {
      return (int) Handles.PATCH_GAPS.invokeExact(context, positions, count, previous);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int patchPositions(long context, long gaps, long count, long previous) {
    try {
      return (int) Handles.PATCH_POSITIONS.invokeExact(context, gaps, count, previous);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int bytePlanes(long context, long from, long count, int width, long to) {
    try {
      return (int) Handles.BYTE_PLANES.invokeExact(context, from, count, width, to);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int byteElements(long context, long from, long count, int width, long to) {
    try {
      return (int) Handles.BYTE_ELEMENTS.invokeExact(context, from, count, width, to);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int perturb(
      long context, long base, long tuned, long options, long control, long perturbed) {
    try {
      return (int) Handles.PERTURB.invokeExact(context, base, tuned, options, control, perturbed);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int rotateUpdateWorkspace(long context, long options, long workspaceSize) {
    try {
      return (int) Handles.ROTATE_UPDATE_WORKSPACE.invokeExact(context, options, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int rotateUpdate(long context, long options, long workspace, long core) {
    try {
      return (int) Handles.ROTATE_UPDATE.invokeExact(context, options, workspace, core);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int shuffleUpdate(long context, long options, long core, long shuffled) {
    try {
      return (int) Handles.SHUFFLE_UPDATE.invokeExact(context, options, core, shuffled);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int normalUpdate(long context, long options, long core) {
    try {
      return (int) Handles.NORMAL_UPDATE.invokeExact(context, options, core);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int diffWorkspace(
      long context,
      long bases,
      long tuned,
      long count,
      long options,
      long profiles,
      long workspaceSize) {
    try {
      return (int)
          Handles.DIFF_WORKSPACE.invokeExact(
              context, bases, tuned, count, options, profiles, workspaceSize);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int diff(
      long context,
      long bases,
      long tuned,
      long count,
      long options,
      long control,
      long workspace,
      long profiles,
      long results) {
    try {
      return (int)
          Handles.DIFF.invokeExact(
              context, bases, tuned, count, options, control, workspace, profiles, results);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int sha256(long context, long spans, long count, long control, long digests) {
    try {
      return (int) Handles.SHA256.invokeExact(context, spans, count, control, digests);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int xxh3Update(long context, long parts, long count) {
    try {
      return (int) Handles.XXH3_UPDATE.invokeExact(context, parts, count);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public int xxh3Digest(long context, long state, long digest) {
    try {
      return (int) Handles.XXH3_DIGEST.invokeExact(context, state, digest);
    } catch (Throwable e) {
      throw DynamicLibrary.rethrow(e);
    }
  }

  @Override
  public long addressOf(ByteBuffer direct) {
    return MemorySegment.ofBuffer(direct.duplicate().clear()).address();
  }

  @Override
  public ByteBuffer viewOf(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes).asByteBuffer();
  }

  /** The arena, and not the buffer, is watched: segments made of the buffer keep it, too. */
  @Override
  public ByteBuffer viewOf(long address, long bytes, Runnable unreachable) {
    return MemorySegment.ofAddress(address)
        .reinterpret(bytes, Arena.ofAuto(), segment -> unreachable.run())
        .asByteBuffer();
  }
}
