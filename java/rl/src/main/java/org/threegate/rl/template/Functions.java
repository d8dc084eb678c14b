package org.threegate.rl.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/** The functions that templates may call. */
final class Functions {
  /** The limit of Jinja's sandbox. */
  private static final BigInteger LONGEST_RANGE = BigInteger.valueOf(100_000);

  static final Map<String, Builtin> TABLE =
      Builtin.table(
          Builtin.of("range", "first second? third?", (run, own, given) -> range(run, given)),
          Builtin.of(
              "dict",
              "mapping? **",
              (run, own, given) -> {
                return run.budget().dict(pairs(run, given));
              }),
          Builtin.of(
              "namespace",
              "mapping? **",
              (run, own, given) -> {
                Map<String, Value> values = new HashMap<>();
                pairs(run, given)
                    .forEach((name, value) -> values.put(Conversions.text(name), value));
                return new Value.Namespace(values);
              }),
          Builtin.of(
              "joiner",
              "sep?",
              (run, own, given) -> {
                AtomicBoolean used = new AtomicBoolean();
                Value separator = run.budget().text(given.text("sep", ", "));
                return new Builtin.Bound(
                    Builtin.of(
                        "joiner",
                        "",
                        (again, self, nothing) ->
                            used.getAndSet(true) ? separator : new Value.Text("")),
                    own);
              }),
          Builtin.of(
              "cycler",
              "first *",
              (run, own, given) -> {
                List<Value> values = new ArrayList<>(List.of(given.get("first")));
                values.addAll(given.rest());
                return new Cycler(values);
              }),
          Builtin.of(
              "raise_exception",
              "message",
              (run, own, given) -> {
                throw new TemplateException(run.text(given.get("message")));
              }),
          Builtin.of(
              "strftime_now",
              "format",
              (run, own, given) -> TimeFormat.of(run, given.text("format"))));

  private Functions() {}

  static Value dict(Evaluation run, Map<String, Value> values) {
    LinkedHashMap<Value, Value> entries = new LinkedHashMap<>();
    values.forEach((name, value) -> entries.put(run.budget().text(name), value));
    return run.budget().dict(entries);
  }

  private static LinkedHashMap<Value, Value> pairs(Evaluation run, Builtin.Given given) {
    LinkedHashMap<Value, Value> pairs = new LinkedHashMap<>();
    if (given.get("mapping") instanceof Value.Dict dict) {
      run.budget().work(dict.weight());
      pairs.putAll(dict.entries());
    } else if (given.get("mapping") != null) {
      Conversions.requireDefined(given.get("mapping"));
      for (Value pair : run.items(given.get("mapping"))) {
        run.budget().step();
        List<Value> both = run.items(pair);
        if (both.size() != 2) {
          throw new TemplateException("dict requires pairs");
        }
        pairs.put(Conversions.key(both.get(0)), both.get(1));
      }
    }
    given.named().forEach((name, value) -> pairs.put(new Value.Text(name), value));
    return pairs;
  }

  private static Value range(Evaluation run, Builtin.Given given) {
    long first = given.integer("first", 0);
    boolean one = given.get("second") == null;
    long begin = one ? 0 : first;
    long end = one ? first : Conversions.integer(given.get("second"));
    long step = given.integer("third", 1);
    if (step == 0) {
      throw new TemplateException("the step of a range must not be 0");
    }
    BigInteger span = BigInteger.valueOf(end).subtract(BigInteger.valueOf(begin));
    if (span.divide(BigInteger.valueOf(step)).compareTo(LONGEST_RANGE) > 0) {
      throw new TemplateException("a range is longer than " + LONGEST_RANGE);
    }
    List<Value> items = new ArrayList<>();
    long length = Math.max(0, (end - begin + step - Long.signum(step)) / step);
    for (long i = 0; i < length; i++) {
      items.add(new Value.Int(begin + i * step));
    }
    return run.budget().listing(Value.Kind.RANGE, items);
  }
}
