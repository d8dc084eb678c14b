package org.threegate.rl.template;

import java.util.HashMap;
import java.util.Map;

/** Variables and their values. A scope reads those of outer scopes, and its own hide them. */
final class Scope {
  private final Scope parent;
  private final Map<String, Value> values = new HashMap<>();

  private Scope(Scope parent) {
    this.parent = parent;
  }

  static Scope outermost() {
    return new Scope(null);
  }

  Scope inner() {
    return new Scope(this);
  }

  void put(String name, Value value) {
    values.put(name, value);
  }

  Value get(String name) {
    for (Scope scope = this; scope != null; scope = scope.parent) {
      Value value = scope.values.get(name);
      if (value != null) {
        return value;
      }
    }
    return new Value.Undefined("\"" + name + "\" is undefined");
  }
}
