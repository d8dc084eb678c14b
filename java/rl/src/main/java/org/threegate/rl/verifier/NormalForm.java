package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * A formula as a quotient of two {@linkplain Polynomial polynomials}. Trigonometric and hyperbolic
 * functions become exponentials, powers become products of exponentials, and logarithms become
 * sums, so that their identities hold by the rules of polynomials. Roots and logarithms are split
 * as for positive arguments.
 */
record NormalForm(Polynomial numerator, Polynomial denominator) {
  private static final int LARGEST_FACTOR = 2000; // trial division
  private static final int MOST_SHIFT = 30; // of factorials
  private static final int MOST_DENOMINATOR = 60; // of angles that are rational multiples of pi
  private static final int LARGEST_POWER = 100_000;
  private static final int MOST_ANGLES = 40;

  private static final Polynomial.Atom PI = constant("pi", Formula.PI, false);
  private static final NormalForm ZERO = of(Polynomial.ZERO);
  private static final NormalForm ONE = of(Polynomial.ONE);
  private static final Polynomial.Atom I = unityAtom(2);

  /** Signals that a formula has no normal form here. */
  private static final class Unsupported extends ArithmeticException {
    private static final long serialVersionUID = 1;
  }

  private static Polynomial.Atom constant(String key, Formula formula, boolean algebraic) {
    return new Polynomial.Atom(key, formula, 0, Polynomial.ZERO, true, algebraic);
  }

  /** The number exp(i pi / n), whose n-th power is -1. */
  private static Polynomial.Atom unityAtom(int n) {
    return new Polynomial.Atom(
        "unity" + n,
        new Formula.Function("unity", Formula.of(BigFraction.of(1, n))),
        n,
        Polynomial.ONE.negate(),
        true,
        true);
  }

  private static NormalForm of(Polynomial polynomial) {
    return new NormalForm(polynomial, Polynomial.ONE);
  }

  private static NormalForm of(BigFraction value) {
    return of(Polynomial.of(value));
  }

  private static NormalForm of(Polynomial.Atom atom) {
    return of(Polynomial.of(atom));
  }

  /**
   * Returns the normal form of a formula.
   *
   * @throws ArithmeticException when it has none, or is too large
   */
  static NormalForm of(Formula formula) {
    Optional<BigFraction> exact = formula.exact();
    if (exact.isPresent()) {
      return of(exact.get());
    }
    if (formula instanceof Formula.Variable variable) {
      return of(
          new Polynomial.Atom("$" + variable.name(), formula, 0, Polynomial.ZERO, false, false));
    }
    if (formula instanceof Formula.Constant constant) {
      return switch (constant.name()) {
        case "pi" -> of(PI);
        case "e" -> exp(ONE);
        case "i" -> of(I);
        default -> throw new Unsupported();
      };
    }
    if (formula instanceof Formula.Operation operation) {
      if (operation.sign() == '^') {
        return power(operation.left(), of(operation.right()));
      }
      NormalForm left = of(operation.left());
      NormalForm right = of(operation.right());
      return switch (operation.sign()) {
        case '+' -> left.add(right);
        case '-' -> left.add(right.negate());
        case '*' -> left.multiply(right);
        default -> left.multiply(right.inverse());
      };
    }
    return function((Formula.Function) formula);
  }

  NormalForm negate() {
    return new NormalForm(numerator.negate(), denominator);
  }

  NormalForm add(NormalForm other) {
    if (denominator.equals(other.denominator)) {
      return new NormalForm(numerator.add(other.numerator), denominator);
    }
    return reduced(
        numerator.multiply(other.denominator).add(other.numerator.multiply(denominator)),
        denominator.multiply(other.denominator));
  }

  NormalForm multiply(NormalForm other) {
    return reduced(numerator.multiply(other.numerator), denominator.multiply(other.denominator));
  }

  /** Moves single terms into the numerator, and divides where nothing is left over. */
  private static NormalForm reduced(Polynomial numerator, Polynomial denominator) {
    if (denominator.isRational()) {
      return of(numerator.scale(denominator.rational().reciprocal()));
    }
    if (denominator.terms().size() == 1) {
      NormalForm inverse = inverse(denominator);
      if (inverse.denominator.isRational()) {
        return of(numerator.multiply(inverse.numerator));
      }
    }
    if (numerator.terms().size() >= denominator.terms().size()) {
      // A multiple of the denominator by a number.
      BigFraction ratio = numerator.term().getValue().divide(denominator.term().getValue());
      if (numerator.equals(denominator.scale(ratio))) {
        return of(ratio);
      }
    }
    return new NormalForm(numerator, denominator);
  }

  NormalForm inverse() {
    if (numerator.isZero()) {
      throw new Unsupported();
    }
    if (numerator.terms().size() == 1) {
      NormalForm inverse = inverse(numerator);
      return reduced(denominator.multiply(inverse.numerator), inverse.denominator);
    }
    return new NormalForm(denominator, numerator);
  }

  /** Inverts a single term. Roots move to the numerator. */
  private static NormalForm inverse(Polynomial single) {
    var term = single.term();
    Polynomial above = Polynomial.of(term.getValue().reciprocal());
    Polynomial below = Polynomial.ONE;
    for (var factor : term.getKey().powers().entrySet()) {
      Polynomial.Atom atom = factor.getKey();
      if (atom.degree() == 0) {
        above = above.multiply(Polynomial.of(atom, -factor.getValue()));
      } else {
        above = above.multiply(Polynomial.of(atom, atom.degree() - factor.getValue()));
        below = below.multiply(atom.reduced());
      }
    }
    if (below.isRational()) {
      return of(above.scale(below.rational().reciprocal()));
    }
    if (below.terms().size() == 1) {
      NormalForm rest = inverse(below);
      return new NormalForm(above.multiply(rest.numerator), rest.denominator);
    }
    return new NormalForm(above, below);
  }

  private static NormalForm power(Formula base, NormalForm exponent) {
    if (base instanceof Formula.Constant constant && constant.name().equals("e")) {
      return exp(exponent);
    }
    NormalForm value = of(base);
    if (exponent.isRational()) {
      return value.rationalPower(exponent.rational());
    }
    return exp(exponent.multiply(ln(value)));
  }

  private boolean isRational() {
    return numerator.isRational() && denominator.isRational();
  }

  private BigFraction rational() {
    return numerator.rational().divide(denominator.rational());
  }

  private NormalForm rationalPower(BigFraction exponent) {
    if (exponent.getNumerator().bitLength() > 31 || exponent.getDenominator().bitLength() > 12) {
      throw new Unsupported();
    }
    if (exponent.signum() < 0) {
      return inverse().rationalPower(exponent.negate());
    }
    int times = exponent.getNumerator().intValue();
    int degree = exponent.getDenominator().intValue();
    if (degree > 1) {
      return root(numerator, times, degree).multiply(root(denominator, times, degree).inverse());
    }
    return new NormalForm(numerator.power(times), denominator.power(times));
  }

  /** Returns a root of a polynomial, raised to a power. */
  private static NormalForm root(Polynomial value, int times, int degree) {
    if (times > LARGEST_POWER) {
      throw new Unsupported();
    }
    if (value.isRational()) {
      return rationalRoot(value.rational(), times, degree);
    }
    if (value.terms().size() > 1) {
      BigFraction content = value.content();
      Polynomial primitive = value.scale(content.reciprocal());
      return rationalRoot(content, times, degree)
          .multiply(
              of(rootAtom(primitive, degree, isConstant(primitive)))
                  .rationalPower(BigFraction.of(times)));
    }
    var term = value.term();
    NormalForm result = rationalRoot(term.getValue(), times, degree);
    for (var factor : term.getKey().powers().entrySet()) {
      Polynomial.Atom atom = factor.getKey();
      int power = Math.multiplyExact(factor.getValue(), times);
      if (atom.degree() > 0) {
        if (degree % 2 == 0 && !isPositive(atom)) {
          throw new Unsupported();
        }
        result =
            result.multiply(
                of(rootAtom(Polynomial.of(atom), degree, atom.constant()))
                    .rationalPower(BigFraction.of(power)));
        continue;
      }
      // The root of an even power is that of the absolute value.
      boolean absolute = degree % 2 == 0 && factor.getValue() % 2 == 0 && !isPositive(atom);
      Polynomial one = absolute ? absolute(Polynomial.of(atom)) : Polynomial.of(atom);
      int whole = Math.floorDiv(power, degree);
      int rest = Math.floorMod(power, degree);
      int common = BigInteger.valueOf(rest).gcd(BigInteger.valueOf(degree)).intValue();
      NormalForm whole1 = of(one).rationalPower(BigFraction.of(whole));
      result = result.multiply(whole1);
      if (rest > 0) {
        result =
            result.multiply(
                of(rootAtom(one, degree / common, atom.constant()))
                    .rationalPower(BigFraction.of(rest / common)));
      }
    }
    return result;
  }

  /** Returns whether an atom has positive values only. */
  private static boolean isPositive(Polynomial.Atom atom) {
    return atom.key().startsWith("exp(")
        || atom.key().startsWith("root")
        || atom.key().startsWith("|")
        || atom.key().equals("pi")
        || atom.key().startsWith("ln") && atom.constant();
  }

  private static boolean isConstant(Polynomial value) {
    return value.terms().keySet().stream()
        .allMatch(m -> m.powers().keySet().stream().allMatch(Polynomial.Atom::constant));
  }

  private static boolean isAlgebraic(Polynomial value) {
    return value.terms().keySet().stream()
        .allMatch(m -> m.powers().keySet().stream().allMatch(a -> a.constant() && a.algebraic()));
  }

  private static Polynomial.Atom rootAtom(Polynomial value, int degree, boolean constant) {
    return new Polynomial.Atom(
        "root" + degree + "(" + value + ")",
        Formula.power(value.formula(), Formula.of(BigFraction.of(1, degree))),
        degree,
        value,
        constant,
        isAlgebraic(value));
  }

  /** Returns the power of a rational number by its prime factors. */
  private static NormalForm rationalRoot(BigFraction value, int times, int degree) {
    if (value.signum() == 0) {
      return ZERO;
    }
    if (value.signum() < 0) {
      NormalForm size = rationalRoot(value.negate(), times, degree);
      if (degree % 2 != 0) {
        return times % 2 == 0 ? size : size.negate();
      }
      return size.multiply(of(Polynomial.of(unityAtom(degree), 1).power(times)));
    }
    NormalForm result = ONE;
    for (var factor : factors(value).entrySet()) {
      BigFraction exponent = BigFraction.of(factor.getValue()).multiply(times).divide(degree);
      int whole = (int) Math.floor(exponent.doubleValue());
      BigFraction rest = exponent.subtract(whole);
      BigFraction prime = BigFraction.of(factor.getKey());
      if (Math.abs((long) whole) * factor.getKey().bitLength() > 1 << 15) {
        throw new Unsupported();
      }
      result = result.multiply(of(prime.pow(whole)));
      if (rest.signum() > 0) {
        result =
            result.multiply(
                of(
                    Polynomial.of(
                        rootAtom(Polynomial.of(prime), rest.getDenominator().intValue(), true),
                        rest.getNumerator().intValue())));
      }
    }
    return result;
  }

  /** Returns factors without common divisors: small primes, and what is left of large numbers. */
  private static Map<BigInteger, Integer> factors(BigFraction value) {
    Map<BigInteger, Integer> factors = new TreeMap<>();
    factor(value.getNumerator(), 1, factors);
    factor(value.getDenominator(), -1, factors);
    return factors;
  }

  private static void factor(BigInteger value, int sign, Map<BigInteger, Integer> factors) {
    BigInteger rest = value;
    for (int p = 2; p < LARGEST_FACTOR && rest.bitLength() > 1; p += p == 2 ? 1 : 2) {
      BigInteger prime = BigInteger.valueOf(p);
      if ((long) p * p > 0 && rest.bitLength() < 32 && (long) p * p > rest.longValue()) {
        break;
      }
      BigInteger[] parts = rest.divideAndRemainder(prime);
      while (parts[1].signum() == 0) {
        factors.merge(prime, sign, Integer::sum);
        rest = parts[0];
        parts = rest.divideAndRemainder(prime);
      }
    }
    if (rest.bitLength() > 1) {
      for (int k = 2; k <= 7; k++) {
        BigInteger root = RealArithmetic.integerRoot(rest, k);
        if (root.pow(k).equals(rest)) {
          factors.merge(root, sign * k, Integer::sum);
          return;
        }
      }
      factors.merge(rest, sign, Integer::sum);
    }
  }

  private static Polynomial absolute(Polynomial value) {
    return Polynomial.of(
        new Polynomial.Atom(
            "|" + value + "|",
            new Formula.Function("abs", value.formula()),
            2,
            value.multiply(value),
            isConstant(value),
            false));
  }

  /** Splits the exponential of a sum into a product. */
  private static NormalForm exp(NormalForm argument) {
    if (!argument.denominator.isRational()) {
      return of(exponential(argument, keyOf(argument)));
    }
    Polynomial sum = argument.numerator.scale(argument.denominator.rational().reciprocal());
    NormalForm result = ONE;
    for (var term : sum.terms().entrySet()) {
      result = result.multiply(exp(term.getKey(), term.getValue()));
    }
    return result;
  }

  private static Polynomial.Atom exponential(NormalForm argument, String key) {
    return new Polynomial.Atom(
        "exp(" + key + ")",
        new Formula.Function("exp", argument.formula()),
        0,
        Polynomial.ZERO,
        isConstant(argument.numerator) && isConstant(argument.denominator),
        false);
  }

  private static NormalForm exp(Polynomial.Monomial monomial, BigFraction coefficient) {
    Map<Polynomial.Atom, Integer> powers = monomial.powers();
    int above = coefficient.getNumerator().intValueExact();
    int below = coefficient.getDenominator().intValueExact();
    if (Math.abs((long) above) > LARGEST_POWER) {
      throw new Unsupported();
    }
    if (powers.size() == 2 && powers.getOrDefault(PI, 0) == 1 && powers.getOrDefault(I, 0) == 1) {
      int reduced = Math.floorMod(above, 2 * below);
      return of(Polynomial.of(unityAtom(below == 1 ? 1 : below)).power(reduced));
    }
    if (powers.size() == 1) {
      var factor = powers.entrySet().iterator().next();
      if (factor.getValue() == 1 && factor.getKey().key().startsWith("ln(")) {
        Formula inside = ((Formula.Function) factor.getKey().formula()).argument();
        return of(inside).rationalPower(coefficient);
      }
    }
    BigFraction part = BigFraction.of(1, below);
    Polynomial one = Polynomial.of(part, monomial);
    return of(Polynomial.of(exponential(of(one), one.toString()), above));
  }

  private Formula formula() {
    return denominator.isRational() && denominator.rational().equals(BigFraction.ONE)
        ? numerator.formula()
        : Formula.quotient(numerator.formula(), denominator.formula());
  }

  private static NormalForm ln(NormalForm value) {
    return ln(value.numerator).add(ln(value.denominator).negate());
  }

  private static NormalForm ln(Polynomial value) {
    if (value.isZero()) {
      throw new Unsupported();
    }
    BigFraction content = value.terms().size() == 1 ? value.term().getValue() : value.content();
    NormalForm sum = ZERO;
    if (content.signum() < 0) {
      if (!isConstant(value)) {
        throw new Unsupported();
      }
      sum = of(PI).multiply(of(I));
    }
    for (var factor : factors(content.abs()).entrySet()) {
      NormalForm log = of(logarithm(Polynomial.of(BigFraction.of(factor.getKey()))));
      sum = sum.add(log.multiply(of(BigFraction.of(factor.getValue()))));
    }
    if (value.terms().size() > 1) {
      return sum.add(of(logarithm(value.scale(content.reciprocal()))));
    }
    for (var factor : value.term().getKey().powers().entrySet()) {
      Polynomial.Atom atom = factor.getKey();
      NormalForm log;
      if (atom.key().startsWith("exp(")) {
        Formula inside = ((Formula.Function) atom.formula()).argument();
        if (inside.anyPart(part -> part.equals(I.formula()))) {
          throw new Unsupported(); // the imaginary part of a logarithm is periodic
        }
        log = of(inside);
      } else if (atom.key().startsWith("unity")) {
        long angles =
            value.term().getKey().powers().keySet().stream()
                .filter(of -> of.key().startsWith("unity"))
                .count();
        if (angles > 1 || content.signum() < 0) {
          throw new Unsupported(); // the sum of the angles may exceed pi
        }
        log = of(PI).multiply(of(I)).multiply(of(BigFraction.of(1, atom.degree())));
      } else if (atom.key().startsWith("root")) {
        log = ln(atom.reduced()).multiply(of(BigFraction.of(1, atom.degree())));
      } else {
        log = of(logarithm(Polynomial.of(atom)));
      }
      sum = sum.add(log.multiply(of(BigFraction.of(factor.getValue()))));
    }
    return sum;
  }

  private static Polynomial.Atom logarithm(Polynomial value) {
    return new Polynomial.Atom(
        "ln(" + value + ")",
        new Formula.Function("ln", value.formula()),
        0,
        Polynomial.ZERO,
        isConstant(value),
        false);
  }

  private static NormalForm function(Formula.Function function) {
    String name = function.name();
    if (name.equals("unity")) {
      return of(unityAtom(function.argument().exact().orElseThrow().getDenominator().intValue()));
    }
    if (function.argument() instanceof Formula.Function inside
        && inside.name().equals("arc" + name)) {
      return of(inside.argument());
    }
    NormalForm argument = of(function.argument());
    return switch (name) {
      case "exp" -> exp(argument);
      case "ln" -> ln(argument);
      case "log" -> ln(argument).multiply(ln(of(BigFraction.of(10))).inverse());
      case "sin", "cos", "tan", "cot", "sec", "csc" ->
          ratio(name, exp(argument.multiply(of(I))), of(I));
      case "sinh" -> ratio("sin", exp(argument), ONE);
      case "cosh" -> ratio("cos", exp(argument), ONE);
      case "tanh" -> ratio("tan", exp(argument), ONE);
      case "arcsin", "arctan" -> inverse(name, argument);
      case "arccos" ->
          of(PI).multiply(of(BigFraction.of(1, 2))).add(inverse("arcsin", argument).negate());
      case "abs" -> argument.size();
      case "!" -> factorial(argument);
      case "floor", "ceil" -> opaque(name, argument);
      default -> throw new Unsupported();
    };
  }

  private static NormalForm ratio(String name, NormalForm power, NormalForm unit) {
    NormalForm inverse = power.inverse();
    NormalForm half = of(BigFraction.of(1, 2));
    NormalForm sine = power.add(inverse.negate()).multiply(half).multiply(unit.inverse());
    NormalForm cosine = power.add(inverse).multiply(half);
    return switch (name) {
      case "sin" -> sine;
      case "cos" -> cosine;
      case "tan" -> sine.multiply(cosine.inverse());
      case "cot" -> cosine.multiply(sine.inverse());
      case "sec" -> cosine.inverse();
      default -> sine.inverse();
    };
  }

  private static NormalForm opaque(String name, NormalForm argument) {
    return of(
        new Polynomial.Atom(
            name + "(" + keyOf(argument) + ")",
            new Formula.Function(name, argument.formula()),
            0,
            Polynomial.ZERO,
            isConstant(argument.numerator) && isConstant(argument.denominator),
            false));
  }

  /** Finds angles that are rational multiples of pi, and proves them. */
  private static NormalForm inverse(String name, NormalForm argument) {
    Formula inside = argument.formula();
    if (isAlgebraic(argument.numerator) && isAlgebraic(argument.denominator)) {
      Interval turns;
      RealArithmetic with = new RealArithmetic(30);
      Interval value = new Evaluation(30, true).value(new Formula.Function(name, inside)).re();
      turns = with.divide(value, with.pi());
      double middle = turns.low().doubleValue();
      for (int below = 1; below <= MOST_DENOMINATOR; below++) {
        long above = Math.round(middle * below);
        if (Math.abs(middle * below - above) < 1e-9) {
          BigFraction part = BigFraction.of(above, below);
          Formula angle = Formula.product(Formula.of(part), Formula.PI);
          NormalForm back =
              function(new Formula.Function(name.equals("arcsin") ? "sin" : "tan", angle));
          Formula rest = Formula.difference(back.formula(), inside);
          if (AlgebraicZero.isZero(rest) == Truth.YES) {
            return of(PI).multiply(of(part));
          }
          break;
        }
      }
      if (name.equals("arcsin")) {
        Formula rest = Formula.difference(Formula.ONE, Formula.power(inside, Formula.of(2)));
        Formula root = Formula.power(rest, Formula.of(BigFraction.of(1, 2)));
        return opaque("arctan", of(Formula.quotient(inside, root)));
      }
    }
    return opaque(name, argument);
  }

  private NormalForm size() {
    if (numerator.mentions("unity2")) {
      return modulus();
    }
    return sizeOf(numerator).multiply(sizeOf(denominator).inverse());
  }

  /** The absolute value of a complex constant is the root of its product with its conjugate. */
  private NormalForm modulus() {
    if (!isConstant(numerator) || !isConstant(denominator)) {
      throw new Unsupported();
    }
    NormalForm conjugate = new NormalForm(conjugate(numerator), conjugate(denominator));
    return multiply(conjugate).rationalPower(BigFraction.of(1, 2));
  }

  private static Polynomial conjugate(Polynomial value) {
    Polynomial result = Polynomial.ZERO;
    for (var term : value.terms().entrySet()) {
      BigFraction coefficient = term.getValue();
      for (var factor : term.getKey().powers().entrySet()) {
        Polynomial.Atom atom = factor.getKey();
        if (atom.equals(I)) {
          if (factor.getValue() % 2 != 0) {
            coefficient = coefficient.negate();
          }
        } else if (!atom.equals(PI)
            && !(atom.key().startsWith("root") && atom.reduced().isRational())) {
          throw new Unsupported();
        }
      }
      result = result.add(Polynomial.of(coefficient, term.getKey()));
    }
    return result;
  }

  private static NormalForm sizeOf(Polynomial value) {
    if (isConstant(value)) {
      for (int digits = 30; digits <= 120; digits *= 2) {
        try {
          ComplexInterval number = new Evaluation(digits, false).value(value.formula());
          if (number.isReal() && number.excludesZero()) {
            return of(number.re().isPositive() ? value : value.negate());
          }
        } catch (ArithmeticException e) {
          // Too wide at this precision.
        }
      }
      throw new Unsupported();
    }
    if (value.terms().size() > 1) {
      BigFraction content = value.content();
      if (value.term().getValue().signum() < 0) {
        content = content.negate();
      }
      return of(content.abs()).multiply(of(absolute(value.scale(content.reciprocal()))));
    }
    var term = value.term();
    NormalForm result = of(term.getValue().abs());
    for (var factor : term.getKey().powers().entrySet()) {
      Polynomial.Atom atom = factor.getKey();
      boolean kept = isPositive(atom) || factor.getValue() % 2 == 0;
      NormalForm one = of(kept ? Polynomial.of(atom) : absolute(Polynomial.of(atom)));
      result = result.multiply(one.rationalPower(BigFraction.of(factor.getValue())));
    }
    return result;
  }

  /** Reduces the factorial of a sum to that of the sum without its number. */
  private static NormalForm factorial(NormalForm argument) {
    if (!argument.denominator.isRational()) {
      return opaque("!", argument);
    }
    Polynomial sum = argument.numerator.scale(argument.denominator.rational().reciprocal());
    BigFraction shift = sum.rational();
    if (!Formula.isWhole(shift) || shift.abs().compareTo(BigFraction.of(MOST_SHIFT)) > 0) {
      return opaque("!", argument);
    }
    Polynomial rest = sum.add(Polynomial.of(shift.negate()));
    if (rest.isZero()) {
      return of(new Formula.Function("!", Formula.of(shift)).exact().orElseThrow(Unsupported::new));
    }
    NormalForm result = opaque("!", of(rest));
    for (int i = 1; i <= Math.abs(shift.intValue()); i++) {
      NormalForm factor =
          of(rest.add(Polynomial.of(BigFraction.of(shift.signum() > 0 ? i : 1 - i))));
      result = result.multiply(shift.signum() > 0 ? factor : factor.inverse());
    }
    return result;
  }

  /**
   * Decides whether the formula is zero wherever it is defined. Terms are grouped by their factors
   * that are not algebraic numbers. When the coefficient of each group is zero, so is the sum.
   *
   * @return yes or unknown: other groups may cancel for reasons that are not known here
   */
  Truth isZero() {
    Map<String, Polynomial> groups = new TreeMap<>();
    for (var term : numerator.terms().entrySet()) {
      TreeMap<Polynomial.Atom, Integer> numbers = new TreeMap<>();
      TreeMap<Polynomial.Atom, Integer> others = new TreeMap<>();
      term.getKey()
          .powers()
          .forEach(
              (atom, power) ->
                  (atom.constant() && atom.algebraic() ? numbers : others).put(atom, power));
      groups.merge(
          others.toString(),
          Polynomial.of(term.getValue(), new Polynomial.Monomial(numbers)),
          Polynomial::add);
    }
    Truth zero = Truth.YES;
    for (Polynomial coefficient : groups.values()) {
      if (!coefficient.isZero()) {
        zero =
            coefficient.isRational()
                ? Truth.UNKNOWN
                : zero.and(AlgebraicZero.isZero(coefficient.formula()).unlessNo());
      }
      if (zero != Truth.YES) {
        return Truth.UNKNOWN;
      }
    }
    return zero;
  }

  /**
   * Decides whether a sum of arc tangents of algebraic numbers and of multiples of pi is zero. The
   * sum of the angles of complex numbers is the angle of their product. It is a multiple of pi if
   * the product is real, and zero if it is also less than pi.
   *
   * @return yes or unknown
   */
  Truth isZeroAngle() {
    if (!denominator.isRational() || numerator.terms().size() > MOST_ANGLES) {
      return Truth.UNKNOWN;
    }
    Polynomial whole = numerator.scale(numerator.content().reciprocal());
    Formula product = Formula.ONE;
    Formula conjugate = Formula.ONE;
    Formula i = new Formula.Constant("i");
    for (var term : whole.terms().entrySet()) {
      Map<Polynomial.Atom, Integer> powers = term.getKey().powers();
      if (powers.equals(Map.of(PI, 1))) {
        continue;
      }
      Polynomial.Atom atom = powers.isEmpty() ? PI : powers.keySet().iterator().next();
      int times = term.getValue().getNumerator().intValueExact();
      if (!powers.equals(Map.of(atom, 1))
          || !atom.constant()
          || !atom.key().startsWith("arctan(")
          || Math.abs((long) times) > MOST_ANGLES) {
        return Truth.UNKNOWN;
      }
      Formula part = Formula.product(i, ((Formula.Function) atom.formula()).argument());
      Formula power = Formula.of(times);
      product = Formula.product(product, Formula.power(Formula.sum(Formula.ONE, part), power));
      conjugate =
          Formula.product(conjugate, Formula.power(Formula.difference(Formula.ONE, part), power));
    }
    Interval sum = new Evaluation(30, true).value(whole.formula()).re();
    boolean small = sum.magnitude().compareTo(BigDecimal.valueOf(3)) < 0;
    return small
        ? AlgebraicZero.isZero(Formula.difference(product, conjugate)).unlessNo()
        : Truth.UNKNOWN;
  }

  /** A linear function of one variable, with constant coefficients. */
  record Linear(Formula slope, Formula intercept) {}

  /** Returns the formula as a linear function of a variable, if it is one. */
  Optional<Linear> linear(String variable) {
    if (!denominator.isRational()) {
      return Optional.empty();
    }
    Polynomial slope = Polynomial.ZERO;
    Polynomial intercept = Polynomial.ZERO;
    for (var term : numerator.terms().entrySet()) {
      TreeMap<Polynomial.Atom, Integer> others = new TreeMap<>();
      int power = 0;
      for (var factor : term.getKey().powers().entrySet()) {
        if (factor.getKey().key().equals("$" + variable)) {
          power = factor.getValue();
        } else if (factor.getKey().constant()) {
          others.put(factor.getKey(), factor.getValue());
        } else {
          return Optional.empty();
        }
      }
      Polynomial rest = Polynomial.of(term.getValue(), new Polynomial.Monomial(others));
      if (power == 1) {
        slope = slope.add(rest);
      } else if (power == 0) {
        intercept = intercept.add(rest);
      } else {
        return Optional.empty();
      }
    }
    BigFraction scale = denominator.rational().reciprocal();
    return Optional.of(new Linear(slope.scale(scale).formula(), intercept.scale(scale).formula()));
  }

  private static String keyOf(NormalForm form) {
    return form.denominator.isRational()
        ? form.numerator.scale(form.denominator.rational().reciprocal()).toString()
        : form.numerator + "/" + form.denominator;
  }
}
