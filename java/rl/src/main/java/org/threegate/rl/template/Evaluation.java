package org.threegate.rl.template;

import java.time.Clock;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** One rendering: its scopes, what it has printed, and what it may still take. */
final class Evaluation {
  private final Budget budget;
  private final Clock clock;
  private Scope scope = Scope.outermost();
  private TextBuilder out;

  Evaluation(Budget budget, Clock clock) {
    this.budget = budget;
    this.clock = clock;
    this.out = budget.builder();
  }

  String render(List<Statement> body, Map<String, ?> arguments) {
    Functions.TABLE.forEach(
        (name, function) -> scope.put(name, new Builtin.Bound(function, Value.None.NONE)));
    arguments.forEach((name, value) -> scope.put(name, Json.value(budget, value, 0)));
    body(body);
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

  /** Counts a step, and how deep it is. */
  Value value(Expression expression) {
    budget.enter();
    Value value = expression.evaluate(this);
    budget.leave();
    return value;
  }

  /** Up to what leaves a loop. */
  Statement.Flow body(List<Statement> body) {
    budget.enter();
    Statement.Flow flow = Statement.Flow.NEXT;
    for (Statement statement : body) {
      try {
        flow = statement.run(this);
      } catch (TemplateException e) {
        throw e.at(statement.line());
      }
      if (flow != Statement.Flow.NEXT) {
        break;
      }
    }
    budget.leave();
    return flow;
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

  /** What a body prints, in a scope of its own. */
  Value captured(List<Statement> body) {
    return captured(scope, () -> body(body));
  }

  Value captured(Scope parent, Supplier<Statement.Flow> work) {
    TextBuilder outer = out;
    out = budget.builder();
    inScope(parent, work);
    Value text = out.text();
    out = outer;
    return text;
  }

  void print(String text) {
    out.append(text);
  }

  /** As Python's {@code str} has it. */
  String text(Value value) {
    return Printer.text(budget, value);
  }

  Value call(Value function, Arguments arguments) {
    if (function instanceof Callable callable) {
      budget.enter();
      Value value = callable.call(this, arguments);
      budget.leave();
      return value;
    }
    Operators.requireDefined(function);
    throw new TemplateException("a value of type " + function.type() + " cannot be called");
  }

  Value filtered(Value value, List<Expression.FilterCall> filters) {
    Value result = value;
    for (Expression.FilterCall filter : filters) {
      result = filter.apply(this, result);
    }
    return result;
  }

  /** What a loop over a value goes through. */
  Iterator<Value> iterator(Value value) {
    return value instanceof Value.Stream stream ? stream.rest() : items(value).iterator();
  }

  /** The same at once. */
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
      throw new TemplateException("a value of type " + value.type() + " has no items");
    }
    return items;
  }
}
