package org.threegate.checkpoint.adapter;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * Single parameters of modules that have factors (PEFT's {@code target_parameters}), such as the
 * matrices of all experts. The names of stored factors do not tell the parameter; their shapes do.
 */
final class Parameters {
  /** Parameters of experts in a model, and the modules of one expert that files have instead. */
  private static final Map<String, List<List<String>>> BY_EXPERT =
      Map.of(
          "gate_up_proj", List.of(List.of("gate_proj", "up_proj"), List.of("w1", "w3")),
          "down_proj", List.of(List.of("down_proj"), List.of("w2")));

  private final AdapterFile adapter;
  private final Map<String, Weight> base;
  private final boolean inputsFirst;

  Parameters(AdapterFile adapter, Map<String, Weight> base, String modelType) {
    this.adapter = adapter;
    this.base = base;
    this.inputsFirst = Architecture.hasInputsFirst(modelType);
  }

  /**
   * The factors of one parameter.
   *
   * @param depth number of wrappers around the module that are nested in this one
   * @param a factor of the inputs, with the rows of all experts one after the other
   * @param b factor of the outputs, whose columns of one expert lie apart
   */
  record Wrapper(int depth, Tensor a, Tensor b) {}

  /**
   * A parameter of the base.
   *
   * @param name name in the model
   * @param shape experts, rows and columns
   * @param weights weights of the base with its entries; several per expert if a file has a matrix
   *     for each, and their rows follow each other
   */
  record Parameter(String name, long[] shape, List<List<Weight>> weights) {
    boolean isOneWeight() {
      return weights.isEmpty();
    }
  }

  /** Returns the parameters of a module that have factors and that the base has. */
  List<Parameter> of(String module) {
    List<Parameter> found = new ArrayList<>();
    for (String own : adapter.settings().parametersOf(module)) {
      String name = module + "." + own;
      Weight weight = base.get(name);
      if (weight == null) {
        BY_EXPERT
            .getOrDefault(own, List.of())
            .forEach(parts -> byExpert(module, name, parts, found));
      } else if (weight.shape().size() == 3) {
        long[] shape = weight.shape().stream().mapToLong(size -> size).toArray();
        found.add(new Parameter(name, shape, List.of()));
      } else if (weight.shape().size() == 2) {
        long[] shape = {1, weight.shape().get(0), weight.shape().get(1)};
        found.add(new Parameter(name, shape, List.of()));
      }
    }
    return found;
  }

  private void byExpert(String module, String name, List<String> parts, List<Parameter> found) {
    List<List<Weight>> experts = new ArrayList<>();
    while (true) {
      List<Weight> own = new ArrayList<>();
      for (String part : parts) {
        Weight weight = base.get(module + "." + experts.size() + "." + part + ".weight");
        if (weight != null && weight.shape().size() == 2) {
          own.add(weight);
        }
      }
      if (own.size() < parts.size()) {
        break;
      }
      experts.add(own);
    }
    if (!experts.isEmpty()) {
      long rows = experts.get(0).stream().mapToLong(weight -> weight.shape().get(0)).sum();
      long[] shape = {experts.size(), rows, experts.get(0).get(0).shape().get(1)};
      boolean equal =
          experts.stream()
              .allMatch(
                  own ->
                      own.stream().mapToLong(weight -> weight.shape().get(0)).sum() == rows
                          && own.stream().allMatch(one -> one.shape().get(1) == shape[2]));
      if (equal) {
        found.add(new Parameter(name, shape, experts));
      }
    }
  }

  /** Returns the parameters that factors fit. */
  List<Parameter> fitting(String module, Wrapper wrapper) {
    adapter.requireFactor(wrapper.a());
    adapter.requireFactor(wrapper.b());
    List<Parameter> fitting = new ArrayList<>();
    for (Parameter parameter : of(module)) {
      long[] shape = parameter.shape();
      long rank = adapter.settings().scaling().rank(parameter.name()) * shape[0];
      boolean ranks = wrapper.a().rows() == rank && wrapper.b().columns() == rank;
      if (ranks && (fits(wrapper, shape[1], shape[2]) || turned(parameter, wrapper))) {
        fitting.add(parameter);
      }
    }
    return fitting;
  }

  private static boolean fits(Wrapper wrapper, long outputs, long inputs) {
    return wrapper.b().rows() == outputs && wrapper.a().columns() == inputs;
  }

  /** Returns whether the parameter stores the inputs of each expert as rows. */
  private boolean turned(Parameter parameter, Wrapper wrapper) {
    long[] shape = parameter.shape();
    boolean possible = shape[0] > 1 && parameter.isOneWeight() && fits(wrapper, shape[2], shape[1]);
    return possible && (inputsFirst || !fits(wrapper, shape[1], shape[2]));
  }

  /** Returns the changed entries of the weights that hold a parameter. */
  Map<String, Values> changes(Parameter parameter, Wrapper wrapper) {
    int experts = Math.toIntExact(parameter.shape()[0]);
    List<Operand.LowRank> terms = terms(parameter, wrapper);
    Map<String, Values> changes = new LinkedHashMap<>();
    if (parameter.isOneWeight()) {
      Weight weight = base.get(parameter.name());
      List<Values> parts = new ArrayList<>();
      for (int e = 0; e < experts; e++) {
        Values own = weight.shape().size() == 3 ? weight.slice(e) : weight.entries();
        parts.add(new Values.Adapted(own, List.of(terms.get(e))));
      }
      changes.put(parameter.name(), experts == 1 ? parts.get(0) : new Values.Stacked(parts));
      return changes;
    }
    String module = parameter.name().substring(0, parameter.name().lastIndexOf('.'));
    List<String> names =
        BY_EXPERT.get(parameter.name().substring(module.length() + 1)).stream()
            .filter(parts -> base.containsKey(module + ".0." + parts.get(0) + ".weight"))
            .findFirst()
            .orElseThrow();
    for (int e = 0; e < experts; e++) {
      long begin = 0;
      for (int p = 0; p < names.size(); p++) {
        Weight weight = parameter.weights().get(e).get(p);
        Values term =
            new Values.Adapted(
                weight.entries(), List.of(rows(terms.get(e), begin, weight.shape().get(0))));
        changes.put(module + "." + e + "." + names.get(p) + ".weight", term);
        begin += weight.shape().get(0);
      }
    }
    return changes;
  }

  private static Operand.LowRank rows(Operand.LowRank term, long begin, long count) {
    Matrix left = term.left();
    Matrix own = Operand.of(left).slice(begin, begin + count, 0, left.columns()).values();
    return new Operand.LowRank(own, term.right(), term.scale());
  }

  /** Returns the product of each expert. */
  private List<Operand.LowRank> terms(Parameter parameter, Wrapper wrapper) {
    long experts = parameter.shape()[0];
    Matrix a = wrapper.a().matrix();
    Matrix b = wrapper.b().matrix();
    long rank = a.rows() / experts;
    long outputs = b.rows();
    long inputs = a.columns();
    double scale = adapter.settings().scaling().of(parameter.name(), rank);
    List<Operand.LowRank> terms = new ArrayList<>();
    if (turned(parameter, wrapper)) {
      Matrix left =
          adapter.copy(
              a, experts * inputs, rank, (i, j) -> (i / inputs * rank + j) * inputs + i % inputs);
      Matrix right =
          adapter.copy(
              b, experts * rank, outputs, (i, j) -> (j * rank + i % rank) * experts + i / rank);
      for (long e = 0; e < experts; e++) {
        terms.add(new Operand.LowRank(part(left, e, inputs), part(right, e, rank), scale));
      }
      return terms;
    }
    Matrix left =
        adapter.copy(
            b, experts * outputs, rank, (i, j) -> (i % outputs * rank + j) * experts + i / outputs);
    for (long e = 0; e < experts; e++) {
      terms.add(new Operand.LowRank(part(left, e, outputs), part(a, e, rank), scale));
    }
    return terms;
  }

  private static Matrix part(Matrix matrix, long index, long rows) {
    return Operand.of(matrix).slice(index * rows, (index + 1) * rows, 0, matrix.columns()).values();
  }
}
