package org.threegate.patch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;

/**
 * A tensor to which one or more patches are applied, chunk by chunk. Digests are compared after the
 * last chunk, so the chunks must not be trusted before {@link #requireDigests} returns.
 */
final class PatchedTensor implements BlockSource, AutoCloseable {
  /** What one patch does to the tensor. */
  record Link(PatchOptions options, TensorPatch patch) {}

  private final Tensor tensor;
  private final int width;
  private final TensorReader reader;
  private final List<Step> steps = new ArrayList<>();
  private Range chunk;
  private long chunkBegin = -1;

  /**
   * Opens the patches of a tensor.
   *
   * @param context context of the thread that reads
   * @param links at least one, in the order in which they are applied
   */
  PatchedTensor(Context context, Tensor tensor, List<Link> links) {
    this.tensor = tensor;
    this.width = ChunkLayout.elementBytes(tensor);
    this.reader = new TensorReader(context, tensor, ChunkLayout.largestChunk(tensor));
    try {
      for (Link link : links) {
        steps.add(Step.open(context, tensor, link));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Returns a block of patched elements, which lies within one chunk. */
  @Override
  public Range next(long begin, long count) {
    long own = begin / ChunkLayout.CHUNK * ChunkLayout.CHUNK;
    if (own != chunkBegin) {
      chunk = chunk(own, ChunkLayout.chunkAt(tensor, own));
      chunkBegin = own;
    }
    return new Range(
        chunk.buffer(), chunk.offset() + (begin - own) * width, Math.toIntExact(count * width));
  }

  /** Returns the next chunk of patched elements. */
  Range chunk(long begin, long count) {
    Range patched = reader.next(begin, count);
    for (Step step : steps) {
      step.apply(begin, patched, width);
    }
    return patched;
  }

  /** Returns what the last patch changed in the last chunk. */
  ChangedElements entries() {
    return steps.get(steps.size() - 1).entries.orElseThrow();
  }

  /**
   * Compares the digests of all patches, after the last chunk.
   *
   * @throws InvalidInputException if a patch is damaged, or was made from another base
   */
  void requireDigests() {
    for (Step step : steps) {
      step.requireDigests(tensor);
    }
  }

  @Override
  public void close() {
    steps.forEach(Step::close);
    reader.close();
  }

  /** A link that is being read. */
  private static final class Step {
    private final Link link;
    private final TensorDecoder decoder;
    private final Optional<ChecksumFormat.Checksum> before;
    private final Optional<ChecksumFormat.Checksum> after;
    private Optional<ChangedElements> entries = Optional.empty();

    private Step(Context context, Link link, TensorDecoder decoder) {
      ChecksumFormat format = link.options().checksum();
      this.link = link;
      this.decoder = decoder;
      this.before = link.patch().baseDigest().map(digest -> format.begin(context));
      this.after = link.patch().digest().map(digest -> format.begin(context));
    }

    static Step open(Context context, Tensor tensor, Link link) {
      return new Step(
          context, link, TensorDecoders.open(context, link.options(), tensor, link.patch()));
    }

    void apply(long begin, Range chunk, int width) {
      before.ifPresent(sum -> sum.update(chunk));
      try {
        ChangedElements found = decoder.next(begin, chunk.bytes() / width);
        found.apply(chunk.elements(decoder.width()));
        entries = Optional.of(found);
      } catch (KernelException e) {
        if (e.status() == Status.INVALID_ARGUMENT) {
          throw refused(e.getMessage());
        }
        throw e;
      }
      after.ifPresent(sum -> sum.update(chunk));
    }

    void requireDigests(Tensor tensor) {
      decoder.requireEnd();
      if (differs(before, link.patch().baseDigest())) {
        throw refused("was made from another base than " + tensor.file().path());
      }
      if (differs(after, link.patch().digest())) {
        throw refused(
            "does not lead to the digest that it carries: it is damaged, or was made from another"
                + " base than "
                + tensor.file().path());
      }
    }

    private static boolean differs(
        Optional<ChecksumFormat.Checksum> own, Optional<String> expected) {
      return !own.map(ChecksumFormat.Checksum::hex).equals(expected);
    }

    private InvalidInputException refused(String why) {
      Tensor stored = link.patch().stored();
      return new InvalidInputException(
          stored.file().path() + ": tensor \"" + stored.name() + "\" " + why);
    }

    void close() {
      decoder.close();
      before.ifPresent(ChecksumFormat.Checksum::close);
      after.ifPresent(ChecksumFormat.Checksum::close);
    }
  }
}
