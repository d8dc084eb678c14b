package org.threegate.rl.template;

import java.util.List;
import java.util.Map;

/** The object that {@code cycler()} returns: repeats values outside of loops. */
final class Cycler implements Value {
  private static final Map<String, Builtin> METHODS =
      Builtin.table(
          Builtin.of("next", "", (run, own, given) -> ((Cycler) own).next()),
          Builtin.of("reset", "", (run, own, given) -> ((Cycler) own).reset()));

  private final List<Value> values;
  private int position;

  Cycler(List<Value> values) {
    this.values = values;
  }

  Value attribute(String name) {
    if (name.equals("current")) {
      return values.get(position);
    }
    return METHODS.containsKey(name)
        ? new Builtin.Bound(METHODS.get(name), this)
        : new Value.Undefined("a cycler has no attribute \"" + name + "\"");
  }

  private Value next() {
    Value value = values.get(position);
    position = (position + 1) % values.size();
    return value;
  }

  private Value reset() {
    position = 0;
    return Value.None.NONE;
  }

  @Override
  public String type() {
    return "Cycler";
  }
}
