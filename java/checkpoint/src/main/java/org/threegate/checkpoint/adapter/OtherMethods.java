package org.threegate.checkpoint.adapter;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.DoubleRows;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.run.InvalidInputException;

/** Applies methods whose update is no product of two stored factors. */
final class OtherMethods {
  private static final String WEIGHT = ".weight";
  private static final int WIDEST_ROTATION = 512;

  private final AdapterFile adapter;
  private final Map<String, Tensor> projections; // of VeRA, which all modules share
  private final Changes changes;

  OtherMethods(AdapterFile adapter, Changes changes) {
    this.adapter = adapter;
    this.projections =
        adapter.modules().values().stream()
            .filter(parts -> parts.containsKey("vera_A"))
            .findFirst()
            .orElse(Map.of());
    this.changes = changes;
  }

  void ia3(AdapterFile.Module module, Map<String, Tensor> parts) {
    Tensor tensor = required(parts, "ia3_l");
    String name = module.name() + WEIGHT;
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(List.of(tensor), name);
      return;
    }
    Weight weight = now.get();
    long count = tensor.elements();
    boolean ofInputs = tensor.shape().size() == 2 && tensor.shape().get(0) == 1;
    boolean inputsFirst = changes.isTransposed(weight);
    boolean ofColumns = ofInputs != inputsFirst;
    long rows = weight.entries().rows();
    long columns = weight.entries().columns();
    if (count != (ofColumns ? columns : rows) && count == (ofColumns ? rows : columns)) {
      ofColumns = !ofColumns;
    }
    if (weight.shape().size() != 2 || count != (ofColumns ? columns : rows)) {
      changes.doesNotFit(List.of(tensor), weight, tensor.shape().toString());
      return;
    }
    double[] factors = adapter.dense(tensor).values();
    scale(weight, factors, ofColumns, tensor);
    if (!ofInputs) {
      changes
          .now(module.name() + ".bias")
          .filter(bias -> bias.elements() == count)
          .ifPresent(bias -> scale(bias, factors, true, tensor));
    }
  }

  private void scale(Weight weight, double[] factors, boolean ofColumns, Tensor tensor) {
    long columns = weight.entries().columns();
    changes.change(
        weight,
        changes.formed(
            weight.entries(), rows -> Formulas.scaled(rows, (int) columns, factors, ofColumns)),
        "IA3",
        List.of(tensor));
  }

  /** Returns a stored part that the method cannot do without. */
  private Tensor required(Map<String, Tensor> parts, String role) {
    return Optional.ofNullable(parts.get(role))
        .orElseThrow(
            () ->
                new InvalidInputException(
                    adapter.settings().path()
                        + ": no "
                        + role
                        + parts.values().stream()
                            .findFirst()
                            .map(tensor -> " beside \"" + tensor.name() + '"')
                            .orElse("")));
  }

  private Formulas.Dense matrix(Map<String, Tensor> parts, String role) {
    Tensor tensor = required(parts, role);
    if (tensor.shape().size() != 2) {
      throw adapter.invalid(
          tensor, "belongs to a convolution, which cannot be computed; merge the adapter first");
    }
    return adapter.dense(tensor);
  }

  private Formulas.Dense[] factors(Map<String, Tensor> parts, String left, String right) {
    Formulas.Dense[] factors = {matrix(parts, left), matrix(parts, right)};
    if (factors[0].columns() != factors[1].rows()) {
      throw adapter.invalid(parts.get(left), "does not fit its " + right);
    }
    return factors;
  }

  void loha(AdapterFile.Module module, Map<String, Tensor> parts) {
    Formulas.Dense[] one = factors(parts, "hada_w1_a", "hada_w1_b");
    Formulas.Dense[] other = factors(parts, "hada_w2_a", "hada_w2_b");
    if (one[0].rows() != other[0].rows() || one[1].columns() != other[1].columns()) {
      throw adapter.invalid(parts.get("hada_w1_a"), "does not fit its hada_w2_a and hada_w2_b");
    }
    double scale = adapter.settings().scaling().of(module.name(), rank(module));
    add(
        module,
        Changes.those(parts, "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
        new long[] {one[0].rows(), one[1].columns()},
        rows -> Formulas.plusHadamard(rows, one, other, scale));
  }

  void lokr(AdapterFile.Module module, Map<String, Tensor> parts) {
    Formulas.Dense one = product(parts, "lokr_w1");
    Formulas.Dense other = product(parts, "lokr_w2");
    double scale = adapter.settings().scaling().of(module.name(), rank(module));
    add(
        module,
        Changes.those(
            parts, "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"),
        new long[] {(long) one.rows() * other.rows(), (long) one.columns() * other.columns()},
        rows -> Formulas.plusKronecker(rows, one, other, scale));
  }

  private Formulas.Dense product(Map<String, Tensor> parts, String role) {
    if (parts.containsKey(role)) {
      return matrix(parts, role);
    }
    Formulas.Dense[] factors = factors(parts, role + "_a", role + "_b");
    adapter.requireSmall(factors[0].rows(), factors[1].columns());
    return factors[0].times(factors[1]);
  }

  private long rank(AdapterFile.Module module) {
    return adapter.settings().scaling().rank(module.name());
  }

  private void add(
      AdapterFile.Module module,
      List<Tensor> tensors,
      long[] shape,
      UnaryOperator<DoubleRows> formula) {
    String name = module.name() + WEIGHT;
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(tensors, name);
      return;
    }
    boolean fits =
        now.get().shape().size() == 2
            && now.get().entries().rows() == shape[0]
            && now.get().entries().columns() == shape[1];
    if (!fits) {
      changes.doesNotFit(tensors, now.get(), Changes.shape(shape[0], shape[1]));
      return;
    }
    String how = String.valueOf(adapter.settings().method());
    changes.change(now.get(), changes.formed(now.get().entries(), formula), how, tensors);
  }

  /** Rotates the inputs in blocks. */
  void oft(AdapterFile.Module module, Map<String, Tensor> parts) {
    Formulas.Dense angles = matrix(parts, "oft_R");
    String name = module.name() + WEIGHT;
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(parts.values(), name);
      return;
    }
    int size = (int) Math.round((1 + Math.sqrt(1 + 8.0 * angles.columns())) / 2);
    long columns = now.get().entries().columns();
    boolean fits =
        now.get().shape().size() == 2
            && size * (size - 1L) / 2 == angles.columns()
            && size <= WIDEST_ROTATION
            && columns % size == 0
            && (angles.rows() == 1 || angles.rows() * (long) size == columns);
    if (!fits || changes.isTransposed(now.get())) {
      changes.doesNotFit(
          parts.values(), now.get(), angles.rows() + " rotations of " + size + " inputs");
      return;
    }
    int terms = adapter.settings().rotationTerms();
    changes.change(
        now.get(),
        changes.formed(
            now.get().entries(),
            base -> {
              List<Formulas.Dense> rotations = new ArrayList<>();
              for (int i = 0; i < angles.rows(); i++) {
                double[] own =
                    Arrays.copyOfRange(
                        angles.values(), i * angles.columns(), (i + 1) * angles.columns());
                rotations.add(Formulas.rotation(own, size, terms));
              }
              return Formulas.rotated(base, (int) columns, rotations);
            }),
        "OFT",
        Changes.those(parts, "oft_R"));
  }

  /** The product of two projections that all modules share, scaled by two vectors of a module. */
  void vera(AdapterFile.Module module, Map<String, Tensor> parts) {
    if (parts == projections) {
      return;
    }
    Tensor a = required(projections, "vera_A");
    Tensor b = required(projections, "vera_B");
    Tensor outputs = required(parts, "vera_lambda_b");
    Tensor ranks = required(parts, "vera_lambda_d");
    List<Tensor> tensors = List.of(outputs, ranks, a, b);
    String name = module.name() + WEIGHT;
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(List.of(outputs, ranks), name);
      return;
    }
    long rows = now.get().entries().rows();
    long columns = now.get().entries().columns();
    long inputs = outputs.elements() == rows ? columns : rows;
    Optional<Boolean> inputsFirst = changes.inputsFirst(now.get(), outputs.elements(), inputs);
    boolean fits =
        ranks.elements() == a.rows()
            && b.columns() == a.rows()
            && b.rows() >= outputs.elements()
            && a.columns() >= inputs;
    if (inputsFirst.isEmpty() || now.get().shape().size() != 2 || !fits) {
      changes.doesNotFit(
          List.of(outputs, ranks), now.get(), Changes.shape(outputs.elements(), inputs));
      return;
    }
    changes.change(
        now.get(),
        changes.formed(
            now.get().entries(),
            base -> {
              Formulas.Dense left =
                  adapter
                      .dense(b)
                      .part((int) outputs.elements(), (int) b.columns())
                      .withRows(adapter.dense(outputs).values());
              Formulas.Dense right =
                  adapter
                      .dense(a)
                      .part((int) a.rows(), (int) inputs)
                      .withRows(adapter.dense(ranks).values());
              return inputsFirst.get()
                  ? Formulas.plusProduct(base, right.transposed(), left.transposed())
                  : Formulas.plusProduct(base, left, right);
            }),
        "VERA",
        tensors);
  }

  void tokens(AdapterFile.Module module, Tensor rows) {
    String name = module.name() + WEIGHT;
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(List.of(rows), name);
      return;
    }
    List<Integer> tokens = adapter.settings().tokensOf(module.name());
    long vocabulary = now.get().entries().rows();
    boolean fits =
        now.get().shape().size() == 2
            && rows.shape().equals(List.of((long) tokens.size(), now.get().shape().get(1)))
            && tokens.stream().allMatch(token -> token < vocabulary);
    if (!fits) {
      changes.doesNotFit(
          List.of(rows), now.get(), rows.shape() + " for " + tokens.size() + " tokens");
      return;
    }
    Formulas.Dense values = adapter.dense(rows);
    Map<Long, Integer> byRow = new HashMap<>();
    for (int i = 0; i < tokens.size(); i++) {
      byRow.put(tokens.get(i).longValue(), i);
    }
    changes.change(
        now.get(),
        changes.formed(now.get().entries(), base -> Formulas.replaced(base, values, byRow)),
        rows.type() + " rows of tokens",
        List.of(rows));
  }
}
