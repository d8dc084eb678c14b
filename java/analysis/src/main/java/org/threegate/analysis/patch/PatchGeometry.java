package org.threegate.analysis.patch;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;
import org.threegate.analysis.statistics.Dispersion;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.patch.WeightPatch;
import org.threegate.run.InvalidInputException;

/**
 * The effect of a patch on one tensor. Only changed elements are read, so time and memory do not
 * depend on the number of unchanged elements. Digests are not compared; {@link
 * org.threegate.patch.PatchVerifier} does that.
 *
 * <pre>{@code
 * try (Checkpoint model = Checkpoint.open(context, base);
 *     WeightPatch patch = WeightPatch.open(context, Path.of("patch.safetensors"))) {
 *   PatchGeometry geometry = PatchGeometry.of(patch, model.tensors().get("lm_head.weight"), 1);
 *   System.out.println(geometry.changed() + " of " + geometry.elements());
 * }
 * }</pre>
 *
 * @param tensor name of the tensor
 * @param type dtype of the tensor
 * @param rows product of all dimensions except the last
 * @param columns last dimension
 * @param elements number of elements of the tensor
 * @param changed number of changed elements
 * @param notFinite number of changed elements with a non-finite step; they are excluded from the
 *     size
 * @param rowDispersion overdispersion of the counts per row, relative to positions that are all
 *     equally likely; then it is approximately standard normal. Small weights change more easily,
 *     so rows of small weights alone can make it large; {@code compare} has a null model for this
 * @param columnDispersion overdispersion of the counts per column
 * @param size size of the step; empty for non-numeric types
 */
public record PatchGeometry(
    String tensor,
    TensorType type,
    long rows,
    long columns,
    long elements,
    long changed,
    long notFinite,
    double rowDispersion,
    double columnDispersion,
    Optional<Size> size) {
  private static final int DRAWS = 5;
  private static final int MOST_ENTRIES = 1 << 24; // entries kept to compute the spectrum
  private static final int MOST_COUNTED = 1 << 24; // rows, or columns

  /**
   * The size of a step.
   *
   * @param frobenius Frobenius norm of the step ΔW, in float64
   * @param spectrum spectrum of the step; empty if there are more than 2²⁴ changes
   */
  public record Size(double frobenius, Optional<Spectrum> spectrum) {}

  /**
   * The spectrum of a step.
   *
   * @param norm largest singular value of ΔW
   * @param normError error bound: a singular value lies within this distance of the norm
   * @param stableRank frobenius² / norm²
   * @param randomSigns null model: largest singular value after drawing the signs of all entries at
   *     random
   */
  public record Spectrum(
      double norm, double normError, double stableRank, NullEstimate randomSigns) {}

  /**
   * Measures the step of a patch on one tensor.
   *
   * @param patch an open patch that changes the tensor
   * @param base tensor to which the patch applies; only changed elements are read
   * @param seed seed of the null model
   * @return the effect on the tensor
   * @throws InvalidInputException if the patch is damaged or does not fit the tensor
   */
  public static PatchGeometry of(WeightPatch patch, Tensor base, long seed) {
    Measurement measurement = new Measurement(base);
    patch.forEachEntry(base, measurement::add);
    measurement.end();
    return measurement.geometry(seed);
  }

  /** Accumulates entries in order. Entries that are single bytes are combined into elements. */
  private static final class Measurement {
    private final Tensor base;
    private final NativeBuffer old;
    private final int width;
    private final long elements;
    private final long columns;
    private final long rows;
    private final boolean counted;
    private final long[] inRow;
    private final long[] inColumn;
    private final boolean numbers;
    private Optional<SparseStep> step;
    private long lastPosition = -1;
    private long last = -1;
    private long bits;
    private boolean pending;
    private long changed;
    private long notFinite;
    private double squares;

    Measurement(Tensor base) {
      this.base = base;
      this.old = base.file().buffer();
      int typeBits = base.type().bits();
      this.width = typeBits % 8 == 0 ? typeBits / 8 : 1;
      this.elements = base.bytes() / width;
      int dimensions = base.shape().size();
      this.columns = dimensions == 0 ? 1 : Math.max(1, base.shape().get(dimensions - 1));
      this.rows = elements / columns;
      this.counted = rows <= MOST_COUNTED && columns <= MOST_COUNTED && rows * columns == elements;
      this.inRow = new long[counted ? (int) rows : 0];
      this.inColumn = new long[counted ? (int) columns : 0];
      this.numbers =
          switch (base.type()) {
            case BF16, F32, F64 -> true;
            default -> false;
          };
      this.step =
          numbers && counted && rows > 1 && columns > 1
              ? Optional.of(new SparseStep((int) rows, (int) columns))
              : Optional.empty();
    }

    void add(long begin, ChangedElements entries) {
      try (NativeBuffer.Lease positions = entries.positions().lease();
          NativeBuffer.Lease values = entries.values().lease()) {
        int count = Math.toIntExact(entries.count());
        add(
            begin,
            entries,
            positions.view(0, Math.multiplyExact(Integer.BYTES, count)),
            values.view(0, Math.multiplyExact(entries.width(), count)));
      }
    }

    private void add(long begin, ChangedElements entries, ByteBuffer positions, ByteBuffer values) {
      boolean xor = entries.form() == ChangedElements.Form.XOR;
      int own = entries.width();
      int part = width / own;
      while (positions.hasRemaining()) {
        long position = begin + (positions.getInt() & 0xffffffffL);
        long element = position / part;
        if (element >= elements || position <= lastPosition) {
          throw misplaced();
        }
        lastPosition = position;
        if (element != last) {
          end();
          last = element;
          bits = read(old, base.offset() + element * width, width);
          pending = true;
        }
        long value =
            switch (own) {
              case 1 -> values.get() & 0xffL;
              case 2 -> values.getShort() & 0xffffL;
              case 4 -> values.getInt() & 0xffffffffL;
              default -> values.getLong();
            };
        int shift = (int) (position % part) * own * Byte.SIZE;
        long mask = own == Long.BYTES ? -1 : (1L << own * Byte.SIZE) - 1;
        bits = xor ? bits ^ value << shift : bits & ~(mask << shift) | value << shift;
        if (part == 1) {
          end();
        }
      }
    }

    private InvalidInputException misplaced() {
      return new InvalidInputException(
          "the patch of tensor \""
              + base.name()
              + "\" has positions that are not ascending or lie beyond its end");
    }

    private static long read(NativeBuffer buffer, long at, int width) {
      return switch (width) {
        case 1 -> buffer.getByte(at) & 0xffL;
        case 2 -> buffer.getShort(at) & 0xffffL;
        case 4 -> buffer.getInt(at) & 0xffffffffL;
        default -> buffer.getLong(at);
      };
    }

    private double number(long own) {
      return switch (base.type()) {
        case BF16 -> Float.intBitsToFloat((int) own << 16);
        case F32 -> Float.intBitsToFloat((int) own);
        default -> Double.longBitsToDouble(own);
      };
    }

    /** Counts an element once all its bytes have been read. */
    void end() {
      if (!pending) {
        return;
      }
      pending = false;
      changed++;
      if (counted) {
        inRow[(int) (last / columns)]++;
        inColumn[(int) (last % columns)]++;
      }
      if (!numbers) {
        return;
      }
      double difference = number(bits) - number(read(old, base.offset() + last * width, width));
      if (!Double.isFinite(difference)) {
        notFinite++;
        return;
      }
      squares += difference * difference;
      if (step.isPresent() && step.get().count() == MOST_ENTRIES) {
        step = Optional.empty();
      }
      step.ifPresent(own -> own.add((int) (last / columns), (int) (last % columns), difference));
    }

    /**
     * Returns the overdispersion of counts relative to sampling without replacement
     * (hypergeometric).
     */
    private double dispersion(long[] counts) {
      double[] expected = new double[counts.length];
      double[] variances = new double[counts.length];
      double share = 1.0 / counts.length;
      double rest = elements > 1 ? (elements - changed) / (elements - 1.0) : 0;
      Arrays.fill(expected, changed * share);
      Arrays.fill(variances, changed * share * (1 - share) * rest);
      return Dispersion.z(counts, expected, variances);
    }

    PatchGeometry geometry(long seed) {
      double frobenius = Math.sqrt(squares);
      Optional<Size> size =
          numbers
              ? Optional.of(new Size(frobenius, step.map(own -> spectrum(own, frobenius, seed))))
              : Optional.empty();
      return new PatchGeometry(
          base.name(),
          base.type(),
          rows,
          columns,
          elements,
          changed,
          notFinite,
          dispersion(inRow),
          dispersion(inColumn),
          size);
    }

    private static Spectrum spectrum(SparseStep step, double frobenius, long seed) {
      SparseStep.SpectralNorm norm = step.spectralNorm(seed);
      double[] draws = new double[DRAWS];
      for (int i = 0; i < DRAWS; i++) {
        draws[i] = step.withRandomSigns(seed + 1 + i).spectralNorm(seed).value();
      }
      double rank = norm.value() > 0 ? Math.pow(frobenius / norm.value(), 2) : 0;
      return new Spectrum(norm.value(), norm.error(), rank, NullEstimate.of("random-signs", draws));
    }
  }
}
