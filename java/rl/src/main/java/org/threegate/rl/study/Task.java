package org.threegate.rl.study;

import java.util.List;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.Split;

/** What a model is tuned on. */
enum Task {
  ADDITION {
    @Override
    List<Problem> problems(Split part) {
      return Corpus.sums(part);
    }

    @Override
    List<Demonstration> demonstrations(Split part) {
      return Corpus.scratchpads(part);
    }
  },
  SUBTRACTION {
    @Override
    List<Problem> problems(Split part) {
      return Corpus.differences(part);
    }

    @Override
    List<Demonstration> demonstrations(Split part) {
      return Corpus.differencesWithWorking(part);
    }
  };

  /** Returns all problems of a split. */
  abstract List<Problem> problems(Split part);

  /** Returns the same problems with digit-by-digit working. */
  abstract List<Demonstration> demonstrations(Split part);
}
