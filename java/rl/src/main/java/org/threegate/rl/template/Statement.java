package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/** A node of the syntax tree that is executed. */
sealed interface Statement {
  /** How control continues after a statement. */
  enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  /** Returns the line on which the statement begins. */
  int line();

  Flow run(Evaluation run);

  /** Executes statements, up to one that leaves a loop. */
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

  /** Returns the output of statements, which run in a new scope. */
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

  /** An output statement. */
  record Print(int line, List<Expression> values) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      values.forEach(value -> run.print(run.text(value.value(run))));
      return Flow.NEXT;
    }
  }

  /** A condition and its body. */
  record Branch(Expression condition, List<Statement> body) {}

  /** An {@code if} statement. The first branch whose condition holds is executed. */
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

  /** A {@code for} loop. Each iteration has a scope. */
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
     * Runs all iterations.
     *
     * @param depth the depth of the recursion
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

    /** Filters items by the condition, lazily. */
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

  /** A {@code break} or {@code continue} statement. */
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

  /** An assignment of the output of a body. */
  record SetBlock(
      int line, Target target, List<Expression.FilterCall> filters, List<Statement> body)
      implements Statement {
    @Override
    public Flow run(Evaluation run) {
      target.assign(run, Expression.filtered(run, Statement.captured(run, body), filters));
      return Flow.NEXT;
    }
  }

  /** A {@code with} block: variables for its body. */
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

  /** The definition of a macro. */
  record MacroDefinition(int line, Macro.Definition macro) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.scope().put(macro.name(), new Macro(macro, run.scope()));
      return Flow.NEXT;
    }
  }

  /** A {@code call} block, whose body the callee can call as {@code caller}. */
  record CallBlock(int line, Macro.Definition caller, Expression.Call call) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.print(run.text(call.with(run, new Macro(caller, run.scope()))));
      return Flow.NEXT;
    }
  }

  /** A {@code filter} block. */
  record FilterBlock(int line, List<Expression.FilterCall> filters, List<Statement> body)
      implements Statement {
    @Override
    public Flow run(Evaluation run) {
      run.print(run.text(Expression.filtered(run, Statement.captured(run, body), filters)));
      return Flow.NEXT;
    }
  }

  /**
   * A {@code generation} block, which marks the assistant's tokens for training. Here it is a
   * scope.
   */
  record Generation(int line, List<Statement> body) implements Statement {
    @Override
    public Flow run(Evaluation run) {
      return run.inScope(() -> Statement.body(run, body));
    }
  }
}
