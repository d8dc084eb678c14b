package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What has a value. Evaluated through {@link Evaluation#value}, which counts. */
sealed interface Expression {
  Value evaluate(Evaluation run);

  /** What is written as it is. */
  record Literal(Value value) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return value;
    }
  }

  /** Something with a name: of a scope, or a function. */
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
      items.forEach(item -> values.add(run.value(item)));
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
          entry -> values.put(Operators.key(run.value(entry.key())), run.value(entry.value())));
      return run.budget().dict(values);
    }
  }

  /** {@code of.name}. */
  record Attribute(Expression of, String name) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return Attributes.attribute(run.value(of), name);
    }
  }

  /** {@code of[key]}. */
  record Item(Expression of, Expression key) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value value = run.value(of);
      return Attributes.item(run, value, run.value(key));
    }
  }

  /** {@code of[first:last:step]}. */
  record Slice(
      Expression of,
      Optional<Expression> first,
      Optional<Expression> last,
      Optional<Expression> step)
      implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value value = run.value(of);
      return Attributes.slice(
          run, value, first.map(run::value), last.map(run::value), step.map(run::value));
    }
  }

  /** Arguments. */
  record Given(
      List<Expression> positional,
      Map<String, Expression> named,
      Optional<Expression> rest,
      Optional<Expression> others) {
    static final Given NOTHING = new Given(List.of(), Map.of(), Optional.empty(), Optional.empty());

    Arguments evaluate(Evaluation run) {
      List<Value> values = new ArrayList<>();
      positional.forEach(each -> values.add(run.value(each)));
      rest.ifPresent(each -> values.addAll(run.items(run.value(each))));
      Map<String, Value> byName = new LinkedHashMap<>();
      named.forEach((name, each) -> byName.put(name, run.value(each)));
      others.ifPresent(
          each ->
              Operators.dict(run.value(each))
                  .forEach((key, value) -> byName.put(Operators.text(key), value)));
      return new Arguments(values, byName);
    }
  }

  /** A call. */
  record Call(Expression callee, Given given) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value function = run.value(callee);
      return run.call(function, given.evaluate(run));
    }

    /** The same with a caller. */
    Value with(Evaluation run, Macro caller) {
      Value function = run.value(callee);
      Arguments arguments = given.evaluate(run);
      arguments.named().put("caller", caller);
      return run.call(function, arguments);
    }
  }

  /** A filter by its name. */
  record FilterCall(String name, Given given) {
    Value apply(Evaluation run, Value value) {
      return Filters.apply(run, name, value, given.evaluate(run));
    }
  }

  /** {@code of|filter}. */
  record Filtered(Expression of, FilterCall filter) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return filter.apply(run, run.value(of));
    }
  }

  /** {@code of is test}. */
  record Test(Expression of, String name, Given given, boolean negated) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value value = run.value(of);
      return Value.Bool.of(Tests.holds(run, name, value, given.evaluate(run)) != negated);
    }
  }

  /** {@code not}. */
  record Not(Expression of) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return Value.Bool.of(!run.value(of).truth());
    }
  }

  /** A sign before a number. */
  record Signed(boolean negative, Expression of) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      return Operators.signed(run.value(of), negative);
    }
  }

  /** Arithmetic, also of texts and lists. */
  record Binary(String operator, Expression left, Expression right) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value first = run.value(left);
      return Operators.binary(run, operator, first, run.value(right));
    }
  }

  /** {@code a ~ b}: as texts. */
  record Concatenation(List<Expression> parts) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      TextBuilder text = run.budget().builder();
      parts.forEach(part -> text.append(run.text(run.value(part))));
      return text.text();
    }
  }

  /** An operator and what is on its right. */
  record Link(String operator, Expression right) {}

  /** {@code a < b < c}. */
  record Comparison(Expression first, List<Link> links) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value left = run.value(first);
      for (Link link : links) {
        Value right = run.value(link.right());
        if (!Operators.compare(run, link.operator(), left, right)) {
          return Value.Bool.FALSE;
        }
        left = right;
      }
      return Value.Bool.TRUE;
    }
  }

  /** The first that is false, or the last. */
  record And(Expression left, Expression right) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value first = run.value(left);
      return first.truth() ? run.value(right) : first;
    }
  }

  /** The first that is true, or the last. */
  record Or(Expression left, Expression right) implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      Value first = run.value(left);
      return first.truth() ? first : run.value(right);
    }
  }

  /** {@code value if condition else otherwise}. */
  record Conditional(Expression condition, Expression value, Optional<Expression> otherwise)
      implements Expression {
    @Override
    public Value evaluate(Evaluation run) {
      if (run.value(condition).truth()) {
        return run.value(value);
      }
      return otherwise
          .map(run::value)
          .orElseGet(() -> new Value.Undefined("an \"if\" without \"else\" has no value"));
    }
  }
}
