package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A filter, test, method or function that templates can call by name.
 *
 * @param name the name
 * @param parameters the parameter names, separated by spaces. "?" marks one with a default, and "*"
 *     and "**" collect the remaining arguments
 * @param body the implementation
 */
record Builtin(String name, List<String> parameters, Body body) {
  /** The implementation, which receives the value that the builtin is applied to. */
  @FunctionalInterface
  interface Body {
    Value apply(Evaluation run, Value subject, Given given);
  }

  static Builtin of(String name, String parameters, Body body) {
    return new Builtin(
        name, parameters.isEmpty() ? List.of() : Arrays.asList(parameters.split(" ")), body);
  }

  static Map<String, Builtin> table(Builtin... all) {
    return Stream.of(all).collect(Collectors.toUnmodifiableMap(Builtin::name, each -> each));
  }

  Value apply(Evaluation run, Value subject, Arguments arguments) {
    return body.apply(run, subject, bind(run, arguments));
  }

  private Given bind(Evaluation run, Arguments arguments) {
    Map<String, Value> values = new LinkedHashMap<>();
    Map<String, Value> named = new LinkedHashMap<>(arguments.named());
    List<Value> rest = new ArrayList<>(arguments.positional());
    for (String parameter : parameters) {
      String own = parameter.replace("?", "");
      if (parameter.startsWith("*")) {
        continue;
      }
      if (!rest.isEmpty()) {
        values.put(own, rest.remove(0));
        if (named.containsKey(own)) {
          throw new TemplateException(name + "() got multiple values for argument \"" + own + "\"");
        }
      } else if (named.containsKey(own)) {
        values.put(own, named.remove(own));
      } else if (!parameter.endsWith("?")) {
        throw new TemplateException(name + "() is missing the argument \"" + own + "\"");
      }
    }
    if (!rest.isEmpty() && !parameters.contains("*")) {
      throw new TemplateException(name + "() has too many arguments");
    }
    if (!named.isEmpty() && !parameters.contains("**")) {
      throw new TemplateException(
          name + "() has no argument \"" + named.keySet().iterator().next() + "\"");
    }
    return new Given(run, values, rest, named);
  }

  /** Returns the builtin as a callable value, optionally bound to a value. */
  record Bound(Builtin builtin, Value subject) implements Callable {
    @Override
    public Value call(Evaluation run, Arguments arguments) {
      return builtin.apply(run, subject, arguments);
    }
  }

  /** The arguments by the names of their parameters. */
  record Given(
      Evaluation run, Map<String, Value> values, List<Value> rest, Map<String, Value> named) {
    /** Returns whether an argument is given and is not {@code none}. */
    boolean has(String name) {
      return values.getOrDefault(name, Value.None.NONE) != Value.None.NONE;
    }

    Value get(String name) {
      return values.get(name);
    }

    Value get(String name, Value otherwise) {
      return values.getOrDefault(name, otherwise);
    }

    long integer(String name, long otherwise) {
      return has(name) ? Conversions.integer(get(name)) : otherwise;
    }

    String text(String name) {
      return Conversions.text(get(name));
    }

    String text(String name, String otherwise) {
      return has(name) ? text(name) : otherwise;
    }

    boolean flag(String name, boolean otherwise) {
      return values.containsKey(name) ? get(name).truth() : otherwise;
    }

    Arguments others() {
      return new Arguments(rest, named);
    }
  }
}
