package org.threegate.checkpoint.adapter;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.DoubleRows;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.run.InvalidInputException;

/** The weights that an adapter makes of a base, while they grow. */
final class Changes {
  private final AdapterFile adapter;
  private final Map<String, Weight> base;
  private final Architecture architecture;
  private final Map<String, Weight> byName = new LinkedHashMap<>();
  private final Map<String, String> unfit = new LinkedHashMap<>();
  private final Map<String, List<String>> uses = new LinkedHashMap<>();
  private final Map<String, AdaptedWeights.Unmatched> unmatched = new LinkedHashMap<>();

  Changes(AdapterFile adapter, Map<String, Weight> base, ModelConfig config) {
    this.adapter = adapter;
    this.base = base;
    this.architecture = new Architecture(config);
  }

  AdaptedWeights result() {
    uses.keySet().forEach(unmatched::remove);
    return new AdaptedWeights(byName, unfit, uses, unmatched);
  }

  /** Replaces a weight of the base by a stored tensor. */
  void replace(String name, Tensor tensor) {
    if (tensor.type().dtype().isPresent()) {
      Weight weight = Weight.of(tensor);
      byName.put(name, named(name, weight, weight.entries(), weight.sources()));
    } else {
      leave(List.of(tensor), name, tensor.type() + " holds no floating-point numbers");
    }
  }

  /** Returns a weight as it is so far: replaced, changed, or that of the base. */
  Optional<Weight> now(String name) {
    return Optional.ofNullable(byName.get(name))
        .or(
            () ->
                Optional.ofNullable(base.get(name))
                    .map(weight -> named(name, weight, weight.entries(), List.of())));
  }

  private static Weight named(String name, Weight weight, Values entries, List<Tensor> sources) {
    return new Weight(name, weight.shape(), weight.storedAs(), entries, sources);
  }

  void change(Weight weight, Values entries, String how, List<Tensor> by) {
    List<Tensor> sources = new ArrayList<>(weight.sources());
    sources.addAll(by);
    // An update of a quantized base is no difference of quantization.
    String stored = Weight.isQuantized(weight.storedAs()) ? weight.storedAs() : "F64";
    byName.put(
        weight.name(),
        new Weight(weight.name(), weight.shape(), stored + " (" + how + ")", entries, sources));
    for (Tensor tensor : by) {
      uses.computeIfAbsent(tensor.name(), name -> new ArrayList<>()).add(weight.name());
    }
  }

  /** Lists tensors that cannot be applied to a weight. */
  void leave(Iterable<Tensor> tensors, String weight, String reason) {
    tensors.forEach(
        tensor ->
            unmatched.putIfAbsent(tensor.name(), new AdaptedWeights.Unmatched(weight, reason)));
  }

  void lacks(Iterable<Tensor> tensors, String weight) {
    leave(tensors, weight, "the base has no weight " + weight);
  }

  void doesNotFit(Iterable<Tensor> tensors, Weight weight, String factors) {
    unfit.put(weight.name(), factors);
    leave(tensors, weight.name(), "factors of " + factors + " against " + weight.shape());
  }

  static String shape(long rows, long columns) {
    return "[" + rows + ", " + columns + "]";
  }

  /** Returns the parts that are stored. */
  static List<Tensor> those(Map<String, Tensor> parts, String... roles) {
    List<Tensor> those = new ArrayList<>();
    for (String role : roles) {
      Optional.ofNullable(parts.get(role)).ifPresent(those::add);
    }
    return those;
  }

  /**
   * Returns whether a weight has inputs as rows. The shape of the update decides, and for a square
   * one the name: whether a module is GPT-2's Conv1D is a property of the base.
   *
   * @return empty if the shape fits neither way
   */
  Optional<Boolean> inputsFirst(Weight weight, long outputs, long inputs) {
    int dimensions = weight.shape().size();
    long rows = weight.entries().rows();
    long columns = weight.entries().columns();
    boolean plain = dimensions != 3 && rows == outputs && columns == inputs;
    boolean turned = dimensions == 2 && rows == inputs && columns == outputs;
    if (!plain && !turned) {
      return Optional.empty();
    }
    return Optional.of(turned && (!plain || isTransposed(weight)));
  }

  /** Returns whether a weight has inputs as rows, by its name. */
  boolean isTransposed(Weight weight) {
    return architecture.isTransposed(weight.name(), weight.shape());
  }

  /** Returns entries that a formula makes of others. */
  Values formed(Values values, UnaryOperator<DoubleRows> formula) {
    if (Math.max(values.rows(), values.columns()) > Integer.MAX_VALUE) {
      throw new InvalidInputException(
          adapter.settings().path()
              + ": a weight of "
              + values.rows()
              + " x "
              + values.columns()
              + " is larger than any that is computed; merge the adapter first");
    }
    return Values.Formed.of(values, formula);
  }
}
