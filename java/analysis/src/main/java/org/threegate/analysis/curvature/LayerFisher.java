package org.threegate.analysis.curvature;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Direction;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * The block of the Fisher information for the m x n weights of one linear layer. It is computed
 * from inputs X and output gradients G of the layer: F V = (1/N) Gᵀ diag(s) X (THEORY, section 3).
 * Vectors hold the weights in row-major order.
 *
 * <pre>{@code
 * LayerSamples part =
 *     new LayerSamples(
 *         Matrix.of(buffer, Dtype.F32, 100, 16), Matrix.of(buffer, Dtype.F32, 100, 8).at(6400));
 * LayerFisher fisher = LayerFisher.of(context, List.of(part), FisherKind.TRUE, control);
 * Estimate trace = Traces.hutchinson(fisher, 10, 1, Progress.NONE);
 * }</pre>
 */
public final class LayerFisher implements CurvatureOperator {
  private final Context context;
  private final List<LayerSamples> parts;
  private final FisherKind kind;
  private final Control control;
  private final int dimension;
  private final long tokens;
  private final long[] sequences;

  private LayerFisher(
      Context context,
      List<LayerSamples> parts,
      FisherKind kind,
      Control control,
      int dimension,
      long tokens,
      long[] sequences) {
    this.context = context;
    this.parts = List.copyOf(parts);
    this.kind = kind;
    this.control = control;
    this.dimension = dimension;
    this.tokens = tokens;
    this.sequences = sequences.clone();
  }

  /**
   * Creates the operator.
   *
   * @param context context that runs the products
   * @param parts parts of one sample, with any number of tokens each
   * @param kind source of the labels of the gradients
   * @param control cancels the products
   * @return the operator
   * @throws IllegalArgumentException if there are no parts, their shapes differ, or the layer has
   *     2^31 weights or more
   */
  public static LayerFisher of(
      Context context, List<LayerSamples> parts, FisherKind kind, Control control) {
    LayerSamples first = firstOf(parts);
    long weights = Math.multiplyExact(first.outputs(), first.inputs());
    if (weights > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "the layer has "
              + first.outputs()
              + " x "
              + first.inputs()
              + " weights; an operator supports fewer than 2^31");
    }
    long tokens = parts.stream().mapToLong(LayerSamples::tokens).sum();
    return new LayerFisher(context, parts, kind, control, (int) weights, tokens, new long[0]);
  }

  /**
   * {@return the Fisher information of whole sequences, per token: F V = (1/N) Gᵀ diag(S) X} S of a
   * token is the sum of slopes over its sequence.
   *
   * @param sequences sequence identifier of each token of all parts; a sequence may span several
   *     parts
   */
  public LayerFisher ofSequences(long[] sequences) {
    if (sequences.length != tokens) {
      throw new IllegalArgumentException(
          sequences.length + " sequence identifiers for " + tokens + " tokens");
    }
    return new LayerFisher(context, parts, kind, control, dimension, tokens, sequences);
  }

  static LayerSamples firstOf(List<LayerSamples> parts) {
    if (parts.isEmpty()) {
      throw new IllegalArgumentException("at least one part is required");
    }
    LayerSamples first = parts.get(0);
    for (LayerSamples part : parts) {
      if (part.inputs() != first.inputs() || part.outputs() != first.outputs()) {
        throw new IllegalArgumentException(
            "the parts belong to layers of different shapes: "
                + first.outputs()
                + " x "
                + first.inputs()
                + " and "
                + part.outputs()
                + " x "
                + part.inputs());
      }
    }
    return first;
  }

  /** {@return the source of the labels of the gradients} */
  public FisherKind kind() {
    return kind;
  }

  @Override
  public int dimension() {
    return dimension;
  }

  @Override
  public void apply(double[] vector, double[] product) {
    System.arraycopy(applyAll(new double[][] {vector})[0], 0, product, 0, dimension);
  }

  @Override
  public double[][] applyAll(double[][] vectors) {
    double[][] products = new double[vectors.length][dimension];
    long bytes = 8L * dimension;
    try (NativeBuffer entries = context.allocate(bytes * vectors.length)) {
      Direction[] directions = new Direction[vectors.length];
      for (int i = 0; i < vectors.length; i++) {
        entries.putDoubles(bytes * i, vectors[i]);
        Matrix matrix =
            Matrix.of(entries, Dtype.F64, parts.get(0).outputs(), parts.get(0).inputs())
                .at(bytes * i);
        directions[i] = Direction.of(Operand.of(matrix));
      }
      double[][] slopes = slopes(List.of(directions));
      int begin = 0;
      for (LayerSamples part : parts) {
        int end = begin + part.tokens();
        for (int i = 0; i < vectors.length; i++) {
          part.addProducts(
              context, Arrays.copyOfRange(slopes[i], begin, end), products[i], control);
        }
        begin = end;
      }
    }
    for (double[] product : products) {
      Vectors.scale(product, 1.0 / tokens);
    }
    return products;
  }

  /**
   * Returns the slopes of the tokens of all parts, concatenated. For sequences, each token has the
   * sum over its sequence.
   */
  private double[][] slopes(List<Direction> directions) {
    double[][] slopes = new double[directions.size()][Math.toIntExact(tokens)];
    int begin = 0;
    for (LayerSamples part : parts) {
      double[][] own = part.slopes(context, directions, control).slopes();
      for (int i = 0; i < own.length; i++) {
        System.arraycopy(own[i], 0, slopes[i], begin, own[i].length);
      }
      begin += part.tokens();
    }
    if (sequences.length > 0) {
      for (double[] each : slopes) {
        Map<Long, Double> sums = new HashMap<>();
        for (int t = 0; t < each.length; t++) {
          sums.merge(sequences[t], each[t], Double::sum);
        }
        Arrays.setAll(each, t -> sums.get(sequences[t]));
      }
    }
    return slopes;
  }
}
