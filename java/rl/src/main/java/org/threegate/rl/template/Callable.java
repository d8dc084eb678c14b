package org.threegate.rl.template;

/** A callable value: a builtin function or method, a macro, or a recursive loop. */
sealed interface Callable extends Value permits Builtin.Bound, Macro, Loop {
  Value call(Evaluation run, Arguments arguments);

  /** Calls a value, or fails if it is not callable. */
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
