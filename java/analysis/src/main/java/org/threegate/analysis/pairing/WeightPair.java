package org.threegate.analysis.pairing;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Ranges;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.kernel.Context;

/**
 * A weight that two checkpoints share. Its entries are read or computed when it is opened.
 *
 * @param name name of the weight
 * @param layer layer number; empty for a weight outside the layers
 * @param kind role of the weight in the model
 * @param stored how both sides are stored
 * @param base entries before training
 * @param tuned entries after training
 * @param heads attention heads as ranges of rows or columns
 * @param place where the weight has these entries; empty if they are all of its entries
 * @param sources the stored tensors that are read, for digests and for reading ahead; empty if an
 *     earlier pair lists them
 * @param tensors all stored tensors that the entries of both sides come from
 */
public record WeightPair(
    String name,
    OptionalInt layer,
    TensorKind kind,
    TensorPair.Stored stored,
    Values base,
    Values tuned,
    List<Architecture.Head> heads,
    Optional<Place> place,
    List<Tensor> sources,
    List<Tensor> tensors) {
  /**
   * The place of a part in its weight. A weight of three dimensions is taken as a matrix: the rows
   * of each expert follow those of the one before.
   *
   * @param weight name of the weight
   * @param rows rows of the part, as they are stored
   * @param columns columns of the part, as they are stored
   */
  public record Place(String weight, Ranges rows, Ranges columns) {}

  /** Copies the lists. */
  public WeightPair {
    heads = List.copyOf(heads);
    sources = List.copyOf(sources);
    tensors = List.copyOf(tensors);
  }

  /** {@return the number of dimensions} */
  public int dimensions() {
    return stored.dimensions();
  }

  /** {@return whether one side only is quantized, so that the difference is mostly quantization} */
  public boolean isQuantizedOnOneSide() {
    return Weight.isQuantized(stored.dtypeBase()) != Weight.isQuantized(stored.dtypeTuned());
  }

  /** {@return the number of rows as stored} */
  public long rows() {
    return base.rows();
  }

  /** {@return the number of columns as stored} */
  public long columns() {
    return base.columns();
  }

  /** {@return the shape; for a matrix: outputs, inputs} */
  public List<Long> shape() {
    return stored.shape(rows(), columns());
  }

  /** {@return the size of all sources in their files, in bytes} */
  public long bytes() {
    return sources.stream().mapToLong(Tensor::bytes).sum();
  }

  /**
   * {@return the pair as kernels read it}
   *
   * @param context context that allocates memory for entries that are computed
   */
  @SuppressWarnings("resource") // the pair owns what the two sides opened
  public TensorPair open(Context context) {
    Values.Opened left = base.open(context);
    try {
      Values.Opened right = tuned.open(context);
      List<NativeBuffer> computed = new ArrayList<>(left.computed());
      computed.addAll(right.computed());
      return new TensorPair(
          name, layer, kind, stored, left.operand(), right.operand(), heads, List.copyOf(computed));
    } catch (RuntimeException e) {
      left.close();
      throw e;
    }
  }
}
