package org.threegate.spark;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.TensorKind;
import org.threegate.dtype.Dtype;

/**
 * What the driver tells executors to measure: plain data, which travels as JSON, so that another
 * version is recognised before it is misread. What is not there is left out.
 */
final class Descriptions {
  private Descriptions() {}

  /**
   * A file with weights.
   *
   * @param modified in milliseconds: another file by that name is refused
   */
  record Source(String location, long bytes, long modified) {}

  /**
   * A matrix in a file, or the little one that {@code values} holds.
   *
   * @param file index into the unit's
   */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Stored(
      int file, long offset, Dtype dtype, long rows, long columns, Optional<byte[]> values) {
    long bytes() {
      return rows * columns * dtype.bytes();
    }
  }

  /** Scales of blocks. */
  record Scale(Stored scales, long blockRows, long blockColumns) {}

  /** A product of two factors. */
  record Product(Stored left, Stored right, double scale) {}

  /** What a kernel reads as one matrix. */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Weights(Stored values, Optional<Scale> scale, List<Product> products) {
    private void addTo(List<Stored> matrices) {
      matrices.add(values);
      scale.ifPresent(own -> matrices.add(own.scales()));
      for (Product product : products) {
        matrices.add(product.left());
        matrices.add(product.right());
      }
    }
  }

  /** A pair of matrices, as {@link TensorPair} has them. */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Pair(
      String name,
      OptionalInt layer,
      TensorKind kind,
      TensorPair.Stored stored,
      Weights base,
      Weights tuned,
      List<Architecture.Head> heads) {
    /** All that it reads. */
    List<Stored> matrices() {
      List<Stored> matrices = new ArrayList<>();
      base.addTo(matrices);
      tuned.addTo(matrices);
      return matrices;
    }
  }

  /** Bytes of a tensor whose digest is wanted. */
  record Digested(String key, int file, long offset, long bytes) {}

  /**
   * What is measured together, under the name of its tensor.
   *
   * @param pairs one of a comparison, one a run of a consensus; none: only digests are wanted
   * @param bytes of native memory that it takes, about
   * @param cost of it, beside others'
   */
  record Item(String name, List<Pair> pairs, List<Digested> digests, long bytes, double cost) {}

  /**
   * What one task does.
   *
   * @param alone nothing else of ours may run beside it in the executor
   */
  record Unit(Map<Integer, Source> files, List<Item> items, boolean alone) {}
}
