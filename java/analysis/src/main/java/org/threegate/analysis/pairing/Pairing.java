package org.threegate.analysis.pairing;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.threegate.checkpoint.Adapter;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.run.InvalidInputException;

/**
 * The tensors that two checkpoints share, paired for comparison, and the tensors that cannot be
 * paired.
 *
 * @param pairs pairs in the order of the base's files
 * @param onlyInBase selected names that only the base has
 * @param onlyInTuned selected names that only the tuned checkpoint has
 * @param shapeMismatch names whose shapes differ, with both shapes
 * @param notCompared selected names whose dtype is not floating-point
 * @param untouched for an adapter: names of base tensors that it does not change
 */
public record Pairing(
    List<TensorPair> pairs,
    List<String> onlyInBase,
    List<String> onlyInTuned,
    List<String> shapeMismatch,
    List<String> notCompared,
    List<String> untouched) {
  private static final String SCALE_SUFFIX = "_scale_inv";
  private static final int MOST_EXPERTS = 1 << 16; // compared one by one
  private static final String HEAD = "lm_head.weight";

  /**
   * Pairs two checkpoints.
   *
   * @param base checkpoint before training
   * @param tuned checkpoint after training
   * @param selected selects tensors by name
   * @return the pairs, and the tensors that cannot be paired
   */
  public static Pairing of(Checkpoint base, Checkpoint tuned, Predicate<String> selected) {
    return new Builder(base, selected).withCheckpoint(tuned).build();
  }

  /**
   * Pairs a checkpoint with the result of applying an adapter to it.
   *
   * @param base checkpoint that the adapter belongs to
   * @param adapter an open adapter
   * @param selected selects tensors by name
   * @return the pairs, and the tensors that cannot be paired
   */
  public static Pairing of(Checkpoint base, Adapter adapter, Predicate<String> selected) {
    return new Builder(base, selected).withAdapter(adapter).build();
  }

  /**
   * {@return this pairing without its pairs} Pairs refer to mapped files; the rest stays valid
   * after the files are closed.
   */
  public Pairing withoutPairs() {
    return new Pairing(List.of(), onlyInBase, onlyInTuned, shapeMismatch, notCompared, untouched);
  }

  private static final class Builder {
    private final Checkpoint base;
    private final Predicate<String> selected;
    private final ModelConfig config;
    private final Architecture architecture;
    private final List<TensorPair> pairs = new ArrayList<>();
    private final List<String> onlyInBase = new ArrayList<>();
    private final List<String> onlyInTuned = new ArrayList<>();
    private final List<String> shapeMismatch = new ArrayList<>();
    private final List<String> notCompared = new ArrayList<>();
    private final List<String> untouched = new ArrayList<>();

    Builder(Checkpoint base, Predicate<String> selected) {
      this.base = base;
      this.selected = selected;
      this.config = base.config().orElse(ModelConfig.UNKNOWN);
      this.architecture = new Architecture(config);
    }

    Builder withCheckpoint(Checkpoint tuned) {
      Map<String, Tensor> left = tensors(base);
      Map<String, Tensor> right = tensors(tuned);
      boolean tied =
          config.tiedEmbeddings() || tuned.config().map(ModelConfig::tiedEmbeddings).orElse(false);
      Set<String> names = new LinkedHashSet<>(left.keySet());
      names.addAll(right.keySet());
      for (String name : names) {
        if (!selected.test(name)) {
          continue;
        }
        Tensor a = left.get(name);
        Tensor b = right.get(name);
        if (tied && name.equals(HEAD) && (a == null || b == null)) {
          continue; // a tied head that one side stores and the other does not: it is the embedding,
          // compared as that
        }
        if (a == null) {
          onlyInTuned.add(name);
        } else if (b == null) {
          onlyInBase.add(name);
        } else if (a.type().dtype().isEmpty() || b.type().dtype().isEmpty()) {
          notCompared.add(name + " " + a.type());
        } else if (!a.shape().equals(b.shape())) {
          shapeMismatch.add(name + " " + a.shape() + " " + b.shape());
        } else {
          add(name, a, b, scale(base, a, config), scale(tuned, b, tuned.config().orElse(config)));
        }
      }
      return this;
    }

    Builder withAdapter(Adapter adapter) {
      for (String name : adapter.updates().keySet()) {
        if (selected.test(name) && !base.tensors().containsKey(name)) {
          onlyInTuned.add(name);
        }
      }
      for (Map.Entry<String, Tensor> entry : tensors(base).entrySet()) {
        String name = entry.getKey();
        Tensor tensor = entry.getValue();
        List<Operand.LowRank> update = adapter.updates().get(name);
        Tensor replacement = adapter.replaced().get(name);
        if (!selected.test(name)) {
          continue;
        }
        if (update != null && tensor.type().dtype().isPresent()) {
          addAdapted(adapter, tensor, update);
        } else if (replacement != null && replacement.shape().equals(tensor.shape())) {
          add(name, tensor, replacement, Optional.empty(), Optional.empty());
        } else {
          untouched.add(name);
        }
      }
      return this;
    }

    private void addAdapted(Adapter adapter, Tensor tensor, List<Operand.LowRank> update) {
      Operand.LowRank term = update.get(0);
      if (tensor.shape().size() != 2
          || term.left().rows() != tensor.rows()
          || term.right().columns() != tensor.columns()) {
        shapeMismatch.add(
            tensor.name()
                + " "
                + tensor.shape()
                + " ["
                + term.left().rows()
                + ", "
                + term.right().columns()
                + "]");
        return;
      }
      String factors = "F64 (" + term.left().dtype() + " factors)";
      List<Tensor> sources = new ArrayList<>(List.of(tensor));
      sources.addAll(
          adapter.weights().tensors().values().stream()
              .filter(factor -> factor.name().contains(stem(tensor.name()) + ".lora_"))
              .toList());
      addMatrix(
          tensor.name(),
          tensor,
          factors,
          Operand.of(tensor.matrix()),
          Operand.adapted(tensor.matrix(), update),
          sources);
    }

    private static String stem(String name) {
      return name.endsWith(".weight")
          ? name.substring(0, name.length() - ".weight".length())
          : name;
    }

    private void add(
        String name, Tensor a, Tensor b, Optional<Tensor> scaleA, Optional<Tensor> scaleB) {
      TensorKind kind = architecture.kind(name, a.shape().size());
      boolean slices =
          a.shape().size() == 3
              && kind == TensorKind.EXPERT
              && a.elements() > 0
              && a.shape().get(0) <= MOST_EXPERTS;
      if (!slices) {
        List<Tensor> sources = new ArrayList<>(List.of(a, b));
        scaleA.ifPresent(sources::add);
        scaleB.ifPresent(sources::add);
        addMatrix(
            name,
            a,
            b.type().name(),
            operand(a, scaleA, config),
            operand(b, scaleB, config),
            sources);
        return;
      }
      for (long e = 0; e < a.shape().get(0); e++) {
        pairs.add(
            new TensorPair(
                name + "[" + e + "]",
                architecture.layer(name),
                kind,
                new TensorPair.Stored(a.type().name(), b.type().name(), 2, false),
                Operand.of(a.slice(e)),
                Operand.of(b.slice(e)),
                List.of(),
                e == 0 ? List.of(a, b) : List.of()));
      }
    }

    private void addMatrix(
        String name,
        Tensor a,
        String dtypeTuned,
        Operand left,
        Operand right,
        List<Tensor> sources) {
      int dimensions = a.shape().size();
      TensorKind kind = architecture.kind(name, dimensions);
      boolean transposed = architecture.isTransposed(name, dimensions);
      long rows = transposed ? left.columns() : left.rows();
      long columns = transposed ? left.rows() : left.columns();
      pairs.add(
          new TensorPair(
              name,
              architecture.layer(name),
              kind,
              new TensorPair.Stored(a.type().name(), dtypeTuned, dimensions, transposed),
              left,
              right,
              dimensions < 2 ? List.of() : architecture.heads(kind, rows, columns),
              sources));
    }

    /**
     * Returns all tensors except the scales of block-scaled weights, which are read with their
     * weights.
     */
    private static Map<String, Tensor> tensors(Checkpoint checkpoint) {
      Map<String, Tensor> tensors = new LinkedHashMap<>(checkpoint.tensors());
      tensors
          .keySet()
          .removeIf(
              name ->
                  name.endsWith(SCALE_SUFFIX)
                      && checkpoint
                          .tensors()
                          .containsKey(name.substring(0, name.length() - SCALE_SUFFIX.length())));
      return tensors;
    }

    private static Optional<Tensor> scale(
        Checkpoint checkpoint, Tensor tensor, ModelConfig config) {
      Optional<Tensor> found =
          Optional.ofNullable(checkpoint.tensors().get(tensor.name() + SCALE_SUFFIX));
      found.ifPresent(
          scale -> {
            long rows = ceiling(tensor.rows(), config.blockRows());
            long columns = ceiling(tensor.columns(), config.blockColumns());
            if (scale.type() != TensorType.F32
                || scale.shape().size() != 2
                || scale.rows() != rows
                || scale.columns() != columns) {
              throw new InvalidInputException(
                  checkpoint.path()
                      + ": tensor \""
                      + scale.name()
                      + "\" is "
                      + scale.type()
                      + scale.shape()
                      + "; blocks of "
                      + config.blockRows()
                      + " x "
                      + config.blockColumns()
                      + " of "
                      + tensor.shape()
                      + " need F32["
                      + rows
                      + ", "
                      + columns
                      + "]");
            }
          });
      return found;
    }

    private static long ceiling(long a, long b) {
      return (a + b - 1) / b;
    }

    private static Operand operand(Tensor tensor, Optional<Tensor> scale, ModelConfig config) {
      Matrix values = tensor.matrix();
      return scale
          .map(
              s ->
                  Operand.scaled(
                      values,
                      new Operand.BlockScale(
                          s.matrix(), config.blockRows(), config.blockColumns())))
          .orElseGet(() -> Operand.of(values));
    }

    Pairing build() {
      return new Pairing(
          List.copyOf(pairs),
          List.copyOf(onlyInBase),
          List.copyOf(onlyInTuned),
          List.copyOf(shapeMismatch),
          List.copyOf(notCompared),
          List.copyOf(untouched));
    }
  }
}
