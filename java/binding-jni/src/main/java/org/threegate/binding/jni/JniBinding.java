package org.threegate.binding.jni;

import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import org.threegate.spi.KernelBinding;

/** Passes each call on. */
final class JniBinding implements KernelBinding {
  private static final Cleaner CLEANER = Cleaner.create();

  @Override
  public String name() {
    return "jni";
  }

  @Override
  public int abiVersion() {
    return Functions.abiVersion();
  }

  @Override
  public int capabilitiesQuery(long capabilities) {
    return Functions.capabilitiesQuery(capabilities);
  }

  @Override
  public int contextCreate(long options, long context, long error, long errorCapacity) {
    return Functions.contextCreate(options, context, error, errorCapacity);
  }

  @Override
  public int contextDestroy(long context) {
    return Functions.contextDestroy(context);
  }

  @Override
  public int contextThreads(long context, long threads) {
    return Functions.contextThreads(context, threads);
  }

  @Override
  public int errorMessage(long context, long buffer, long capacity) {
    return Functions.errorMessage(context, buffer, capacity);
  }

  @Override
  public int memoryAllocate(long bytes, long memory) {
    return Functions.memoryAllocate(bytes, memory);
  }

  @Override
  public int memoryFree(long memory) {
    return Functions.memoryFree(memory);
  }

  @Override
  public int liveObjects(long objects, long bytes) {
    return Functions.liveObjects(objects, bytes);
  }

  @Override
  public int mappedFileOpen(long context, long path, long file, long data, long bytes) {
    return Functions.mappedFileOpen(context, path, file, data, bytes);
  }

  @Override
  public int mappedFileCheck(long context, long file) {
    return Functions.mappedFileCheck(context, file);
  }

  @Override
  public int mappedFileAdvise(long context, long file, long offset, long bytes, int needed) {
    return Functions.mappedFileAdvise(context, file, offset, bytes, needed);
  }

  @Override
  public int mappedFileRead(long context, long file, long offset, long bytes, long destination) {
    return Functions.mappedFileRead(context, file, offset, bytes, destination);
  }

  @Override
  public int mappedFileClose(long file) {
    return Functions.mappedFileClose(file);
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
    return Functions.svdWorkspace(
        context, matrices, subtracted, count, options, results, workspaceSize);
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
    return Functions.svd(
        context, matrices, subtracted, count, options, control, workspace, results);
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
    return Functions.svdTrackWorkspace(
        context, matrices, subtracted, count, options, starts, results, workspaceSize);
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
    return Functions.svdTrack(
        context, matrices, subtracted, count, options, starts, control, workspace, results);
  }

  @Override
  public int principalAnglesWorkspace(long context, long first, long second, long workspaceSize) {
    return Functions.principalAnglesWorkspace(context, first, second, workspaceSize);
  }

  @Override
  public int principalAngles(long context, long first, long second, long workspace, long angles) {
    return Functions.principalAngles(context, first, second, workspace, angles);
  }

  @Override
  public int projectedEnergyWorkspace(
      long context, long matrix, long subtracted, long left, long right, long workspaceSize) {
    return Functions.projectedEnergyWorkspace(
        context, matrix, subtracted, left, right, workspaceSize);
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
    return Functions.projectedEnergy(context, matrix, subtracted, left, right, workspace, result);
  }

  @Override
  public int projectedVariancesWorkspace(
      long context, long matrix, long left, long right, long workspaceSize) {
    return Functions.projectedVariancesWorkspace(context, matrix, left, right, workspaceSize);
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
    return Functions.projectedVariances(
        context, matrix, table, values, left, right, workspace, variances);
  }

  @Override
  public int svdPerturbWorkspace(long context, long options, long workspaceSize) {
    return Functions.svdPerturbWorkspace(context, options, workspaceSize);
  }

  @Override
  public int svdPerturb(long context, long options, long workspace, long result) {
    return Functions.svdPerturb(context, options, workspace, result);
  }

  @Override
  public int maskSelectWorkspace(long context, long scores, long options, long workspaceSize) {
    return Functions.maskSelectWorkspace(context, scores, options, workspaceSize);
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
    return Functions.maskSelect(context, scores, options, control, workspace, mask, maskWords);
  }

  @Override
  public int maskCombine(
      long context, long sets, int operation, long result, long resultWords, long entries) {
    return Functions.maskCombine(context, sets, operation, result, resultWords, entries);
  }

  @Override
  public int maskOverlaps(long context, long sets, long common, long memberships) {
    return Functions.maskOverlaps(context, sets, common, memberships);
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
    return Functions.magnitudeHistogram(
        context, matrix, first, second, all, inFirst, inSecond, inBoth);
  }

  @Override
  public int magnitudeProfile(
      long context, long matrix, long table, long rowSums, long columnSums) {
    return Functions.magnitudeProfile(context, matrix, table, rowSums, columnSums);
  }

  @Override
  public int directionEntries(long context, long direction, long entries) {
    return Functions.directionEntries(context, direction, entries);
  }

  @Override
  public int layerSlopesWorkspace(
      long context, long samples, long directions, long count, long workspaceSize) {
    return Functions.layerSlopesWorkspace(context, samples, directions, count, workspaceSize);
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
    return Functions.layerSlopes(
        context, samples, directions, count, control, workspace, slopes, squares);
  }

  @Override
  public int tokenProductsWorkspace(long context, long left, long right, long workspaceSize) {
    return Functions.tokenProductsWorkspace(context, left, right, workspaceSize);
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
    return Functions.tokenProducts(context, left, weights, right, control, workspace, products);
  }

  @Override
  public int displace(long context, long displacement, long displaced, long rounding) {
    return Functions.displace(context, displacement, displaced, rounding);
  }

  @Override
  public int differenceGradients(long context, long difference, long product, long sums) {
    return Functions.differenceGradients(context, difference, product, sums);
  }

  @Override
  public int patchExtract(long context, long pair, long entries, long changed) {
    return Functions.patchExtract(context, pair, entries, changed);
  }

  @Override
  public int patchApply(long context, long entries, long target, long count) {
    return Functions.patchApply(context, entries, target, count);
  }

  @Override
  public int patchVerify(long context, long entries, long target, long count, long differing) {
    return Functions.patchVerify(context, entries, target, count, differing);
  }

  @Override
  public int patchGaps(long context, long positions, long count, long previous) {
    return Functions.patchGaps(context, positions, count, previous);
  }

  @Override
  public int patchPositions(long context, long gaps, long count, long previous) {
    return Functions.patchPositions(context, gaps, count, previous);
  }

  @Override
  public int bytePlanes(long context, long from, long count, int width, long to) {
    return Functions.bytePlanes(context, from, count, width, to);
  }

  @Override
  public int byteElements(long context, long from, long count, int width, long to) {
    return Functions.byteElements(context, from, count, width, to);
  }

  @Override
  public int perturb(
      long context, long base, long tuned, long options, long control, long perturbed) {
    return Functions.perturb(context, base, tuned, options, control, perturbed);
  }

  @Override
  public int rotateUpdateWorkspace(long context, long options, long workspaceSize) {
    return Functions.rotateUpdateWorkspace(context, options, workspaceSize);
  }

  @Override
  public int rotateUpdate(long context, long options, long workspace, long core) {
    return Functions.rotateUpdate(context, options, workspace, core);
  }

  @Override
  public int shuffleUpdate(long context, long options, long core, long shuffled) {
    return Functions.shuffleUpdate(context, options, core, shuffled);
  }

  @Override
  public int normalUpdate(long context, long options, long core) {
    return Functions.normalUpdate(context, options, core);
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
    return Functions.diffWorkspace(context, bases, tuned, count, options, profiles, workspaceSize);
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
    return Functions.diff(
        context, bases, tuned, count, options, control, workspace, profiles, results);
  }

  @Override
  public int sha256(long context, long spans, long count, long control, long digests) {
    return Functions.sha256(context, spans, count, control, digests);
  }

  @Override
  public int xxh3Update(long context, long parts, long count) {
    return Functions.xxh3Update(context, parts, count);
  }

  @Override
  public int xxh3Digest(long context, long state, long digest) {
    return Functions.xxh3Digest(context, state, digest);
  }

  @Override
  public long addressOf(ByteBuffer direct) {
    return Buffers.addressOf(direct);
  }

  @Override
  public ByteBuffer viewOf(long address, long bytes) {
    return Buffers.viewOf(address, bytes);
  }

  /** Slices and duplicates of a direct buffer keep it reachable: it is the last to go. */
  @Override
  public ByteBuffer viewOf(long address, long bytes, Runnable unreachable) {
    ByteBuffer view = Buffers.viewOf(address, bytes);
    CLEANER.register(view, unreachable);
    return view;
  }
}
