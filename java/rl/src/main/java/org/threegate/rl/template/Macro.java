package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * A macro of a template.
 *
 * @param definition the definition
 * @param scope the scope of the definition
 */
record Macro(Definition definition, Scope scope) implements Callable {
  /** A parameter and its default value. */
  record Parameter(String name, Optional<Expression> otherwise) {}

  /**
   * The definition of a macro.
   *
   * @param takesMore whether surplus positional arguments are collected in {@code varargs}
   * @param takesNamed whether surplus named arguments are collected in {@code kwargs}
   */
  record Definition(
      String name,
      List<Parameter> parameters,
      boolean takesMore,
      boolean takesNamed,
      Consumer<Evaluation> body) {}

  @Override
  public Optional<String> macroName() {
    return Optional.of(definition.name());
  }

  @Override
  public boolean equals(Object other) {
    return this == other;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }

  @Override
  public Value call(Evaluation run, Arguments arguments) {
    return run.captured(
        scope,
        () -> {
          bind(run, arguments);
          definition.body().accept(run);
          return Value.None.NONE;
        });
  }

  private void bind(Evaluation run, Arguments arguments) {
    List<Value> more = new ArrayList<>(arguments.positional());
    Map<String, Value> named = new LinkedHashMap<>(arguments.named());
    Value caller = named.remove("caller");
    run.scope()
        .put("caller", caller == null ? new Value.Undefined("no caller is defined") : caller);
    for (Parameter parameter : definition.parameters()) {
      run.scope()
          .put(parameter.name(), new Value.Undefined("\"" + parameter.name() + "\" was not given"));
    }
    for (Parameter parameter : definition.parameters()) {
      String name = parameter.name();
      Value value;
      if (!more.isEmpty()) {
        value = more.remove(0);
      } else if (named.containsKey(name)) {
        value = named.remove(name);
      } else {
        value = parameter.otherwise().map(each -> each.value(run)).orElse(run.scope().get(name));
      }
      run.scope().put(name, value);
    }
    if (definition.takesMore()) {
      run.scope().put("varargs", run.budget().listing(Value.Kind.TUPLE, more));
    } else if (!more.isEmpty()) {
      throw new TemplateException("macro \"" + definition.name() + "\" has too many arguments");
    }
    if (definition.takesNamed()) {
      run.scope().put("kwargs", Functions.dict(run, named));
    } else if (!named.isEmpty()) {
      throw new TemplateException(
          "macro \""
              + definition.name()
              + "\" has no argument \""
              + named.keySet().iterator().next()
              + "\"");
    }
  }
}
