package org.threegate.rl.template;

import java.time.Clock;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Supplier;

/** The state of one rendering: its scopes, its output and its budget. */
final class Evaluation {
  private final Budget budget;
  private final Clock clock;
  private Scope scope = Scope.outermost();
  private TextBuilder out;

  Evaluation(Budget budget, Clock clock) {
    this.budget = budget;
    this.clock = clock;
    this.out = new TextBuilder(budget);
  }

  /** Returns what was printed so far. */
  String output() {
    return out.toString();
  }

  Budget budget() {
    return budget;
  }

  Clock clock() {
    return clock;
  }

  Scope scope() {
    return scope;
  }

  <T> T inScope(Supplier<T> work) {
    return inScope(scope, work);
  }

  private <T> T inScope(Scope parent, Supplier<T> work) {
    Scope outer = scope;
    scope = parent.inner();
    T result = work.get();
    scope = outer;
    return result;
  }

  /** Returns the output of a computation, which runs in a scope inside of {@code parent}. */
  Value captured(Scope parent, Supplier<?> work) {
    TextBuilder outer = out;
    out = new TextBuilder(budget);
    inScope(parent, work);
    Value text = out.text();
    out = outer;
    return text;
  }

  void print(String text) {
    out.append(text);
  }

  /** Converts a value as Python's {@code str} does. */
  String text(Value value) {
    return Printer.text(budget, value);
  }

  /** Returns values as one text, with a separator between them. */
  Value joined(List<Value> items, String separator) {
    TextBuilder joined = new TextBuilder(budget);
    for (int i = 0; i < items.size(); i++) {
      budget.step();
      joined.append(i == 0 ? "" : separator).append(text(items.get(i)));
    }
    return joined.text();
  }

  /** Returns an iterator over a value, as loops use it. */
  Iterator<Value> iterator(Value value) {
    return value instanceof Value.Stream stream ? stream.rest() : items(value).iterator();
  }

  /** Returns all items of a value. */
  List<Value> items(Value value) {
    if (value instanceof Value.Listing list) {
      return list.items();
    }
    if (value instanceof Value.Dict dict) {
      budget.elements(dict.entries().size());
      return new ArrayList<>(dict.entries().keySet());
    }
    if (value instanceof Value.Undefined) {
      return List.of();
    }
    List<Value> items = new ArrayList<>();
    if (value instanceof Value.Stream stream) {
      stream.rest().forEachRemaining(items::add);
    } else if (value instanceof Value.Text text) {
      text.value().codePoints().forEach(each -> items.add(budget.text(Character.toString(each))));
    } else {
      throw new TemplateException("a value of type " + value.type() + " is not iterable");
    }
    return items;
  }
}
