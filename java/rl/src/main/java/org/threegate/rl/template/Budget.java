package org.threegate.rl.template;

import java.util.LinkedHashMap;
import java.util.List;

/** Counts the resources that a rendering uses, and enforces its {@link Limits}. */
final class Budget {
  private static final int LOOK = 1024;
  private static final long ELEMENT = 16;
  private static final int UNIT = 64;

  private final Limits limits;
  private final long begin = System.nanoTime();
  private long steps;
  private long look = LOOK;
  private long produced;
  private int depth;

  Budget(Limits limits) {
    this.limits = limits;
  }

  Limits limits() {
    return limits;
  }

  void step() {
    spend(1);
  }

  /** Counts work on a number of characters or elements. */
  void work(long size) {
    spend(1 + size / UNIT);
  }

  private void spend(long count) {
    steps += count;
    if (steps > limits.steps()) {
      throw new TemplateException("takes more than " + limits.steps() + " steps");
    }
    if (steps >= look) {
      look = steps + LOOK;
      if (System.nanoTime() - begin > limits.time().toNanos()) {
        throw new TemplateException("takes longer than " + limits.time().toMillis() + " ms");
      }
    }
  }

  void enter() {
    step();
    if (++depth > limits.depth()) {
      throw new TemplateException("evaluation is nested deeper than " + limits.depth());
    }
  }

  void leave() {
    depth--;
  }

  /** Checks a size before the value is allocated. */
  void size(long size) {
    if (size > limits.characters()) {
      throw new TemplateException(
          "a value has more than " + limits.characters() + " characters or elements");
    }
  }

  /** Counts characters before they are allocated. */
  void produce(long size) {
    produced += size;
    work(size);
    if (produced > limits.produced()) {
      throw new TemplateException(
          "values have more than " + limits.produced() + " characters together");
    }
  }

  /** Counts elements of lists. */
  void elements(long count) {
    produce(ELEMENT * count);
  }

  Value.Text text(String text) {
    size(text.length());
    produce(text.length());
    return new Value.Text(text);
  }

  Value.Listing list(List<Value> items) {
    return listing(Value.Kind.LIST, items);
  }

  Value.Listing listing(Value.Kind kind, List<Value> items) {
    return bounded(new Value.Listing(kind, items), items.size());
  }

  Value.Dict dict(LinkedHashMap<Value, Value> entries) {
    return bounded(new Value.Dict(entries), 2L * entries.size());
  }

  Value.Stream stream(List<Value> items) {
    elements(items.size());
    return new Value.Stream(items.iterator());
  }

  /** Checks the printed size of a value: values can contain the same value many times. */
  private <V extends Value> V bounded(V value, long elements) {
    size(value.weight());
    if (value.depth() > limits.nesting()) {
      throw new TemplateException("a value is nested deeper than " + limits.nesting());
    }
    elements(elements);
    return value;
  }
}
