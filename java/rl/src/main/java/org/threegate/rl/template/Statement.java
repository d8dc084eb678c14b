package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/** What a template is made of: text, and what stands between braces and per cent signs. */
sealed interface Statement {
  /** How a body goes on after a statement. */
  enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  /** Where it begins. */
  int line();

  Flow run(Evaluation run);

  /** Runs statements up to one that leaves a loop. */
  static Flow body(Evaluation run, List<Statement> body) {
    run.budget().enter();
    Flow flow = Flow.NEXT;
    for (Statement statement : body) {
      try {
        flow = statement.run(run);
      } catch (TemplateException e) {
        throw e.at(statement.line());
      }
      if (flow != Flow.NEXT) {
        break;
      }
    }
    run.budget().leave();
    return flow;
  }

  /** Returns what statements print, in a scope of their own. */
  static Value captured(Evaluation run, List<Statement> body) {
    return run.captured(run.scope(), () -> Statement.body(run, body));
  }

  /** Text between tags. */
  record Data(int line, String text) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.print(text);
      return Flow.NEXT;
    }
  }

  /** Values as texts. */
  record Print(int line, List<Expression> values) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      values.forEach(value -> run.print(run.text(value.value(run))));
      return Flow.NEXT;
    }
  }

  /** A condition and what is done if it holds. */
  record Branch(Expression condition, List<Statement> body) {}

  /** The first branch that holds. */
  record If(int line, List<Branch> branches, List<Statement> otherwise) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      for (Branch branch : branches) {
        if (branch.condition().value(run).truth()) {
          return Statement.body(run, branch.body());
        }
      }
      return Statement.body(run, otherwise);
    }
  }

  /** A loop; each turn has a scope of its own. */
  record For(
      int line,
      Target target,
      Expression items,
      Optional<Expression> condition,
      boolean recursive,
      List<Statement> body,
      List<Statement> otherwise)
      implements Statement {
    @Override
    public Flow run(Evaluation run) {
      over(run, items.value(run), 0);
      return Flow.NEXT;
    }

    /**
     * All turns.
     *
     * @param depth of recursion
     */
    void over(Evaluation run, Value values, int depth) {
      Loop loop =
          new Loop(
              run.budget(),
              recursive ? Optional.of(this::over) : Optional.empty(),
              selected(run, run.iterator(values)),
              depth);
      boolean turned = false;
      while (loop.hasNext()) {
        run.budget().step();
        Value item = loop.next();
        turned = true;
        Flow flow =
            run.inScope(
                () -> {
                  run.scope().put("loop", loop);
                  target.assign(run, item);
                  return Statement.body(run, body);
                });
        if (flow == Flow.BREAK) {
          break;
        }
      }
      if (!turned) {
        run.inScope(() -> Statement.body(run, otherwise));
      }
    }

    /** Items that the condition holds for, asked no earlier than an item is wanted. */
    private Iterator<Value> selected(Evaluation run, Iterator<Value> all) {
      if (condition.isEmpty()) {
        return all;
      }
      return new Iterator<>() {
        private final List<Value> found = new ArrayList<>(1);

        @Override
        public boolean hasNext() {
          while (found.isEmpty() && all.hasNext()) {
            Value item = all.next();
            Value holds =
                run.inScope(
                    () -> {
                      target.assign(run, item);
                      return condition.get().value(run);
                    });
            if (holds.truth()) {
              found.add(item);
            }
          }
          return !found.isEmpty();
        }

        @Override
        public Value next() {
          return hasNext() ? found.remove(0) : all.next();
        }
      };
    }
  }

  /** Leaves a turn or a loop. */
  record Jump(int line, Flow flow) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      return flow;
    }
  }

  /** An assignment. */
  record Set(int line, Target target, Expression value) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      target.assign(run, value.value(run));
      return Flow.NEXT;
    }
  }

  /** An assignment of what a body prints. */
  record SetBlock(
      int line, Target target, List<Expression.FilterCall> filters, List<Statement> body)
      implements Statement {
    @Override
    public Flow run(Evaluation run) {
      target.assign(run, Expression.filtered(run, Statement.captured(run, body), filters));
      return Flow.NEXT;
    }
  }

  /** Names for a body alone. */
  record With(int line, List<Target> targets, List<Expression> values, List<Statement> body)
      implements Statement {
    @Override
    public Flow run(Evaluation run) {
      List<Value> found = values.stream().map(each -> each.value(run)).toList();
      return run.inScope(
          () -> {
            for (int i = 0; i < found.size(); i++) {
              targets.get(i).assign(run, found.get(i));
            }
            return Statement.body(run, body);
          });
    }
  }

  /** A macro, under its name from here on. */
  record MacroDefinition(int line, Macro.Definition macro) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.scope().put(macro.name(), new Macro(macro, run.scope()));
      return Flow.NEXT;
    }
  }

  /** A call with a body, which the callee knows as {@code caller}. */
  record CallBlock(int line, Macro.Definition caller, Expression.Call call) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.print(run.text(call.with(run, new Macro(caller, run.scope()))));
      return Flow.NEXT;
    }
  }

  /** A body through filters. */
  record FilterBlock(int line, List<Expression.FilterCall> filters, List<Statement> body)
      implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.print(run.text(Expression.filtered(run, Statement.captured(run, body), filters)));
      return Flow.NEXT;
    }
  }

  /** What an assistant said, for those who train on it; here a scope. */
  record Generation(int line, List<Statement> body) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      return run.inScope(() -> Statement.body(run, body));
    }
  }
}
