package org.threegate.spark;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Ranges;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.TensorType;

/**
 * Descriptions of work that the driver sends to executors. They are plain records in JSON, so that
 * a different version is detected before data is misread. Absent values are omitted.
 */
final class Descriptions {
  private Descriptions() {}

  /**
   * A file with weights.
   *
   * @param modified modification time in milliseconds; a file with a different time is refused
   */
  record Source(String location, long bytes, long modified) {}

  /**
   * A matrix in a file, or a small matrix in {@code values}.
   *
   * @param file index into the files of the unit
   */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Stored(
      int file, long offset, TensorType dtype, long rows, long columns, Optional<byte[]> values) {
    long bytes() {
      return rows * columns * dtype.bits() / Byte.SIZE;
    }
  }

  /**
   * The scales of codes, as in {@link org.threegate.checkpoint.weight.ScaleGrid}.
   *
   * @param period rows after which blocks start anew
   * @param factor factor of all scales
   */
  record Scale(Stored scales, long blockRows, long blockColumns, long period, float factor) {}

  /** A scaled product of two factors, as in adapters. */
  record Product(Stored left, Stored right, double scale) {}

  /** The rows and columns of a part of a matrix. */
  record Selected(Ranges rows, Ranges columns) {}

  /**
   * An operand that a kernel reads as one matrix.
   *
   * @param part the part of the matrix that is wanted; empty for all of it
   */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Weights(
      Stored values, Optional<Scale> scale, List<Product> products, Optional<Selected> part) {
    private void addTo(List<Stored> matrices) {
      matrices.add(values);
      scale.ifPresent(own -> matrices.add(own.scales()));
      for (Product product : products) {
        matrices.add(product.left());
        matrices.add(product.right());
      }
    }
  }

  /** A pair of matrices, as in {@link TensorPair}. */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Pair(
      String name,
      OptionalInt layer,
      TensorKind kind,
      TensorPair.Stored stored,
      Weights base,
      Weights tuned,
      List<Architecture.Head> heads) {
    /** Returns all matrices that the operand reads. */
    List<Stored> matrices() {
      List<Stored> matrices = new ArrayList<>();
      base.addTo(matrices);
      tuned.addTo(matrices);
      return matrices;
    }
  }

  /** A stored tensor, or the part of one that belongs to one expert. */
  record Part(String name, TensorType dtype, List<Long> shape, int file, long offset) {
    long bytes() {
      return shape.stream().reduce(1L, Math::multiplyExact) * dtype.bits() / Byte.SIZE;
    }
  }

  /**
   * The parts of a checkpoint or adapter that a pair needs.
   *
   * @param texts contents of its descriptions, such as {@code config.json}, by file name
   */
  record Excerpt(Map<String, String> texts, List<Part> parts) {
    long bytes() {
      return parts.stream().mapToLong(Part::bytes).sum();
    }
  }

  /**
   * Pairs of a matrix whose entries are computed. The executor makes them from excerpts by the code
   * that pairs whole checkpoints.
   *
   * @param pair name of the pair in the excerpts
   * @param tuned one excerpt per run; empty for a mask
   * @param initial the adapter from before training
   * @param renames beginnings of names of the tuned checkpoint, and what stands there in the base
   * @param adapter whether the tuned side is an adapter
   * @param entries number of entries of the matrix
   */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Computed(
      String pair,
      Excerpt base,
      List<Excerpt> tuned,
      Optional<Excerpt> initial,
      Map<String, String> renames,
      boolean adapter,
      long entries) {
    List<Part> parts() {
      List<Part> parts = new ArrayList<>(base.parts());
      tuned.forEach(excerpt -> parts.addAll(excerpt.parts()));
      initial.ifPresent(excerpt -> parts.addAll(excerpt.parts()));
      return parts;
    }
  }

  /** The range of bytes of a tensor whose digest is requested. */
  record Digested(String key, int file, long offset, long bytes) {}

  /**
   * The work on one tensor.
   *
   * @param name name of the tensor
   * @param pairs one pair for a comparison, one pair per run for a consensus; empty if only digests
   *     are requested
   * @param computed these pairs, if entries of them are computed
   * @param digests tensors to digest
   * @param bytes approximate native memory in bytes
   * @param cost relative cost
   */
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Item(
      String name,
      List<Pair> pairs,
      Optional<Computed> computed,
      List<Digested> digests,
      long bytes,
      double cost) {}

  /**
   * The work of one Spark task.
   *
   * @param alone whether it must run alone in the executor
   */
  record Unit(Map<Integer, Source> files, List<Item> items, boolean alone) {}
}
