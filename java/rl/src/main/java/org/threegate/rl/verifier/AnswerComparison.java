package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import org.apache.commons.numbers.fraction.BigFraction;

/** Compares answers by their structure, down to {@linkplain Equality formulas}. */
final class AnswerComparison {
  private static final int MOST_COMPARISONS = 20_000;

  private int comparisons;

  private AnswerComparison() {}

  static Truth equal(Answer a, Answer b) {
    return new AnswerComparison().compare(a, b);
  }

  private Truth compare(Answer a, Answer b) {
    if (++comparisons > MOST_COMPARISONS || Thread.currentThread().isInterrupted()) {
      return Truth.UNKNOWN;
    }
    if (a instanceof Answer.Words || b instanceof Answer.Words) {
      return words(a, b);
    }
    if (a instanceof Answer.Labelled || b instanceof Answer.Labelled) {
      return labelled(a, b);
    }
    if (a instanceof Answer.Named one && b instanceof Answer.Named other) {
      return Truth.of(one.name().equals(other.name()));
    }
    if (isRange(a) || isRange(b)) {
      return ranges(a, b);
    }
    if (a instanceof Answer.Collection one) {
      return b instanceof Answer.Collection other ? collections(one, other) : collection(one, b);
    }
    if (b instanceof Answer.Collection other) {
      return collection(other, a);
    }
    if (a instanceof Answer.Relation one && b instanceof Answer.Relation other) {
      return relations(one, other);
    }
    if (a instanceof Answer.Quantity one && b instanceof Answer.Quantity other) {
      return quantities(one, other);
    }
    if (a instanceof Answer.Ratio || b instanceof Answer.Ratio) {
      return ratios(a, b);
    }
    if (a instanceof Answer.Matrix || b instanceof Answer.Matrix) {
      return matrices(a, b);
    }
    if (a instanceof Answer.Sequence one && b instanceof Answer.Sequence other) {
      return one.open() == other.open() && one.close() == other.close()
          ? ordered(one.items(), other.items())
          : Truth.NO;
    }
    boolean equation = a instanceof Answer.Relation || b instanceof Answer.Relation;
    boolean named = a instanceof Answer.Named || b instanceof Answer.Named;
    boolean quantity = a instanceof Answer.Quantity || b instanceof Answer.Quantity;
    return equation || named && !quantity ? Truth.UNKNOWN.and(Truth.of(!equation)) : Truth.NO;
  }

  private static Truth words(Answer a, Answer b) {
    if (a instanceof Answer.Words one && b instanceof Answer.Words other) {
      if (one.text().equals(other.text())) {
        return one.text().isEmpty() ? Truth.UNKNOWN : Truth.YES;
      }
      return one.mathematical() || other.mathematical() ? Truth.UNKNOWN : Truth.NO;
    }
    Answer.Words words = (Answer.Words) (a instanceof Answer.Words ? a : b);
    return words.mathematical() ? Truth.UNKNOWN : Truth.NO;
  }

  private Truth labelled(Answer a, Answer b) {
    if (!(a instanceof Answer.Labelled one)) {
      return labelled(b, a);
    }
    if (b instanceof Answer.Labelled other) {
      if (one.label().equals(other.label()) || isSameFunction(one.label(), other.label())) {
        return compare(one.value(), other.value());
      }
      if (!one.equation().isEmpty() && !other.equation().isEmpty()) {
        return relations(one.equation().get(0), other.equation().get(0));
      }
      return compare(one.value(), other.value()).and(Truth.UNKNOWN);
    }
    if (b instanceof Answer.Relation relation && relation.signs().equals(List.of('='))) {
      return one.equation().isEmpty() ? Truth.UNKNOWN : relations(one.equation().get(0), relation);
    }
    if (b instanceof Answer.Collection list
        && isLabelledList(list)
        && one.value() instanceof Answer.Sequence tuple
        && one.label().matches("\\(.*\\)")) {
      // (x, y) = (1, 2) is x = 1, y = 2.
      String[] labels = one.label().substring(1, one.label().length() - 1).split(",");
      if (labels.length == tuple.items().size()) {
        List<Answer> parts = new ArrayList<>();
        for (int i = 0; i < labels.length; i++) {
          Answer item = tuple.items().get(i);
          List<Answer.Relation> equation =
              item instanceof Answer.Quantity quantity
                  ? List.of(
                      new Answer.Relation(
                          List.of(new Formula.Variable(labels[i]), quantity.formula()),
                          List.of('=')))
                  : List.of();
          parts.add(new Answer.Labelled(labels[i], item, equation));
        }
        return unordered(parts, list.items());
      }
    }
    return compare(one.value(), b);
  }

  /** Returns whether two labels are one function with the same number of plain arguments. */
  private static boolean isSameFunction(String a, String b) {
    String name = "([A-Za-z]+'*)\\([A-Za-z]\\)";
    return a.matches(name)
        && b.matches(name)
        && a.substring(0, a.indexOf('(')).equals(b.substring(0, b.indexOf('(')));
  }

  private static boolean isLabelledList(Answer.Collection list) {
    return list.items().size() > 1
        && list.items().stream().allMatch(Answer.Labelled.class::isInstance);
  }

  /** Returns whether an answer can only be a set of real numbers, or a condition for one. */
  private static boolean isRange(Answer answer) {
    if (answer instanceof Answer.Relation relation) {
      return !relation.signs().equals(List.of('='));
    }
    if (answer instanceof Answer.Collection collection) {
      return collection.items().stream().anyMatch(AnswerComparison::isRange);
    }
    return answer instanceof Answer.SetOperation
        || answer instanceof Answer.Named named && named.name().equals("R");
  }

  private Truth ranges(Answer a, Answer b) {
    if (a instanceof Answer.Relation one && b instanceof Answer.Relation other) {
      HashSet<String> names = new HashSet<>();
      one.sides().forEach(side -> names.addAll(side.variables()));
      other.sides().forEach(side -> names.addAll(side.variables()));
      if (names.size() != 1) {
        return relations(one, other);
      }
    }
    Optional<RealSet> one = RealSet.of(a);
    Optional<RealSet> other = RealSet.of(b);
    if (one.isPresent() && other.isPresent()) {
      return RealSet.equal(one.get(), other.get());
    }
    if (a instanceof Answer.Relation left && b instanceof Answer.Relation right) {
      return relations(left, right);
    }
    if (a instanceof Answer.SetOperation left && b instanceof Answer.SetOperation right) {
      return operations(left, right);
    }
    if (a instanceof Answer.Collection left && b instanceof Answer.Collection right) {
      return unordered(left.items(), right.items()).unlessNo();
    }
    return Truth.UNKNOWN;
  }

  private Truth operations(Answer.SetOperation a, Answer.SetOperation b) {
    if (a.sign() != b.sign()) {
      return Truth.UNKNOWN;
    }
    Truth straight = compare(a.left(), b.left()).and(compare(a.right(), b.right()));
    return a.sign() == '\u2216' || straight == Truth.YES
        ? straight.unlessNo()
        : unordered(parts(a, a.sign()), parts(b, b.sign())).unlessNo();
  }

  private static List<Answer> parts(Answer answer, char sign) {
    if (!(answer instanceof Answer.SetOperation operation) || operation.sign() != sign) {
      return List.of(answer);
    }
    List<Answer> parts = new ArrayList<>(parts(operation.left(), sign));
    parts.addAll(parts(operation.right(), sign));
    return parts;
  }

  private Truth collection(Answer.Collection list, Answer other) {
    if (other instanceof Answer.Sequence tuple
        && isLabelledList(list)
        && tuple.open() == '('
        && tuple.close() == ')') {
      return sorted(list) ? ordered(values(list), tuple.items()) : Truth.UNKNOWN;
    }
    if (list.items().size() == 1) {
      return compare(list.items().get(0), other);
    }
    if (other instanceof Answer.Relation || other instanceof Answer.Named) {
      return Truth.UNKNOWN;
    }
    return Truth.NO;
  }

  private static List<Answer> values(Answer.Collection list) {
    return list.items().stream()
        .map(item -> item instanceof Answer.Labelled labelled ? labelled.value() : item)
        .toList();
  }

  /** Returns whether the labels of a list are in alphabetical order, which a tuple has. */
  private static boolean sorted(Answer.Collection list) {
    List<String> labels =
        list.items().stream().map(item -> ((Answer.Labelled) item).label()).toList();
    return labels.equals(labels.stream().sorted().distinct().toList());
  }

  private Truth collections(Answer.Collection a, Answer.Collection b) {
    boolean one = isLabelledList(a);
    if (one != isLabelledList(b)) {
      // Values without labels must come in the order of the labels.
      List<Answer> left = values(a);
      List<Answer> right = values(b);
      Truth inOrder = ordered(left, right);
      return inOrder == Truth.YES ? inOrder : unordered(left, right).and(Truth.UNKNOWN);
    }
    return unordered(a.items(), b.items());
  }

  private Truth ordered(List<Answer> a, List<Answer> b) {
    if (a.size() != b.size()) {
      return Truth.NO;
    }
    Truth all = Truth.YES;
    for (int i = 0; i < a.size() && all != Truth.NO; i++) {
      all = all.and(compare(a.get(i), b.get(i)));
    }
    return all;
  }

  /** Compares as sets: each entry equals one of the other's. */
  private Truth unordered(List<Answer> a, List<Answer> b) {
    return contained(a, b).and(contained(b, a));
  }

  private Truth contained(List<Answer> items, List<Answer> others) {
    Truth all = Truth.YES;
    for (Answer item : items) {
      Truth any = Truth.NO;
      for (int i = 0; i < others.size() && any != Truth.YES; i++) {
        any = any.or(compare(item, others.get(i)));
      }
      all = all.and(any);
      if (all == Truth.NO) {
        return all;
      }
    }
    return all;
  }

  /** Compares relations: each is the other, up to a factor. */
  private static Truth relations(Answer.Relation a, Answer.Relation b) {
    if (a.signs().size() != b.signs().size()) {
      return Truth.UNKNOWN;
    }
    Truth straight = chain(a, b);
    Truth turned = chain(a, reversed(b));
    return straight.or(turned);
  }

  private static Answer.Relation reversed(Answer.Relation relation) {
    List<Formula> sides = new ArrayList<>();
    List<Character> signs = new ArrayList<>();
    for (int i = relation.sides().size() - 1; i >= 0; i--) {
      sides.add(relation.sides().get(i));
      if (i > 0) {
        signs.add(turned(relation.signs().get(i - 1)));
      }
    }
    return new Answer.Relation(sides, signs);
  }

  private static char turned(char sign) {
    int at = "<>\u2264\u2265".indexOf(sign);
    return at < 0 ? sign : "><\u2265\u2264".charAt(at);
  }

  private static Truth chain(Answer.Relation a, Answer.Relation b) {
    Truth all = Truth.YES;
    for (int i = 0; i < a.signs().size() && all != Truth.NO; i++) {
      Formula one = Formula.difference(a.sides().get(i), a.sides().get(i + 1));
      Formula other = Formula.difference(b.sides().get(i), b.sides().get(i + 1));
      all = all.and(relation(one, a.signs().get(i), other, b.signs().get(i)));
    }
    return all;
  }

  private static Truth relation(Formula a, char sign, Formula b, char other) {
    Optional<Formula> factor = Equality.quotientAtPoint(a, b);
    if (factor.isEmpty()) {
      return Truth.UNKNOWN;
    }
    Optional<Integer> direction = Equality.sign(factor.get());
    if (direction.isEmpty()) {
      return Truth.UNKNOWN;
    }
    if (direction.get() == 0 || sign != (direction.get() > 0 ? other : turned(other))) {
      return Truth.NO;
    }
    return Equality.equal(a, Formula.product(factor.get(), b));
  }

  private static Truth quantities(Answer.Quantity a, Answer.Quantity b) {
    Unit one = a.unit();
    Unit other = b.unit();
    if (one.isNone() && other.isNone()) {
      return formulas(a.formula(), b.formula());
    }
    if (one.isNone()) {
      return quantities(b, a);
    }
    if (other.isNone()) {
      if (one.is("%")) {
        // 50 % is one half, and 50 where the question asks for per cent.
        Formula part = Formula.quotient(a.formula(), Formula.of(100));
        return formulas(a.formula(), b.formula()).or(formulas(part, b.formula()));
      }
      if (b.formula().mentions("degree")) {
        Formula radians = Formula.quotient(Formula.PI, Formula.of(180));
        return one.is("radian")
            ? Equality.equal(a.formula(), withDegree(b.formula(), radians))
            : Truth.UNKNOWN;
      }
      boolean variable = b.formula().variables().contains(one.letters());
      return formulas(
          variable
              ? Formula.product(a.formula(), new Formula.Variable(one.letters()))
              : a.formula(),
          b.formula());
    }
    Truth same = one.sameDimensions(other);
    if (same != Truth.YES) {
      return formulas(a.formula(), b.formula()).and(same);
    }
    BigFraction ratio = one.factor().divide(other.factor());
    return formulas(Formula.product(a.formula(), Formula.of(ratio)), b.formula());
  }

  private static Truth formulas(Formula a, Formula b) {
    boolean one = a.mentions("degree");
    boolean other = b.mentions("degree");
    if (!one && !other) {
      return Equality.equal(a, b);
    }
    // Degrees are a unit, which may be left out, and a number of radians.
    Truth dropped = Equality.equal(withDegree(a, Formula.ONE), withDegree(b, Formula.ONE));
    if (one && other) {
      return dropped;
    }
    Formula radians = Formula.quotient(Formula.PI, Formula.of(180));
    return dropped.or(Equality.equal(withDegree(a, radians), withDegree(b, radians)));
  }

  private static Formula withDegree(Formula formula, Formula size) {
    return formula.withLeaves(
        leaf -> leaf instanceof Formula.Constant of && of.name().equals("degree") ? size : leaf);
  }

  private static Truth ratios(Answer a, Answer b) {
    if (a instanceof Answer.Ratio one && b instanceof Answer.Ratio other) {
      if (one.parts().size() != other.parts().size()) {
        return Truth.NO;
      }
      Truth same = Truth.YES;
      Truth proportional = Truth.YES;
      for (int i = 0; i < one.parts().size(); i++) {
        same = same.and(Equality.equal(one.parts().get(i), other.parts().get(i)));
        for (int k = 0; k < i; k++) {
          proportional =
              proportional.and(
                  Equality.equal(
                      Formula.product(one.parts().get(i), other.parts().get(k)),
                      Formula.product(one.parts().get(k), other.parts().get(i))));
        }
      }
      if (same == Truth.YES) {
        return Truth.YES;
      }
      boolean zero =
          one.parts().stream().anyMatch(part -> Equality.equal(part, Formula.ZERO) != Truth.NO)
              || other.parts().stream()
                  .anyMatch(part -> Equality.equal(part, Formula.ZERO) != Truth.NO);
      if (zero) {
        return proportional.and(same).and(Truth.UNKNOWN);
      }
      // 6:30 and 3:15 are equal as ratios, but not as times of day.
      return one.time() && other.time() ? proportional.and(Truth.UNKNOWN) : proportional;
    }
    Answer.Ratio ratio = (Answer.Ratio) (a instanceof Answer.Ratio ? a : b);
    Answer rest = a instanceof Answer.Ratio ? b : a;
    if (!(rest instanceof Answer.Quantity quantity) || ratio.parts().size() != 2) {
      return Truth.NO;
    }
    Truth equal =
        formulas(Formula.quotient(ratio.parts().get(0), ratio.parts().get(1)), quantity.formula());
    return ratio.time() ? equal.unlessNo() : equal;
  }

  private Truth matrices(Answer a, Answer b) {
    if (a instanceof Answer.Matrix one && b instanceof Answer.Matrix other) {
      if (one.rows().size() != other.rows().size()) {
        return Truth.NO;
      }
      Truth all = Truth.YES;
      for (int i = 0; i < one.rows().size() && all != Truth.NO; i++) {
        all = all.and(ordered(one.rows().get(i), other.rows().get(i)));
      }
      return all;
    }
    Answer.Matrix matrix = (Answer.Matrix) (a instanceof Answer.Matrix ? a : b);
    Answer rest = a instanceof Answer.Matrix ? b : a;
    if (!(rest instanceof Answer.Sequence tuple) || tuple.open() == '(' != (tuple.close() == ')')) {
      return Truth.NO;
    }
    if (matrix.rows().size() == 1) {
      return ordered(matrix.rows().get(0), tuple.items());
    }
    if (matrix.rows().get(0).size() == 1) {
      return ordered(matrix.rows().stream().map(row -> row.get(0)).toList(), tuple.items());
    }
    List<Answer> rows =
        matrix.rows().stream()
            .<Answer>map(row -> new Answer.Sequence(tuple.open(), tuple.close(), row))
            .toList();
    return ordered(rows, tuple.items());
  }
}
