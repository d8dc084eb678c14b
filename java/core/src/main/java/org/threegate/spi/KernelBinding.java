package org.threegate.spi;

import java.nio.ByteBuffer;

/**
 * The C functions of {@code threegate.h}, one method each, addresses as longs. Nothing is checked
 * here: validation, lifetime and conveniences are above, once for all bindings. A method returns
 * what its C function returns.
 *
 * <p>Two methods have no C function: {@link #addressOf} and {@link #viewOf} lead from a direct
 * buffer to its address and back.
 */
public interface KernelBinding {
  /** {@code "jni"} or {@code "ffm"}. */
  String name();

  int abiVersion();

  int capabilitiesQuery(long capabilities);

  int contextCreate(long options, long context, long error, long errorCapacity);

  int contextDestroy(long context);

  int contextThreads(long context, long threads);

  int errorMessage(long context, long buffer, long capacity);

  int memoryAllocate(long bytes, long memory);

  int memoryFree(long memory);

  int liveObjects(long objects, long bytes);

  int mappedFileOpen(long context, long path, long file, long data, long bytes);

  int mappedFileCheck(long context, long file);

  int mappedFileAdvise(long context, long file, long offset, long bytes, int needed);

  int mappedFileRead(long context, long file, long offset, long bytes, long destination);

  int mappedFileClose(long file);

  int svdWorkspace(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long results,
      long workspaceSize);

  int svd(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long control,
      long workspace,
      long results);

  int svdTrackWorkspace(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long starts,
      long results,
      long workspaceSize);

  int svdTrack(
      long context,
      long matrices,
      long subtracted,
      long count,
      long options,
      long starts,
      long control,
      long workspace,
      long results);

  int principalAnglesWorkspace(long context, long first, long second, long workspaceSize);

  int principalAngles(long context, long first, long second, long workspace, long angles);

  int projectedEnergyWorkspace(
      long context, long matrix, long subtracted, long left, long right, long workspaceSize);

  int projectedEnergy(
      long context,
      long matrix,
      long subtracted,
      long left,
      long right,
      long workspace,
      long result);

  int projectedVariancesWorkspace(
      long context, long matrix, long left, long right, long workspaceSize);

  int projectedVariances(
      long context,
      long matrix,
      long table,
      long values,
      long left,
      long right,
      long workspace,
      long variances);

  int svdPerturbWorkspace(long context, long options, long workspaceSize);

  int svdPerturb(long context, long options, long workspace, long result);

  int maskSelectWorkspace(long context, long scores, long options, long workspaceSize);

  int maskSelect(
      long context,
      long scores,
      long options,
      long control,
      long workspace,
      long mask,
      long maskWords);

  int maskCombine(
      long context, long sets, int operation, long result, long resultWords, long entries);

  int maskOverlaps(long context, long sets, long common, long memberships);

  int magnitudeHistogram(
      long context,
      long matrix,
      long first,
      long second,
      long all,
      long inFirst,
      long inSecond,
      long inBoth);

  int magnitudeProfile(long context, long matrix, long table, long rowSums, long columnSums);

  int directionEntries(long context, long direction, long entries);

  int layerSlopesWorkspace(
      long context, long samples, long directions, long count, long workspaceSize);

  int layerSlopes(
      long context,
      long samples,
      long directions,
      long count,
      long control,
      long workspace,
      long slopes,
      long squares);

  int tokenProductsWorkspace(long context, long left, long right, long workspaceSize);

  int tokenProducts(
      long context,
      long left,
      long weights,
      long right,
      long control,
      long workspace,
      long products);

  int displace(long context, long displacement, long displaced, long rounding);

  int differenceGradients(long context, long difference, long product, long sums);

  int patchExtract(long context, long pair, long entries, long changed);

  int patchApply(long context, long entries, long target, long count);

  int patchVerify(long context, long entries, long target, long count, long differing);

  int patchGaps(long context, long positions, long count, long previous);

  int patchPositions(long context, long gaps, long count, long previous);

  int bytePlanes(long context, long from, long count, int width, long to);

  int byteElements(long context, long from, long count, int width, long to);

  int perturb(long context, long base, long tuned, long options, long control, long perturbed);

  int rotateUpdateWorkspace(long context, long options, long workspaceSize);

  int rotateUpdate(long context, long options, long workspace, long core);

  int shuffleUpdate(long context, long options, long core, long shuffled);

  int normalUpdate(long context, long options, long core);

  int diffWorkspace(
      long context,
      long bases,
      long tuned,
      long count,
      long options,
      long profiles,
      long workspaceSize);

  int diff(
      long context,
      long bases,
      long tuned,
      long count,
      long options,
      long control,
      long workspace,
      long profiles,
      long results);

  int sha256(long context, long spans, long count, long control, long digests);

  int xxh3Update(long context, long parts, long count);

  int xxh3Digest(long context, long state, long digest);

  /** Address of the first byte (index 0) of a direct buffer. */
  long addressOf(ByteBuffer direct);

  /**
   * Native memory as a direct buffer; the caller keeps it alive. {@code bytes} is at most {@link
   * Integer#MAX_VALUE}.
   */
  ByteBuffer viewOf(long address, long bytes);

  /**
   * The same, and who gave the memory is told when the view, and all that was made of it, is
   * collected.
   *
   * @param unreachable must not refer to the view; called once, from any thread
   */
  ByteBuffer viewOf(long address, long bytes, Runnable unreachable);
}
