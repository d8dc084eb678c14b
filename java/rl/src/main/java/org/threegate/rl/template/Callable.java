package org.threegate.rl.template;

/** What can be called: functions and methods that are known by name, macros, recursive loops. */
sealed interface Callable extends Value permits Builtin.Bound, Macro, Loop {
  Value call(Evaluation run, Arguments arguments);

  @Override
  default String type() {
    return "function";
  }
}
