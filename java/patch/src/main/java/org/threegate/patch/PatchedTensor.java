package org.threegate.patch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;

/**
 * What patches, one after the other, make of a tensor, chunk by chunk. The digests of each are
 * compared at the end; until then nothing is to be made of what comes.
 */
final class PatchedTensor implements Change.After, AutoCloseable {
  /** What one patch has of it. */
  record Link(WeightPatch.Options options, WeightPatch.Patched patched) {}

  private final Tensor tensor;
  private final int width;
  private final NativeBuffer chunk;
  private final List<Step> steps = new ArrayList<>();

  PatchedTensor(Context context, Tensor tensor, List<Link> links) {
    this.tensor = tensor;
    this.width = Change.width(tensor);
    this.chunk = context.allocate(Math.max(1, (long) Change.largest(tensor) * width));
    try {
      for (Link link : links) {
        steps.add(new Step(context, tensor, link));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  @Override
  public Range next(long begin, long count) {
    Range base = Range.of(tensor, begin, count);
    Range patched = Range.first(chunk, base.bytes());
    patched.slice().put(base.slice());
    for (Step step : steps) {
      if (step == steps.get(0)) {
        step.apply(begin, patched, width);
        step.digest(base, patched);
      } else {
        step.before.ifPresent(sum -> sum.update(patched));
        step.apply(begin, patched, width);
        step.after.ifPresent(sum -> sum.update(patched));
      }
    }
    return patched;
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
    chunk.close();
  }

  /** A link that is being read. */
  private static final class Step {
    private final Link link;
    private final PatchReader reader;
    private final Optional<ChecksumFormat.Checksum> before;
    private final Optional<ChecksumFormat.Checksum> after;

    Step(Context context, Tensor tensor, Link link) {
      ChecksumFormat format = link.options().checksum();
      this.link = link;
      this.reader = PatchReader.open(context, link.options(), tensor, link.patched());
      this.before = link.patched().baseDigest().map(digest -> format.begin(context));
      this.after = link.patched().digest().map(digest -> format.begin(context));
    }

    void apply(long begin, Range chunk, int width) {
      try {
        reader.next(begin, chunk.bytes() / width).apply(chunk.elements(reader.width()));
      } catch (KernelException e) {
        if (e.status() == Status.INVALID_ARGUMENT) {
          throw refused(e.getMessage());
        }
        throw e;
      }
    }

    /** Of bytes that lie apart. */
    void digest(Range old, Range patched) {
      if (before.isPresent() && after.isPresent()) {
        ChecksumFormat.update(before.get(), old, after.get(), patched);
      } else {
        before.ifPresent(sum -> sum.update(old));
        after.ifPresent(sum -> sum.update(patched));
      }
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
