package org.threegate.rl.template;

import java.util.Map;
import java.util.function.IntPredicate;
import java.util.function.Predicate;

/** The tests that templates may use after {@code is}. */
final class Tests {
  static final Map<String, Builtin> TABLE =
      Builtin.table(
          simple("defined", value -> !(value instanceof Value.Undefined)),
          simple("undefined", Value.Undefined.class::isInstance),
          simple("none", value -> value == Value.None.NONE),
          simple("boolean", Value.Bool.class::isInstance),
          simple("true", value -> value instanceof Value.Bool truth && truth.value()),
          simple("false", value -> value instanceof Value.Bool truth && !truth.value()),
          simple("string", Value.Text.class::isInstance),
          simple("number", Value.Num.class::isInstance),
          simple("integer", Value.Int.class::isInstance),
          simple("float", Value.Real.class::isInstance),
          simple("mapping", Value.Dict.class::isInstance),
          simple("iterable", Tests::isIterable),
          simple(
              "sequence",
              value ->
                  value instanceof Value.Text
                      || value instanceof Value.Dict
                      || value instanceof Value.Undefined
                      || value instanceof Value.Listing list && list.kind().isSubscriptable()),
          simple(
              "callable", value -> value instanceof Callable || value instanceof Value.Undefined),
          textual("lower", Character::isLowerCase),
          textual("upper", Character::isUpperCase),
          rest("even", 0),
          rest("odd", 1),
          Builtin.of(
              "divisibleby",
              "num",
              (run, value, given) ->
                  Value.Bool.of(
                      Operators.equal(
                          run,
                          Operators.binary(run, "%", value, given.get("num")),
                          new Value.Int(0)))),
          Builtin.of(
              "sameas",
              "other",
              (run, value, given) -> Value.Bool.of(same(value, given.get("other")))),
          compared("eq", "=="),
          compared("equalto", "=="),
          compared("==", "=="),
          compared("ne", "!="),
          compared("!=", "!="),
          compared("gt", ">"),
          compared("greaterthan", ">"),
          compared(">", ">"),
          compared("ge", ">="),
          compared(">=", ">="),
          compared("lt", "<"),
          compared("lessthan", "<"),
          compared("<", "<"),
          compared("le", "<="),
          compared("<=", "<="),
          compared("in", "in"));

  private Tests() {}

  static boolean holds(Evaluation run, String name, Value value, Arguments arguments) {
    Builtin test = TABLE.get(name);
    if (test == null) {
      throw new TemplateException("there is no test \"" + name + "\" for templates");
    }
    return test.apply(run, value, arguments).truth();
  }

  private static Builtin simple(String name, Predicate<Value> holds) {
    return Builtin.of(name, "", (run, value, given) -> Value.Bool.of(holds.test(value)));
  }

  private static Builtin textual(String name, IntPredicate wanted) {
    return Builtin.of(
        name,
        "",
        (run, value, given) -> {
          run.budget().work(value.weight());
          return Value.Bool.of(Strings.isCase(run.text(value), wanted));
        });
  }

  private static Builtin rest(String name, int rest) {
    return Builtin.of(
        name,
        "",
        (run, value, given) ->
            Value.Bool.of(
                Operators.binary(run, "%", value, new Value.Int(2)).equals(new Value.Int(rest))));
  }

  private static Builtin compared(String name, String operator) {
    return Builtin.of(
        name,
        "other",
        (run, value, given) ->
            Value.Bool.of(Operators.compare(run, operator, value, given.get("other"))));
  }

  static boolean isIterable(Value value) {
    return value instanceof Value.Text
        || value instanceof Value.Listing
        || value instanceof Value.Dict
        || value instanceof Value.Stream
        || value instanceof Value.Undefined;
  }

  private static boolean same(Value value, Value other) {
    return value == other
        || Conversions.isKey(value) && value.getClass() == other.getClass() && value.equals(other);
  }
}
