package org.threegate.rl.verifier;

import java.util.List;

/** An answer by its structure. */
sealed interface Answer {
  /** A formula with a unit. */
  record Quantity(Formula formula, Unit unit) implements Answer {
    Quantity(Formula formula) {
      this(formula, Unit.NONE);
    }
  }

  /** A tuple, or an interval. The brackets are round or square. */
  record Sequence(char open, char close, List<Answer> items) implements Answer {}

  /** Why answers stand together. */
  enum Joint {
    SET,
    COMMA,
    OR,
    AND
  }

  /** Answers in any order. */
  record Collection(Joint joint, List<Answer> items) implements Answer {}

  /** A union, an intersection or a difference. */
  record SetOperation(char sign, Answer left, Answer right) implements Answer {}

  /** Formulas with relations between them. There is one sign fewer than sides. */
  record Relation(List<Formula> sides, List<Character> signs) implements Answer {}

  /**
   * An answer with the name of what it is the value of.
   *
   * @param label the name
   * @param equation the same as an equation; empty if it is none of formulas
   */
  record Labelled(String label, Answer value, List<Relation> equation) implements Answer {}

  /** Numbers of which only the ratios matter. */
  record Ratio(List<Formula> parts, boolean time) implements Answer {}

  record Matrix(List<List<Answer>> rows) implements Answer {}

  /** A named set: {@code R}, {@code Z} and so on. */
  record Named(String name) implements Answer {}

  /**
   * A text.
   *
   * @param mathematical whether it has more than words, so that other texts may mean the same
   */
  record Words(String text, boolean mathematical) implements Answer {}
}
