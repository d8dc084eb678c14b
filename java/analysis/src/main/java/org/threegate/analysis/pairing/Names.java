package org.threegate.analysis.pairing;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Finds the counterpart of a weight whose name differs by a prefix that a wrapper added: compilers,
 * data-parallel wrappers and multimodal models.
 */
final class Names {
  private static final List<String> WRAPPERS =
      List.of(
          "_orig_mod.",
          "_fsdp_wrapped_module.",
          "_checkpoint_wrapped_module.",
          "base_model.model.",
          "module.",
          "model.language_model.",
          "language_model.model.",
          "language_model.",
          "transformer.",
          "model.");

  private Names() {}

  /**
   * Matches names that only one side has. A name is matched if exactly one name of each side is the
   * same without wrappers.
   *
   * @param base names that only the base has
   * @param tuned names that only the tuned checkpoint has
   * @return names of the base by names of the tuned checkpoint
   */
  static Map<String, String> match(Set<String> base, Set<String> tuned) {
    Map<String, List<String>> left = byCore(base);
    Map<String, List<String>> right = byCore(tuned);
    Map<String, String> matched = new LinkedHashMap<>();
    right.forEach(
        (core, names) -> {
          List<String> others = left.getOrDefault(core, List.of());
          if (names.size() == 1 && others.size() == 1) {
            matched.put(names.get(0), others.get(0));
          }
        });
    return matched;
  }

  private static Map<String, List<String>> byCore(Collection<String> names) {
    Map<String, List<String>> byCore = new HashMap<>();
    for (String name : names) {
      byCore.computeIfAbsent(core(name), core -> new ArrayList<>()).add(name);
    }
    return byCore;
  }

  /** Returns a name without wrappers. Those of compilers also stand within a name. */
  private static String core(String name) {
    String core = name;
    for (String inner : WRAPPERS.subList(0, 3)) {
      core = core.replace(inner, "");
    }
    boolean stripped = true;
    while (stripped) {
      stripped = false;
      for (String wrapper : WRAPPERS) {
        if (core.startsWith(wrapper)) {
          core = core.substring(wrapper.length());
          stripped = true;
        }
      }
    }
    return core;
  }
}
