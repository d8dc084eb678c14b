package org.threegate.rl.template;

import java.util.List;
import java.util.Map;

/** Of a call, as they were written. */
record Arguments(List<Value> positional, Map<String, Value> named) {
  static final Arguments NONE = new Arguments(List.of(), Map.of());

  /** Without the first ones. */
  Arguments after(int count) {
    return new Arguments(positional.subList(count, positional.size()), named);
  }
}
