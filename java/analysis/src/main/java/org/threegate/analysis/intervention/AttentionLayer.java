package org.threegate.analysis.intervention;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.AttentionHeads;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.HeadPart;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorKind;
import org.threegate.run.InvalidInputException;

/**
 * The attention matrices of one layer with their heads. Heads are ranges of rows of the query, key
 * and value matrices, and of columns of the output matrix.
 *
 * @param parts matrices and vectors whose rows belong to heads
 * @param output matrix, whose columns belong to query heads
 * @param shape numbers and dimension of the heads
 * @param joint a normalization of queries or keys with entries of its own for each head; empty if
 *     all heads share theirs
 */
record AttentionLayer(
    int index,
    List<Part> parts,
    Tensor output,
    Shape shape,
    Optional<KnownAttention.Member> joint) {
  /**
   * A tensor whose rows belong to heads.
   *
   * @param columns number of entries per row; 1 for a bias
   */
  record Part(Tensor tensor, List<Architecture.Head> heads, int columns) {}

  /**
   * The heads of a layer.
   *
   * @param queries number of query heads
   * @param keyValues number of key-value heads
   * @param dimension dimension of a head
   */
  record Shape(int queries, int keyValues, int dimension) {
    static Shape of(Checkpoint checkpoint, ModelConfig config) {
      AttentionHeads.OfLayer heads =
          config
              .heads()
              .ofMost()
              .orElseThrow(
                  () ->
                      new InvalidInputException(
                          checkpoint.path()
                              + ": its config.json does not state its attention heads"));
      int queries = heads.queries();
      int keyValues = heads.keyValues();
      if (queries % keyValues != 0) {
        throw new InvalidInputException(
            checkpoint.path()
                + ": its config.json has "
                + queries
                + " query heads, which is not a multiple of its "
                + keyValues
                + " key-value heads");
      }
      return new Shape(queries, keyValues, heads.dimension());
    }
  }

  static AttentionLayer of(Checkpoint checkpoint, int index) {
    ModelConfig config =
        checkpoint
            .config()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        checkpoint.path()
                            + ": has no config.json, so its attention heads are unknown"));
    Architecture architecture = new Architecture(config);
    List<Part> parts = new ArrayList<>();
    Optional<Tensor> output = Optional.empty();
    Optional<KnownAttention.Member> joint = Optional.empty();
    List<KnownAttention.Member> members = KnownAttention.of(checkpoint, index);
    Shape shape = Shape.of(checkpoint, config);
    for (KnownAttention.Member member : members) {
      Tensor tensor = member.tensor();
      if (member.isNorm()) {
        boolean shared = tensor.shape().equals(List.of((long) shape.dimension()));
        joint = shared ? joint : Optional.of(member);
      } else if (member.isWeight()) {
        List<Architecture.Head> heads = heads(architecture, member);
        if (architecture.kind(tensor.name(), 2) == TensorKind.O_PROJ) {
          output = Optional.of(tensor);
        } else {
          parts.add(new Part(tensor, heads, Math.toIntExact(tensor.columns())));
        }
      } else if (!member.part().endsWith("o_proj.bias")) {
        parts.add(new Part(tensor, headsOfBias(architecture, member), 1));
      }
    }
    requireComplete(checkpoint, index, parts, output.isPresent());
    return new AttentionLayer(index, parts, output.orElseThrow(), shape, joint);
  }

  private static List<Architecture.Head> heads(
      Architecture architecture, KnownAttention.Member member) {
    Tensor tensor = member.tensor();
    List<Architecture.Head> heads =
        tensor.shape().size() == 2
            ? architecture.heads(
                architecture.kind(tensor.name(), 2), tensor.rows(), tensor.columns())
            : List.of();
    if (heads.isEmpty()) {
      throw doesNotFit(member);
    }
    return heads;
  }

  /** Returns the heads of a bias, which are those of the rows of its matrix. */
  private static List<Architecture.Head> headsOfBias(
      Architecture architecture, KnownAttention.Member member) {
    Tensor tensor = member.tensor();
    String weight = tensor.name().replaceAll("\\.bias$", ".weight");
    List<Architecture.Head> heads =
        tensor.shape().size() == 1
            ? architecture.heads(architecture.kind(weight, 2), tensor.elements(), 1)
            : List.of();
    if (heads.isEmpty()) {
      throw doesNotFit(member);
    }
    return heads;
  }

  private static InvalidInputException doesNotFit(KnownAttention.Member member) {
    return member.refused(
        "has shape "
            + member.tensor().shape()
            + ", which does not fit the attention heads of config.json");
  }

  private static void requireComplete(
      Checkpoint checkpoint, int index, List<Part> parts, boolean output) {
    boolean complete =
        output
            && Stream.of(HeadPart.QUERY, HeadPart.KEY, HeadPart.VALUE)
                .allMatch(
                    part ->
                        parts.stream()
                                .filter(found -> found.tensor().shape().size() == 2)
                                .filter(
                                    found ->
                                        found.heads().stream()
                                            .anyMatch(head -> head.part() == part))
                                .count()
                            == 1);
    if (!complete) {
      throw new InvalidInputException(
          checkpoint.path()
              + ": layer "
              + index
              + " has no query, key, value and output matrices that fit its config.json");
    }
  }

  int queries() {
    return shape.queries();
  }

  int keyValues() {
    return shape.keyValues();
  }

  int dimension() {
    return shape.dimension();
  }
}
