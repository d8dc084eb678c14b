package org.threegate.analysis.mask;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/**
 * Masks of the entries that a trainer may change (arXiv 2511.08567, sections 4.2 and 5). The share
 * of principal, low or random entries is α. Masks have exactly round(α · entries) of them.
 *
 * <pre>{@code
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * MaskKind.Request request = new MaskKind.Request(6, 0.5, 1e-6, 0);
 * Mask safe = MaskKind.SAFE.of(context, weight, request, control);
 * System.out.println(safe.count() + " entries may change");
 * }</pre>
 */
public enum MaskKind {
  /** M_princ: the largest entries of the rank-k reconstruction. */
  PRINCIPAL,
  /** All entries that are not principal. */
  COMPLEMENT,
  /** M_low: the smallest entries. */
  LOW,
  /** The union of M_low and the entries that are not principal. */
  SAFE,
  /** Entries at random positions. */
  RANDOM,
  /**
   * The union of the smallest entries of the rank-k reconstruction and the smallest entries of the
   * matrix, a share α of each.
   */
  GEORA;

  /**
   * Parameters of a mask other than its kind.
   *
   * @param rank rank k of the reconstruction
   * @param alpha share α of entries
   * @param tolerance relative tolerance of the singular triplets
   * @param seed seed of the random mask
   */
  public record Request(int rank, double alpha, double tolerance, long seed) {}

  /** {@return the label used in options and files} */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }

  /**
   * {@return the kind with a label}
   *
   * @param label name of a kind, as {@link #label} returns it
   * @throws IllegalArgumentException if there is none; the message lists the valid labels
   */
  public static MaskKind of(String label) {
    List<MaskKind> found =
        Arrays.stream(values()).filter(kind -> kind.label().equals(label)).toList();
    if (found.isEmpty()) {
      throw new IllegalArgumentException(
          "\""
              + label
              + "\" is not a kind of mask; choose from "
              + Arrays.stream(values()).map(MaskKind::label).collect(Collectors.joining(", ")));
    }
    return found.get(0);
  }

  /** Returns whether the mask depends on the entries of the matrix, and not on its shape alone. */
  boolean readsEntries() {
    return this != RANDOM;
  }

  /** Returns whether the mask needs singular triplets. */
  boolean isSpectral() {
    return this != LOW && this != RANDOM;
  }

  /**
   * Computes the mask of a matrix.
   *
   * @param context context that runs the kernels
   * @param weight the matrix
   * @param request parameters of the mask
   * @param control cancels the computation
   * @return the mask, of the shape of the matrix
   */
  public Mask of(Context context, Operand weight, Request request, Control control) {
    long entries = Math.multiplyExact(weight.rows(), weight.columns());
    long count = GeometryOptions.countOf(request.alpha(), entries);
    if (this == RANDOM) {
      return random(weight.rows(), weight.columns(), count, request.seed());
    }
    if (!isSpectral()) {
      return MaskSelection.smallest(context, weight, count, control);
    }
    TruncatedSvd.Request triplets =
        TruncatedSvd.Request.of(weight, request.rank(), request.tolerance());
    try (TruncatedSvd.Result svd = TruncatedSvd.of(context, List.of(triplets), control).get(0)) {
      return switch (this) {
        case PRINCIPAL -> MaskSelection.principal(context, svd, count, control);
        case COMPLEMENT ->
            MaskSets.combine(
                context,
                MaskSets.Operation.COMPLEMENT,
                MaskSelection.principal(context, svd, count, control));
        case SAFE -> safe(context, weight, svd, count, count, control);
        default -> safe(context, weight, svd, entries - count, count, control);
      };
    }
  }

  /** Computes the union of the smallest entries and the complement of the principal entries. */
  private static Mask safe(
      Context context,
      Operand weight,
      TruncatedSvd.Result svd,
      long principal,
      long small,
      Control control) {
    Mask without =
        MaskSets.combine(
            context,
            MaskSets.Operation.COMPLEMENT,
            MaskSelection.principal(context, svd, principal, control));
    return MaskSets.combine(
        context,
        MaskSets.Operation.UNION,
        without,
        MaskSelection.smallest(context, weight, small, control));
  }

  /** Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm 3.4.2 S). */
  private static Mask random(long rows, long columns, long count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long perRow = (columns + 63) / 64;
    long[] words = new long[Math.toIntExact(Math.multiplyExact(rows, perRow))];
    long left = rows * columns;
    long wanted = count;
    for (long row = 0; row < rows; row++) {
      for (long column = 0; column < columns; column++, left--) {
        if (random.nextDouble() * left < wanted) {
          words[(int) (row * perRow + column / 64)] |= 1L << column;
          wanted--;
        }
      }
    }
    return new Mask(rows, columns, words);
  }
}
