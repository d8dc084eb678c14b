package org.threegate.analysis.intervention;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.checkpoint.Architecture;
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
 * @param queries number of query heads
 * @param keyValues number of key-value heads
 * @param dimension dimension of a head
 */
record AttentionLayer(
    int index, List<Part> parts, Tensor output, int queries, int keyValues, int dimension) {
  /**
   * A tensor whose rows belong to heads.
   *
   * @param columns number of entries per row; 1 for a bias
   */
  record Part(Tensor tensor, List<Architecture.Head> heads, int columns) {}

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
    for (Map.Entry<String, Tensor> entry : checkpoint.tensors().entrySet()) {
      Tensor tensor = entry.getValue();
      if (architecture.layer(entry.getKey()).orElse(-1) != index || tensor.shape().size() != 2) {
        continue;
      }
      TensorKind kind = architecture.kind(entry.getKey(), 2);
      List<Architecture.Head> heads = architecture.heads(kind, tensor.rows(), tensor.columns());
      if (heads.isEmpty() || architecture.isTransposed(entry.getKey(), 2)) {
        continue;
      }
      if (kind == TensorKind.O_PROJ) {
        output = Optional.of(tensor);
        continue;
      }
      parts.add(new Part(tensor, heads, Math.toIntExact(tensor.columns())));
      Optional.ofNullable(
              checkpoint.tensors().get(entry.getKey().replaceAll("\\.weight$", ".bias")))
          .filter(bias -> bias.shape().size() == 1 && bias.elements() == tensor.rows())
          .ifPresent(bias -> parts.add(new Part(bias, heads, 1)));
    }
    boolean complete =
        output.isPresent()
            && Stream.of(HeadPart.QUERY, HeadPart.KEY, HeadPart.VALUE)
                .allMatch(
                    part ->
                        parts.stream()
                            .flatMap(found -> found.heads().stream())
                            .anyMatch(head -> head.part() == part));
    if (!complete) {
      throw new InvalidInputException(
          checkpoint.path()
              + ": layer "
              + index
              + " has no query, key, value and output matrices that fit its config.json");
    }
    return new AttentionLayer(
        index,
        parts,
        output.get(),
        config.attentionHeads().orElseThrow(),
        config.keyValueHeads().orElseThrow(),
        config.headDimension().orElseThrow());
  }
}
