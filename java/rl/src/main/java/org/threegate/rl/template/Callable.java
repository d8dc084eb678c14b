package org.threegate.rl.template;

/** What can be called: functions and methods that are known by name, macros, recursive loops. */
sealed interface Callable extends Value permits Builtin.Bound, Macro, Loop {
  Value call(Evaluation run, Arguments arguments);

  /** Calls a value, if it can be called. */
  static Value call(Evaluation run, Value function, Arguments arguments) {
    if (function instanceof Callable callable) {
      run.budget().enter();
      Value value = callable.call(run, arguments);
      run.budget().leave();
      return value;
    }
    Conversions.requireDefined(function);
    throw new TemplateException("a value of type " + function.type() + " cannot be called");
  }

  @Override
  default String type() {
    return "function";
  }
}
