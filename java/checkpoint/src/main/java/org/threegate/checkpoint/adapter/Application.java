package org.threegate.checkpoint.adapter;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.weight.Weight;

/** Applies an adapter to the weights of a base. */
final class Application {
  private final AdapterFile adapter;
  private final Changes changes;
  private final Products products;
  private final OtherMethods others;

  Application(AdapterFile adapter, Map<String, Weight> base, ModelConfig config) {
    this.adapter = adapter;
    this.changes = new Changes(adapter, base, config);
    this.products = new Products(adapter, base, config, changes);
    this.others = new OtherMethods(adapter, changes);
  }

  AdaptedWeights apply() {
    adapter.replaced().forEach(changes::replace);
    adapter
        .copies()
        .forEach(
            (tensor, name) ->
                changes.leave(List.of(tensor), name, "a copy that PEFT does not read"));
    Map<String, List<AdapterFile.Module>> wrapped = new LinkedHashMap<>();
    adapter
        .modules()
        .forEach(
            (module, parts) -> {
              if (adapter.mayBeParameter(module)) {
                wrapped.computeIfAbsent(module.name(), name -> new ArrayList<>()).add(module);
              }
              apply(module, parts);
            });
    wrapped.forEach(products::parameters);
    // After the updates of whole embeddings, as PEFT wraps them.
    adapter
        .modules()
        .forEach(
            (module, parts) ->
                Optional.ofNullable(parts.get(Method.TOKENS))
                    .ifPresent(rows -> others.tokens(module, rows)));
    adapter
        .modules()
        .forEach(
            (module, parts) -> changes.leave(parts.values(), module.name(), "no weight uses it"));
    return changes.result();
  }

  private void apply(AdapterFile.Module module, Map<String, Tensor> parts) {
    if (parts.keySet().equals(Set.of(Method.TOKENS))) {
      return;
    }
    switch (adapter.settings().method()) {
      case LORA, ADALORA -> products.apply(module, parts);
      case IA3 -> others.ia3(module, parts);
      case LOHA -> others.loha(module, parts);
      case LOKR -> others.lokr(module, parts);
      case OFT -> others.oft(module, parts);
      case VERA -> others.vera(module, parts);
      case TRAINABLE_TOKENS -> {} // tokens only
    }
  }
}
