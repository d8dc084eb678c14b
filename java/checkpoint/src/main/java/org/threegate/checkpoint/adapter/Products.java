package org.threegate.checkpoint.adapter;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.kernel.Operand;

/** Applies products of two factors: LoRA, DoRA and AdaLoRA. */
final class Products {
  private static final String WEIGHT = ".weight";

  private final AdapterFile adapter;
  private final Map<String, Weight> base;
  private final Parameters parameters;
  private final Changes changes;

  Products(AdapterFile adapter, Map<String, Weight> base, ModelConfig config, Changes changes) {
    this.adapter = adapter;
    this.base = base;
    this.parameters = new Parameters(adapter, base, config.modelType());
    this.changes = changes;
  }

  /** Applies what is stored for a module. */
  void apply(AdapterFile.Module module, Map<String, Tensor> parts) {
    String name = module.name() + WEIGHT;
    Optional<Tensor> magnitude = Optional.ofNullable(parts.get("lora_magnitude_vector"));
    boolean magnitudes = adapter.settings().magnitudes();
    if (magnitude.isPresent() && !magnitudes) {
      changes.leave(
          List.of(magnitude.get()), name, "the configuration says that use_dora is false");
    }
    List<Tensor> rows = Changes.those(parts, "lora_magnitude_vector");
    boolean products = parts.containsKey("lora_A") || parts.containsKey("lora_embedding_A");
    if (parts.containsKey("lora_A") && !adapter.mayBeParameter(module)) {
      List<Tensor> factors = Changes.those(parts, "lora_B", "lora_A", "lora_E");
      linear(name, adapter.updates().get(name), factors, magnitudes ? rows : List.of());
    }
    if (parts.containsKey("lora_embedding_A")) {
      List<Tensor> factors = Changes.those(parts, "lora_embedding_B", "lora_embedding_A");
      embedding(name, adapter.embeddings().get(name), factors, magnitudes ? rows : List.of());
    }
    if (magnitudes && !products) {
      changes.leave(rows, name, "has no factors beside it");
    }
    if (parts.containsKey("lora_B.bias")) {
      bias(module, parts);
    }
    changes.leave(Changes.those(parts, "ranknum"), name, "only counts factors");
  }

  private void linear(
      String name, List<Operand.LowRank> terms, List<Tensor> factors, List<Tensor> magnitude) {
    List<Tensor> all = new ArrayList<>(factors);
    all.addAll(magnitude);
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(all, name);
      return;
    }
    long outputs = terms.get(0).left().rows();
    long inputs = terms.get(0).right().columns();
    Optional<Boolean> inputsFirst = changes.inputsFirst(now.get(), outputs, inputs);
    if (inputsFirst.isEmpty()) {
      changes.doesNotFit(all, now.get(), Changes.shape(outputs, inputs));
      return;
    }
    List<Operand.LowRank> own =
        inputsFirst.get() ? terms.stream().map(adapter::transposed).toList() : terms;
    add(now.get(), own, all, magnitude, inputsFirst.get());
  }

  private void embedding(
      String name, List<Operand.LowRank> terms, List<Tensor> factors, List<Tensor> magnitude) {
    List<Tensor> all = new ArrayList<>(factors);
    all.addAll(magnitude);
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(all, name);
      return;
    }
    long tokens = terms.get(0).left().rows();
    long width = terms.get(0).right().columns();
    boolean fits = now.get().entries().rows() == tokens && now.get().entries().columns() == width;
    if (now.get().shape().size() != 2 || !fits) {
      changes.doesNotFit(all, now.get(), Changes.shape(tokens, width));
      return;
    }
    add(now.get(), terms, all, magnitude, true); // PEFT scales the columns of an embedding
  }

  private void add(
      Weight weight,
      List<Operand.LowRank> terms,
      List<Tensor> tensors,
      List<Tensor> magnitude,
      boolean lengthsOfColumns) {
    String dtype = String.valueOf(terms.get(0).left().dtype());
    Values sum = new Values.Adapted(weight.entries(), terms);
    if (magnitude.isEmpty()) {
      changes.change(weight, sum, dtype + " factors", tensors);
      return;
    }
    long count = lengthsOfColumns ? sum.columns() : sum.rows();
    if (magnitude.get(0).elements() != count) {
      throw adapter.invalid(
          magnitude.get(0), "has " + magnitude.get(0).elements() + " entries, not " + count);
    }
    double[] lengths = adapter.dense(magnitude.get(0)).values();
    changes.change(
        weight,
        changes.formed(
            sum,
            rows ->
                Formulas.withLengths(
                    rows,
                    new int[] {(int) sum.rows(), (int) sum.columns()},
                    lengths,
                    lengthsOfColumns)),
        "DoRA, " + dtype + " factors",
        tensors);
  }

  /** Adds the bias of lora_B, which is scaled as the product is. */
  private void bias(AdapterFile.Module module, Map<String, Tensor> parts) {
    String name = module.name() + ".bias";
    Tensor tensor = parts.get("lora_B.bias");
    Optional<Weight> now = changes.now(name);
    if (now.isEmpty()) {
      changes.lacks(List.of(tensor), name);
      return;
    }
    boolean fits = now.get().shape().equals(tensor.shape()) && tensor.shape().size() == 1;
    if (!fits || tensor.type().dtype().isEmpty()) {
      changes.doesNotFit(List.of(tensor), now.get(), tensor.shape().toString());
      return;
    }
    adapter.requireFactor(parts.get("lora_A"));
    double scale = adapter.settings().scaling().of(module.name(), parts.get("lora_A").rows());
    Operand.LowRank term = new Operand.LowRank(adapter.one(), tensor.matrix(), scale);
    changes.change(
        now.get(),
        new Values.Adapted(now.get().entries(), List.of(term)),
        tensor.type() + " factors",
        List.of(tensor));
  }

  /** Applies the factors of the wrappers around a module. */
  void parameters(String module, List<AdapterFile.Module> around) {
    List<Parameters.Wrapper> wrappers = new ArrayList<>();
    for (AdapterFile.Module own : around) {
      Map<String, Tensor> parts = adapter.modules().get(own);
      if (parts.containsKey("lora_A")) {
        wrappers.add(new Parameters.Wrapper(own.depth(), parts.get("lora_A"), parts.get("lora_B")));
      }
    }
    String name = module + WEIGHT;
    boolean whole = parameters.of(module).isEmpty() && wrappers.size() == 1;
    if (whole && wrappers.get(0).depth() == 0 && base.containsKey(name)) {
      // A module beside those whose parameters have factors.
      Map<String, Tensor> parts = adapter.modules().get(new AdapterFile.Module(module, 0));
      List<Tensor> magnitude =
          adapter.settings().magnitudes()
              ? Changes.those(parts, "lora_magnitude_vector")
              : List.of();
      linear(
          name,
          List.of(adapter.product(module, parts)),
          Changes.those(parts, "lora_B", "lora_A", "lora_E"),
          magnitude);
      return;
    }
    for (Parameters.Wrapper wrapper : wrappers) {
      List<Parameters.Parameter> fitting = parameters.fitting(module, wrapper);
      if (fitting.size() != 1) {
        String reason =
            fitting.isEmpty()
                ? "the base has no parameter of " + module + " that the factors fit"
                : "the factors fit several parameters of " + module;
        changes.leave(List.of(wrapper.b(), wrapper.a()), module, reason);
        continue;
      }
      parameters
          .changes(fitting.get(0), wrapper)
          .forEach(
              (weight, entries) ->
                  changes.change(
                      changes.now(weight).orElseThrow(),
                      entries,
                      wrapper.b().type() + " factors",
                      List.of(wrapper.b(), wrapper.a())));
    }
  }
}
