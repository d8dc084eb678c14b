package org.threegate.rl.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;

/** Python's operators, with 64-bit integers. */
final class Operators {
  private Operators() {}

  private static TemplateException refused(String operator, Value left, Value right) {
    Conversions.requireDefined(left);
    Conversions.requireDefined(right);
    return new TemplateException(
        "\"" + operator + "\" is not for " + left.type() + " and " + right.type());
  }

  static Value signed(Value value, boolean negative) {
    try {
      if (Conversions.isWhole(value)) {
        return new Value.Int(
            negative ? Math.negateExact(Conversions.integer(value)) : Conversions.integer(value));
      }
    } catch (ArithmeticException e) {
      throw tooLarge();
    }
    if (value instanceof Value.Real real) {
      return negative ? new Value.Real(-real.value()) : real;
    }
    throw Conversions.wanted("number", value);
  }

  private static TemplateException tooLarge() {
    return new TemplateException("an integer does not fit into 64 bits");
  }

  static Value binary(Evaluation run, String operator, Value left, Value right) {
    if (left instanceof Value.Num first && right instanceof Value.Num second) {
      return arithmetic(operator, first, second);
    }
    if (operator.equals("%") && left instanceof Value.Text format) {
      return PercentFormat.of(run, format.value(), right);
    }
    if (operator.equals("+") && left instanceof Value.Text && right instanceof Value.Text) {
      return new TextBuilder(run.budget())
          .append(Conversions.text(left))
          .append(Conversions.text(right))
          .text();
    }
    if (operator.equals("+")
        && left instanceof Value.Listing first
        && right instanceof Value.Listing second
        && first.kind() == second.kind()
        && (first.kind() == Value.Kind.LIST || first.kind() == Value.Kind.TUPLE)) {
      run.budget().size((long) first.items().size() + second.items().size());
      List<Value> items = new ArrayList<>(first.items());
      items.addAll(second.items());
      return run.budget().listing(first.kind(), items);
    }
    if (operator.equals("*") && Conversions.isWhole(right)) {
      return repeated(run, left, Conversions.integer(right), right);
    }
    if (operator.equals("*") && Conversions.isWhole(left)) {
      return repeated(run, right, Conversions.integer(left), left);
    }
    throw refused(operator, left, right);
  }

  private static Value repeated(Evaluation run, Value value, long count, Value by) {
    if (value instanceof Value.Text text) {
      return new TextBuilder(run.budget()).repeat(text.value(), count).text();
    }
    if (value instanceof Value.Listing list
        && (list.kind() == Value.Kind.LIST || list.kind() == Value.Kind.TUPLE)) {
      List<Value> items = new ArrayList<>();
      if (!list.items().isEmpty()) {
        run.budget().size(Math.max(0, count));
        run.budget().size(Math.max(0, count) * list.items().size());
        for (long i = 0; i < count; i++) {
          run.budget().work(list.items().size());
          items.addAll(list.items());
        }
      }
      return run.budget().listing(list.kind(), items);
    }
    throw refused("*", value, by);
  }

  private static Value arithmetic(String operator, Value.Num left, Value.Num right) {
    boolean whole = Conversions.isWhole(left) && Conversions.isWhole(right);
    if ((operator.equals("/") || operator.equals("//") || operator.equals("%"))
        && right.real() == 0) {
      throw new TemplateException("a division by zero");
    }
    try {
      return whole && !operator.equals("/")
          ? whole(operator, Conversions.integer(left), Conversions.integer(right))
          : new Value.Real(real(operator, left.real(), right.real()));
    } catch (ArithmeticException e) {
      throw tooLarge();
    }
  }

  private static Value whole(String operator, long left, long right) {
    if (operator.equals("**") && right < 0) {
      return new Value.Real(real(operator, left, right));
    }
    return new Value.Int(
        switch (operator) {
          case "+" -> Math.addExact(left, right);
          case "-" -> Math.subtractExact(left, right);
          case "*" -> Math.multiplyExact(left, right);
          case "//" ->
              left == Long.MIN_VALUE && right == -1
                  ? Math.negateExact(left)
                  : Math.floorDiv(left, right);
          case "%" -> Math.floorMod(left, right);
          default -> power(left, right);
        });
  }

  private static long power(long base, long exponent) {
    if (base >= -1 && base <= 1) {
      return exponent == 0 || base == 1 ? 1 : base == 0 ? 0 : exponent % 2 == 0 ? 1 : -1;
    }
    // The base is at least 2 in magnitude, so the result exceeds 64 bits.
    if (exponent >= Long.SIZE) {
      throw new ArithmeticException();
    }
    return BigInteger.valueOf(base).pow((int) exponent).longValueExact();
  }

  private static double real(String operator, double left, double right) {
    double result =
        switch (operator) {
          case "+" -> left + right;
          case "-" -> left - right;
          case "*" -> left * right;
          case "/" -> left / right;
          case "//" -> floorDivided(left, right);
          case "%" -> floorRest(left, right);
          default -> Math.pow(left, right);
        };
    boolean power = operator.equals("**");
    if (power && left == 0 && right < 0) {
      throw new TemplateException("a division by zero");
    }
    if (power && !Double.isFinite(result) && Double.isFinite(left) && Double.isFinite(right)) {
      throw new TemplateException("a power is not a real number of 64 bits");
    }
    return result;
  }

  private static double floorRest(double left, double right) {
    double rest = left % right;
    if (rest == 0) {
      return Math.copySign(0, right);
    }
    return rest < 0 != right < 0 ? rest + right : rest;
  }

  private static double floorDivided(double left, double right) {
    double quotient = (left - floorRest(left, right)) / right;
    double floor = Math.floor(quotient);
    if (quotient == 0) {
      return Math.copySign(0, left / right);
    }
    return quotient - floor > 0.5 ? floor + 1 : floor;
  }

  static boolean compare(Evaluation run, String operator, Value left, Value right) {
    return switch (operator) {
      case "==" -> equal(run, left, right);
      case "!=" -> !equal(run, left, right);
      case "in" -> contains(run, right, left);
      case "not in" -> !contains(run, right, left);
      default -> {
        if (isNaN(left) || isNaN(right)) {
          order(run, operator, left, right);
          yield false;
        }
        int order = order(run, operator, left, right);
        yield switch (operator) {
          case "<" -> order < 0;
          case "<=" -> order <= 0;
          case ">" -> order > 0;
          default -> order >= 0;
        };
      }
    };
  }

  private static boolean isNaN(Value value) {
    return value instanceof Value.Real real && Double.isNaN(real.value());
  }

  static boolean equal(Evaluation run, Value left, Value right) {
    run.budget().work(Math.min(left.weight(), right.weight()));
    return left.equals(right);
  }

  static boolean contains(Evaluation run, Value all, Value one) {
    if (all instanceof Value.Text text) {
      if (!(one instanceof Value.Text)) {
        throw refused("in", one, all);
      }
      run.budget().work(all.weight());
      return Strings.find(text.value(), Conversions.text(one), 0) >= 0;
    }
    if (all instanceof Value.Dict dict) {
      run.budget().work(one.weight());
      return dict.entries().containsKey(Conversions.key(one));
    }
    for (Value item : run.items(all)) {
      if (equal(run, item, one)) {
        return true;
      }
    }
    return false;
  }

  /** Compares values that have an order. */
  static int order(Evaluation run, String operator, Value left, Value right) {
    run.budget().work(Math.min(left.weight(), right.weight()));
    if (left instanceof Value.Num first && right instanceof Value.Num second) {
      return Conversions.isWhole(left) && Conversions.isWhole(right)
          ? Long.compare(Conversions.integer(left), Conversions.integer(right))
          : first.real() == second.real() ? 0 : Double.compare(first.real(), second.real());
    }
    if (left instanceof Value.Text first && right instanceof Value.Text second) {
      return first.compareTo(second);
    }
    if (left instanceof Value.Listing first
        && right instanceof Value.Listing second
        && first.type().equals(second.type())
        && first.kind().isSubscriptable()) {
      int common = Math.min(first.items().size(), second.items().size());
      for (int i = 0; i < common; i++) {
        if (!equal(run, first.items().get(i), second.items().get(i))) {
          return order(run, operator, first.items().get(i), second.items().get(i));
        }
      }
      return Integer.compare(first.items().size(), second.items().size());
    }
    throw refused(operator, left, right);
  }
}
