package org.threegate.patch;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.InputFiles;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;

/**
 * An open weight patch of any format. Opening reads headers only. {@code docs/patches.md} specifies
 * the formats.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     WeightPatch patch = WeightPatch.open(context, Path.of("patch.safetensors"))) {
 *   for (WeightPatch.Entry entry : patch.entries()) {
 *     System.out.println(entry.name() + " " + entry.storedBytes());
 *   }
 *   System.out.println(patch.changed(before) + " elements change");
 * }
 * }</pre>
 */
public final class WeightPatch implements AutoCloseable {
  private final Context context;
  private final PatchHeaders headers;

  /**
   * A tensor that a patch changes.
   *
   * @param name name of the tensor in the model
   * @param storedBytes bytes that the patch stores of it
   * @param digest hexadecimal digest of the tensor's bytes after the patch, if the patch has it
   */
  public record Entry(String name, long storedBytes, Optional<String> digest) {}

  /** Receives the changes of a tensor. */
  @FunctionalInterface
  public interface EntryVisitor {
    /**
     * Receives the changes of a part of the tensor.
     *
     * @param begin flat position of the part's first element; of its first byte if the width of the
     *     entries is 1
     * @param entries positions within the part, which are not checked to ascend, and values
     */
    void part(long begin, ChangedElements entries);
  }

  private WeightPatch(Context context, PatchHeaders headers) {
    this.context = context;
    this.headers = headers;
  }

  /**
   * Opens a patch that has digests.
   *
   * @param context context that maps the files of the patch
   * @param path a file, the directory of a disk delta, or a directory of one version
   * @return the patch, which the caller closes
   * @throws InvalidInputException if it is not a patch, is damaged, or lacks the digest of a tensor
   */
  public static WeightPatch open(Context context, Path path) {
    return open(context, path, DigestPolicy.REQUIRED);
  }

  /**
   * Opens a patch.
   *
   * @param context context that maps the files of the patch
   * @param path a file, the directory of a disk delta, or a directory of one version
   * @param policy whether a patch without digests is refused
   * @return the patch, which the caller closes
   * @throws InvalidInputException if it is not a patch, is damaged, or lacks a digest that the
   *     policy requires
   */
  public static WeightPatch open(Context context, Path path, DigestPolicy policy) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(path + ": no such file or directory");
    }
    // A published version may be a directory around a patch that is a file.
    Path inner = path.resolve(VersionDirectory.PATCH);
    Path patch = InputFiles.isThere(inner) ? inner : path;
    return new WeightPatch(
        context,
        Files.isDirectory(patch)
            ? DiskDeltaHeaderReader.read(context, patch)
            : PatchFileHeaderReader.read(context, patch, policy));
  }

  /** {@return how the patch is written, and the versions that it connects} */
  public PatchOptions options() {
    return headers.options();
  }

  /** {@return the tensors that the patch changes, in the order of its headers} */
  public List<Entry> entries() {
    List<Entry> entries = new ArrayList<>();
    tensors()
        .forEach(
            (name, patch) -> {
              long positions = patch.positions().map(Tensor::bytes).orElse(0L);
              entries.add(new Entry(name, patch.stored().bytes() + positions, patch.digest()));
            });
    return Collections.unmodifiableList(entries);
  }

  /**
   * {@return the tensor of a model that the patch changes}
   *
   * @param base model that the patch applies to
   * @param name name of a tensor of {@link #entries}
   * @throws InvalidInputException if the model has no tensor of that name
   */
  public Tensor target(Checkpoint base, String name) {
    Tensor tensor = base.tensors().get(name);
    if (tensor == null) {
      throw new InvalidInputException(
          path() + ": changes tensor \"" + name + "\", which is not in " + base.path());
    }
    return tensor;
  }

  /**
   * Counts the changes: elements, or bytes in {@link PatchFormat#DISK_DELTA_OVERWRITE}.
   *
   * @param base model that the patch applies to, of which only dtypes and shapes are read
   * @return the number of changes, over all tensors
   * @throws InvalidInputException if the patch is damaged or does not fit the model
   */
  public long changed(Checkpoint base) {
    long[] sum = {0};
    for (String name : tensors().keySet()) {
      forEachEntry(target(base, name), (begin, entries) -> sum[0] += entries.count());
    }
    return sum[0];
  }

  /**
   * Decodes the changes of a tensor, part by part. Digests are not compared.
   *
   * @param tensor tensor of the base, of which only dtype and shape are read
   * @param visitor receives each part, in the order of positions
   * @throws InvalidInputException if the patch is damaged or does not change the tensor
   */
  public void forEachEntry(Tensor tensor, EntryVisitor visitor) {
    TensorPatch patch = tensors().get(tensor.name());
    if (patch == null) {
      throw new InvalidInputException(path() + ": does not change tensor \"" + tensor.name() + '"');
    }
    long all = ChunkLayout.elements(tensor);
    try (TensorDecoder decoder = TensorDecoders.open(context, options(), tensor, patch)) {
      int units = ChunkLayout.elementBytes(tensor) / decoder.width();
      for (long begin = 0; begin < all; begin += ChunkLayout.CHUNK) {
        int count = ChunkLayout.chunkAt(tensor, begin);
        visitor.part(begin * units, decoder.next(begin, count));
      }
      decoder.requireEnd();
    } catch (KernelException e) {
      if (e.status() == Status.INVALID_ARGUMENT) {
        throw new InvalidInputException(
            path() + ": tensor \"" + tensor.name() + "\" " + e.getMessage(), e);
      }
      throw e;
    }
  }

  /** Returns the file or directory that was opened. */
  Path path() {
    return headers.path();
  }

  /** Returns the context that the patch was opened with. */
  Context context() {
    return context;
  }

  /** Returns the changed tensors by their names in the model. */
  Map<String, TensorPatch> tensors() {
    return headers.tensors();
  }

  /** Returns what the patch does to a tensor, if it changes it. */
  Optional<PatchedTensor.Link> link(String name) {
    return Optional.ofNullable(tensors().get(name))
        .map(patch -> new PatchedTensor.Link(options(), patch));
  }

  /** Returns the digests that tensors of a model will have, where the patch has them. */
  Map<Tensor, String> digests(Checkpoint model) {
    Map<Tensor, String> digests = new LinkedHashMap<>();
    tensors()
        .forEach(
            (name, patch) ->
                patch.digest().ifPresent(digest -> digests.put(target(model, name), digest)));
    return digests;
  }

  /** Returns a digest that identifies the patch, from its headers where they have digests. */
  byte[] fingerprint() {
    List<Tensor> unsigned = new ArrayList<>();
    for (TensorPatch patch : tensors().values()) {
      if (patch.digest().isEmpty()) {
        unsigned.add(patch.stored());
        patch.positions().ifPresent(unsigned::add);
      }
    }
    return Fingerprint.of(context, options(), headers.files(), unsigned);
  }

  /** Checks that the files have not changed since they were opened. */
  void check() {
    headers.files().forEach(SafetensorsFile::check);
  }

  @Override
  public void close() {
    headers.close();
  }
}
