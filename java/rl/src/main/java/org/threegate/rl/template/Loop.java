package org.threegate.rl.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The variable {@code loop}. It only reads ahead when a template asks for it. */
final class Loop implements Callable, Iterator<Value> {
  private static final Map<String, Builtin> METHODS =
      Builtin.table(
          Builtin.of("cycle", "*", (run, loop, given) -> ((Loop) loop).cycle(given.rest())),
          Builtin.of(
              "changed",
              "*",
              (run, loop, given) -> {
                given.rest().forEach(value -> run.budget().work(value.weight()));
                return Value.Bool.of(((Loop) loop).changed(given.rest()));
              }));

  private final Budget budget;
  private final Optional<Recursion> recursion;
  private final Iterator<Value> rest;
  private final int depth;
  private final Deque<Value> ahead = new ArrayDeque<>();
  private int index0 = -1;
  private Value before = new Value.Undefined("there is no previous item");
  private Value current = before;
  private List<Value> last = List.of();
  private boolean seen;

  /** Runs the loop again over other values. */
  @FunctionalInterface
  interface Recursion {
    void over(Evaluation run, Value values, int depth);
  }

  /**
   * Creates the variable.
   *
   * @param recursion runs the loop again; empty when the loop is not recursive
   * @param depth the depth of the recursion
   */
  Loop(Budget budget, Optional<Recursion> recursion, Iterator<Value> rest, int depth) {
    this.budget = budget;
    this.recursion = recursion;
    this.rest = rest;
    this.depth = depth;
  }

  @Override
  public boolean hasNext() {
    return !ahead.isEmpty() || rest.hasNext();
  }

  @Override
  public Value next() {
    before = current;
    current = ahead.isEmpty() ? rest.next() : ahead.poll();
    index0++;
    return current;
  }

  private Value peek() {
    if (ahead.isEmpty() && rest.hasNext()) {
      ahead.add(rest.next());
    }
    return ahead.isEmpty() ? new Value.Undefined("there is no next item") : ahead.peek();
  }

  private long length() {
    int before = ahead.size();
    rest.forEachRemaining(ahead::add);
    budget.elements(ahead.size() - before);
    return index0 + 1L + ahead.size();
  }

  Value attribute(String name) {
    return switch (name) {
      case "index" -> new Value.Int(index0 + 1L);
      case "index0" -> new Value.Int(index0);
      case "revindex" -> new Value.Int(length() - index0);
      case "revindex0" -> new Value.Int(length() - index0 - 1);
      case "length" -> new Value.Int(length());
      case "first" -> Value.Bool.of(index0 == 0);
      case "last" -> Value.Bool.of(!hasNext());
      case "depth" -> new Value.Int(depth + 1L);
      case "depth0" -> new Value.Int(depth);
      case "previtem" -> before;
      case "nextitem" -> peek();
      default ->
          METHODS.containsKey(name)
              ? new Builtin.Bound(METHODS.get(name), this)
              : new Value.Undefined("a loop has no attribute \"" + name + "\"");
    };
  }

  private Value cycle(List<Value> values) {
    if (values.isEmpty()) {
      throw new TemplateException("loop.cycle() requires values");
    }
    return values.get(index0 % values.size());
  }

  private boolean changed(List<Value> values) {
    boolean changed = !seen || !values.equals(last);
    seen = true;
    last = new ArrayList<>(values);
    return changed;
  }

  @Override
  public Value call(Evaluation run, Arguments arguments) {
    if (recursion.isEmpty()) {
      throw new TemplateException("a loop that is not recursive cannot be called");
    }
    if (arguments.positional().size() != 1) {
      throw new TemplateException("loop() requires one argument");
    }
    return run.captured(
        run.scope(),
        () -> {
          recursion.get().over(run, arguments.positional().get(0), depth + 1);
          return Value.None.NONE;
        });
  }

  @Override
  public String type() {
    return "LoopContext";
  }
}
