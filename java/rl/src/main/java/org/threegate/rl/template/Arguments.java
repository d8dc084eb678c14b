package org.threegate.rl.template;

import java.util.List;
import java.util.Map;

/** The arguments of a call, unevaluated or as values. */
record Arguments(List<Value> positional, Map<String, Value> named) {
  static final Arguments NONE = new Arguments(List.of(), Map.of());

  /** Returns the arguments without the first positional ones. */
  Arguments after(int count) {
    return new Arguments(positional.subList(count, positional.size()), named);
  }
}
