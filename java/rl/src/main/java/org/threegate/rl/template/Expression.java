package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A node of the syntax tree that has a value. */
sealed interface Expression {
  /** Computes the value. Callers use {@link #value}, which counts against the budget. */
  Value evaluate(Evaluation run);

  /** Computes the value, and counts a step and the depth of the evaluation. */
  default Value value(Evaluation run) {
    run.budget().enter();
    Value value = evaluate(run);
    run.budget().leave();
    return value;
  }

  /** Applies several filters to a value. */
  static Value filtered(Evaluation run, Value value, List<FilterCall> filters) {
    Value result = value;
    for (FilterCall filter : filters) {
      result = filter.apply(run, result);
    }
    return result;
  }

  /** A literal. */
  record Literal(Value value) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return value;
    }
  }

  /** A name: a variable of a scope, or a function. */
  record Name(String name) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return run.scope().get(name);
    }
  }

  /** A list or a tuple. */
  record Sequence(Value.Kind kind, List<Expression> items) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      List<Value> values = new ArrayList<>(items.size());
      items.forEach(item -> values.add(item.value(run)));
      return run.budget().listing(kind, values);
    }
  }

  /** A key and its value. */
  record Entry(Expression key, Expression value) {}

  /** A mapping. */
  record Mapping(List<Entry> entries) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      LinkedHashMap<Value, Value> values = new LinkedHashMap<>();
      entries.forEach(
          entry -> values.put(Conversions.key(entry.key().value(run)), entry.value().value(run)));
      return run.budget().dict(values);
    }
  }

  /** An attribute: {@code of.name}. */
  record Attribute(Expression of, String name) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return Attributes.attribute(of.value(run), name);
    }
  }

  /** A subscript: {@code of[key]}. */
  record Item(Expression of, Expression key) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value value = of.value(run);
      return Attributes.item(run, value, key.value(run));
    }
  }

  /** A slice: {@code of[first:last:step]}. */
  record Slice(
      Expression of,
      Optional<Expression> first,
      Optional<Expression> last,
      Optional<Expression> step)
      implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value value = of.value(run);
      return Attributes.slice(
          run,
          value,
          first.map(each -> each.value(run)),
          last.map(each -> each.value(run)),
          step.map(each -> each.value(run)));
    }
  }

  /** The arguments of a call. */
  record Given(
      List<Expression> positional,
      Map<String, Expression> named,
      Optional<Expression> rest,
      Optional<Expression> others) {
    static final Given NOTHING = new Given(List.of(), Map.of(), Optional.empty(), Optional.empty());

    Arguments evaluate(Evaluation run) {
      List<Value> values = new ArrayList<>();
      positional.forEach(each -> values.add(each.value(run)));
      rest.ifPresent(each -> values.addAll(run.items(each.value(run))));
      Map<String, Value> byName = new LinkedHashMap<>();
      named.forEach((name, each) -> byName.put(name, each.value(run)));
      others.ifPresent(
          each ->
              Conversions.dict(each.value(run))
                  .forEach((key, value) -> byName.put(Conversions.text(key), value)));
      return new Arguments(values, byName);
    }
  }

  /** A call. */
  record Call(Expression callee, Given given) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value function = callee.value(run);
      return Callable.call(run, function, given.evaluate(run));
    }

    /** Evaluates the call with a {@code caller}, for call blocks. */
    Value with(Evaluation run, Value caller) {
      Value function = callee.value(run);
      Arguments arguments = given.evaluate(run);
      arguments.named().put("caller", caller);
      return Callable.call(run, function, arguments);
    }
  }

  /** A filter and its arguments. */
  record FilterCall(String name, Given given) {
    Value apply(Evaluation run, Value value) {
      return Filters.apply(run, name, value, given.evaluate(run));
    }
  }

  /** A filtered value: {@code of|filter}. */
  record Filtered(Expression of, FilterCall filter) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return filter.apply(run, of.value(run));
    }
  }

  /** A test: {@code of is test}. */
  record Test(Expression of, String name, Given given, boolean negated) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value value = of.value(run);
      return Value.Bool.of(Tests.holds(run, name, value, given.evaluate(run)) != negated);
    }
  }

  /** A logical {@code not}. */
  record Not(Expression of) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return Value.Bool.of(!of.value(run).truth());
    }
  }

  /** A sign before a number. */
  record Signed(boolean negative, Expression of) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return Operators.signed(of.value(run), negative);
    }
  }

  /** An arithmetic operation, which strings and lists support, too. */
  record Binary(String operator, Expression left, Expression right) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value first = left.value(run);
      return Operators.binary(run, operator, first, right.value(run));
    }
  }

  /** A concatenation: {@code a ~ b}. */
  record Concatenation(List<Expression> parts) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      TextBuilder text = new TextBuilder(run.budget());
      parts.forEach(part -> text.append(run.text(part.value(run))));
      return text.text();
    }
  }

  /** A comparison operator and its right operand. */
  record Link(String operator, Expression right) {}

  /** A chain of comparisons: {@code a < b < c}. */
  record Comparison(Expression first, List<Link> links) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value left = first.value(run);
      for (Link link : links) {
        Value right = link.right().value(run);
        if (!Operators.compare(run, link.operator(), left, right)) {
          return Value.Bool.FALSE;
        }
        left = right;
      }
      return Value.Bool.TRUE;
    }
  }

  /** A logical {@code and}: the first false operand, or the last one. */
  record And(Expression left, Expression right) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value first = left.value(run);
      return first.truth() ? right.value(run) : first;
    }
  }

  /** A logical {@code or}: the first true operand, or the last one. */
  record Or(Expression left, Expression right) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value first = left.value(run);
      return first.truth() ? first : right.value(run);
    }
  }

  /** A conditional: {@code value if condition else otherwise}. */
  record Conditional(Expression condition, Expression value, Optional<Expression> otherwise)
      implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      if (condition.value(run).truth()) {
        return value.value(run);
      }
      return otherwise
          .map(each -> each.value(run))
          .orElseGet(() -> new Value.Undefined("an \"if\" without \"else\" has no value"));
    }
  }
}
