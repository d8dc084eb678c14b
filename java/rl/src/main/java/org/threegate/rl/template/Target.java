package org.threegate.rl.template;

import java.util.List;

/** The target of an assignment. */
sealed interface Target {
  void assign(Evaluation run, Value value);

  /** A variable of the innermost scope. */
  record Name(String name) implements Target {
    @Override
    public void assign(Evaluation run, Value value) {
      run.scope().put(name, value);
    }
  }

  /** Several targets, which unpack a value. */
  record Several(List<Target> targets) implements Target {
    @Override
    public void assign(Evaluation run, Value value) {
      List<Value> items = run.items(value);
      if (items.size() != targets.size()) {
        throw new TemplateException(
            items.size() + " values for " + targets.size() + " names cannot be assigned");
      }
      for (int i = 0; i < items.size(); i++) {
        targets.get(i).assign(run, items.get(i));
      }
    }
  }

  /** An attribute of a namespace. */
  record Attribute(String namespace, String name) implements Target {
    @Override
    public void assign(Evaluation run, Value value) {
      if (!(run.scope().get(namespace) instanceof Value.Namespace space)) {
        throw new TemplateException(
            "\"" + namespace + "\" is not a namespace, so its attributes cannot be set");
      }
      space.values().put(name, value);
    }
  }
}
