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
 * What patches, one after the other, make of a tensor, chunk by chunk. The digests of each are
 * compared at the end; until then nothing is to be made of what comes.
 */
final class PatchedTensor implements Change.After, AutoCloseable {
  /** What one patch has of it. */
  record Link(WeightPatch.Options options, WeightPatch.Patched patched) {}

  private final Tensor tensor;
  private final int width;
  private final TensorReader reader;
  private final List<Step> steps = new ArrayList<>();
  private Range chunk;
  private long chunkBegin = -1;

  /**
   * @param context of this thread
   */
  PatchedTensor(Context context, Tensor tensor, List<Link> links) {
    this.tensor = tensor;
    this.width = Change.width(tensor);
    this.reader = new TensorReader(context, tensor, Change.largest(tensor));
    try {
      for (Link link : links) {
        steps.add(Step.open(context, tensor, link));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** A block of one chunk. */
  @Override
  public Range next(long begin, long count) {
    long own = begin / Change.CHUNK * Change.CHUNK;
    if (own != chunkBegin) {
      chunk = chunk(own, Math.min(Change.CHUNK, Change.elements(tensor) - own));
      chunkBegin = own;
    }
    return new Range(
        chunk.buffer(), chunk.offset() + (begin - own) * width, Math.toIntExact(count * width));
  }

  /** The next chunk. */
  Range chunk(long begin, long count) {
    Range patched = reader.next(begin, count);
    for (Step step : steps) {
      step.apply(begin, patched, width);
    }
    return patched;
  }

  /** What the last patch changed of the chunk that was asked for last. */
  ChangedElements entries() {
    return steps.get(steps.size() - 1).entries.orElseThrow();
  }

  /** After the last chunk: every patch began with what it was made of, and led to what it says. */
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
    private final PatchReader reader;
    private final Optional<ChecksumFormat.Checksum> before;
    private final Optional<ChecksumFormat.Checksum> after;
    private Optional<ChangedElements> entries = Optional.empty();

    private Step(Context context, Link link, PatchReader reader) {
      ChecksumFormat format = link.options().checksum();
      this.link = link;
      this.reader = reader;
      this.before = link.patched().baseDigest().map(digest -> format.begin(context));
      this.after = link.patched().digest().map(digest -> format.begin(context));
    }

    static Step open(Context context, Tensor tensor, Link link) {
      return new Step(
          context, link, PatchReader.open(context, link.options(), tensor, link.patched()));
    }

    void apply(long begin, Range chunk, int width) {
      before.ifPresent(sum -> sum.update(chunk));
      try {
        ChangedElements found = reader.next(begin, chunk.bytes() / width);
        found.apply(chunk.elements(reader.width()));
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
      reader.requireEnd();
      if (differs(before, link.patched().baseDigest())) {
        throw refused("is of another base: the digest of " + tensor.file().path() + "'s differs");
      }
      if (differs(after, link.patched().digest())) {
        throw refused(
            "does not lead to the bytes whose digest it carries: it is damaged, or of another base than "
                + tensor.file().path());
      }
    }

    private static boolean differs(
        Optional<ChecksumFormat.Checksum> own, Optional<String> expected) {
      return !own.map(ChecksumFormat.Checksum::hex).equals(expected);
    }

    private InvalidInputException refused(String why) {
      Tensor stored = link.patched().stored();
      return new InvalidInputException(
          stored.file().path() + ": tensor \"" + stored.name() + "\" " + why);
    }

    void close() {
      reader.close();
      before.ifPresent(ChecksumFormat.Checksum::close);
      after.ifPresent(ChecksumFormat.Checksum::close);
    }
  }
}
