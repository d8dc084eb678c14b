package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.commons.numbers.fraction.BigFraction;

/** A set of real numbers whose bounds are constants. */
sealed interface RealSet {
  /** An interval, or a point. Bounds may be infinite. */
  record Range(Formula low, boolean lowIn, Formula high, boolean highIn) implements RealSet {}

  /** A union (+), intersection (*) or difference (-). */
  record Compound(char sign, RealSet left, RealSet right) implements RealSet {}

  RealSet ALL = new Range(Formula.negative(Formula.INFINITY), false, Formula.INFINITY, false);
  RealSet EMPTY = new Compound('-', ALL, ALL);
  int MOST_BOUNDS = 64;

  /** Signals that two bounds cannot be ordered. */
  final class Unordered extends RuntimeException {
    private static final long serialVersionUID = 1;

    Unordered() {
      super("unordered", null, false, false);
    }
  }

  static RealSet point(Formula value) {
    return new Range(value, true, value, true);
  }

  static RealSet above(Formula low, boolean included) {
    return new Range(low, included, Formula.INFINITY, false);
  }

  static RealSet below(Formula high, boolean included) {
    return new Range(Formula.negative(Formula.INFINITY), false, high, included);
  }

  /** Decides whether two sets have the same elements, by testing each bound and gap. */
  static Truth equal(RealSet a, RealSet b) {
    try {
      List<Formula> bounds = new ArrayList<>();
      a.collect(bounds);
      b.collect(bounds);
      for (int position = 0; position <= 2 * bounds.size(); position++) {
        if (a.contains(position, bounds) != b.contains(position, bounds)) {
          return Truth.NO;
        }
      }
      return Truth.YES;
    } catch (Unordered e) {
      return Truth.UNKNOWN;
    }
  }

  private static int compare(Formula a, Formula b) {
    return a.equals(b) ? 0 : Equality.sign(Formula.difference(a, b)).orElseThrow(Unordered::new);
  }

  /** Inserts the finite bounds in order. */
  private void collect(List<Formula> bounds) {
    if (this instanceof Compound compound) {
      compound.left().collect(bounds);
      compound.right().collect(bounds);
      return;
    }
    Range range = (Range) this;
    for (Formula bound : List.of(range.low(), range.high())) {
      if (Equality.infinity(bound).isPresent()) {
        continue;
      }
      int at = 0;
      int order = -1;
      while (at < bounds.size() && (order = compare(bounds.get(at), bound)) < 0) {
        at++;
      }
      if (at == bounds.size() || order > 0) {
        bounds.add(at, bound);
      }
      if (bounds.size() > MOST_BOUNDS) {
        throw new Unordered();
      }
    }
    if (Equality.infinity(range.low()).isEmpty()
        && Equality.infinity(range.high()).isEmpty()
        && compare(range.low(), range.high()) > 0) {
      throw new Unordered(); // no interval
    }
  }

  /** Positions are the gaps, at even numbers, and the bounds between them, at odd ones. */
  private boolean contains(int position, List<Formula> bounds) {
    if (this instanceof Compound compound) {
      boolean left = compound.left().contains(position, bounds);
      boolean right = compound.right().contains(position, bounds);
      return switch (compound.sign()) {
        case '+' -> left || right;
        case '*' -> left && right;
        default -> left && !right;
      };
    }
    Range range = (Range) this;
    int low = position(range.low(), bounds);
    int high = position(range.high(), bounds);
    return (position > low || position == low && range.lowIn())
        && (position < high || position == high && range.highIn());
  }

  private static int position(Formula bound, List<Formula> bounds) {
    Optional<Integer> infinite = Equality.infinity(bound);
    if (infinite.isPresent()) {
      return infinite.get() < 0 ? -1 : 2 * bounds.size() + 1;
    }
    for (int i = 0; i < bounds.size(); i++) {
      if (compare(bounds.get(i), bound) == 0) {
        return 2 * i + 1;
      }
    }
    throw new Unordered();
  }

  /** Returns the set that an answer describes. It is empty when the answer describes none. */
  static Optional<RealSet> of(Answer answer) {
    if (answer instanceof Answer.Labelled labelled) {
      return of(labelled.value());
    }
    if (answer instanceof Answer.Quantity quantity) {
      return constant(quantity).map(RealSet::point);
    }
    if (answer instanceof Answer.Named named) {
      return named.name().equals("R") ? Optional.of(ALL) : Optional.empty();
    }
    if (answer instanceof Answer.Sequence sequence) {
      return sequence.items().size() == 2 ? interval(sequence) : Optional.empty();
    }
    if (answer instanceof Answer.SetOperation operation) {
      char sign = operation.sign() == '\u222a' ? '+' : operation.sign() == '\u2229' ? '*' : '-';
      return combined(sign, of(operation.left()), of(operation.right()));
    }
    if (answer instanceof Answer.Relation relation) {
      return solved(relation);
    }
    return answer instanceof Answer.Collection collection
        ? collected(collection)
        : Optional.empty();
  }

  private static Optional<RealSet> combined(
      char sign, Optional<RealSet> left, Optional<RealSet> right) {
    return left.isPresent() && right.isPresent()
        ? Optional.of(new Compound(sign, left.get(), right.get()))
        : Optional.empty();
  }

  private static Optional<Formula> constant(Answer answer) {
    return answer instanceof Answer.Quantity quantity
            && quantity.unit().isNone()
            && quantity.formula().variables().isEmpty()
        ? Optional.of(quantity.formula())
        : Optional.empty();
  }

  private static Optional<RealSet> interval(Answer.Sequence sequence) {
    Optional<Formula> low = constant(sequence.items().get(0));
    Optional<Formula> high = constant(sequence.items().get(1));
    if (low.isEmpty() || high.isEmpty()) {
      return Optional.empty();
    }
    boolean lowIn = sequence.open() == '[' && Equality.infinity(low.get()).isEmpty();
    boolean highIn = sequence.close() == ']' && Equality.infinity(high.get()).isEmpty();
    return Optional.of(new Range(low.get(), lowIn, high.get(), highIn));
  }

  private static boolean isUniverse(Answer item) {
    return item instanceof Answer.Labelled labelled
        && labelled.value() instanceof Answer.Named named
        && named.name().equals("R");
  }

  private static Optional<RealSet> collected(Answer.Collection collection) {
    List<Answer> items = collection.items().stream().filter(item -> !isUniverse(item)).toList();
    if (items.size() < collection.items().size() && items.size() == 1) {
      return of(items.get(0)); // x is real, and its condition
    }
    boolean relations = collection.items().stream().anyMatch(Answer.Relation.class::isInstance);
    boolean holes =
        relations
            && collection.items().stream()
                .allMatch(
                    item ->
                        item instanceof Answer.Relation relation
                            && relation.signs().equals(List.of('\u2260')));
    boolean plain =
        collection.joint() == Answer.Joint.COMMA || collection.joint() == Answer.Joint.SET;
    boolean pairs = collection.items().stream().anyMatch(Answer.Sequence.class::isInstance);
    if (plain && (relations && !holes || pairs)) {
      return Optional.empty(); // both, or one of them: the comma does not tell
    }
    boolean all = holes || relations && collection.joint() == Answer.Joint.AND;
    RealSet result = all ? ALL : EMPTY;
    for (Answer item : collection.items()) {
      Optional<RealSet> part = of(item);
      if (part.isEmpty()) {
        return part;
      }
      result = new Compound(all ? '*' : '+', result, part.get());
    }
    return Optional.of(result);
  }

  /** Solves relations that are linear in one variable or its absolute value. */
  private static Optional<RealSet> solved(Answer.Relation relation) {
    List<String> names =
        relation.sides().stream().flatMap(side -> side.variables().stream()).distinct().toList();
    if (names.size() != 1) {
      return Optional.empty();
    }
    RealSet result = ALL;
    for (int i = 0; i < relation.signs().size(); i++) {
      Optional<RealSet> part =
          solved(
              relation.sides().get(i),
              relation.signs().get(i),
              relation.sides().get(i + 1),
              names.get(0));
      if (part.isEmpty()) {
        return part;
      }
      result = new Compound('*', result, part.get());
    }
    return Optional.of(result);
  }

  private static char turned(char sign) {
    return switch (sign) {
      case '<' -> '>';
      case '>' -> '<';
      case '\u2264' -> '\u2265';
      case '\u2265' -> '\u2264';
      default -> sign;
    };
  }

  private static Optional<RealSet> solved(Formula left, char sign, Formula right, String name) {
    if (right instanceof Formula.Function function
        && function.name().equals("abs")
        && left.variables().isEmpty()) {
      return solved(right, turned(sign), left, name);
    }
    if (left instanceof Formula.Function function
        && function.name().equals("abs")
        && right.variables().isEmpty()) {
      Formula inside = function.argument();
      Formula minus = Formula.negative(right);
      Optional<RealSet> upper = solved(inside, sign, right, name);
      Optional<RealSet> lower = solved(inside, turned(sign), minus, name);
      boolean within = sign == '<' || sign == '\u2264' || sign == '\u2260';
      if (sign == '=') {
        return combined(Equality.sign(right).orElse(-1) >= 0 ? '+' : '*', upper, lower);
      }
      if (!within && Equality.sign(right).filter(of -> of >= 0).isEmpty()) {
        return Optional.empty();
      }
      return combined(within ? '*' : '+', upper, lower);
    }
    Formula slope;
    Formula bound;
    if (left.equals(new Formula.Variable(name)) && right.variables().isEmpty()) {
      slope = Formula.ONE;
      bound = right;
    } else if (right.equals(new Formula.Variable(name)) && left.variables().isEmpty()) {
      return solved(right, turned(sign), left, name);
    } else {
      try {
        Optional<NormalForm.Linear> linear =
            NormalForm.of(Formula.difference(left, right)).linear(name);
        if (linear.isEmpty()) {
          return Optional.empty();
        }
        slope = linear.get().slope();
        bound = Formula.quotient(Formula.negative(linear.get().intercept()), slope);
      } catch (ArithmeticException e) {
        return Optional.empty();
      }
    }
    Optional<Integer> direction = Equality.sign(slope);
    if (direction.isEmpty() || direction.get() == 0) {
      return Optional.empty();
    }
    Optional<BigFraction> exact = bound.exact();
    Formula at = exact.isPresent() ? Formula.of(exact.get()) : bound;
    boolean infinite = Equality.infinity(at).isPresent();
    return Optional.of(
        switch (direction.get() > 0 ? sign : turned(sign)) {
          case '<' -> below(at, false);
          case '\u2264' -> below(at, !infinite);
          case '>' -> above(at, false);
          case '\u2265' -> above(at, !infinite);
          case '\u2260' -> new Compound('-', ALL, point(at));
          default -> point(at);
        });
  }
}
