package org.threegate.rl.verifier;

import java.math.BigInteger;
import java.util.Map;
import java.util.TreeMap;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * A polynomial with rational coefficients in atoms: variables, constants, and functions that are
 * not expanded. Exponents may be negative, except those of roots.
 */
record Polynomial(Map<Monomial, BigFraction> terms) {
  private static final int MOST_TERMS = 800;
  private static final int MOST_BITS = 1 << 15;

  /** Signals that a polynomial has too many terms. */
  static final class TooLarge extends ArithmeticException {
    private static final long serialVersionUID = 1;

    TooLarge() {
      super("too large");
    }
  }

  /**
   * A factor.
   *
   * @param key its identity
   * @param formula what it stands for
   * @param degree 0, or a power that reduces to {@code reduced}
   * @param reduced the value of that power
   * @param constant whether it has no variables
   * @param algebraic whether it is an algebraic number
   */
  record Atom(
      String key,
      Formula formula,
      int degree,
      Polynomial reduced,
      boolean constant,
      boolean algebraic)
      implements Comparable<Atom> {
    private static final int LONGEST_KEY = 4000;

    Atom {
      if (key.length() > LONGEST_KEY) {
        throw new TooLarge();
      }
    }

    @Override
    public int compareTo(Atom other) {
      return key.compareTo(other.key);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Atom atom && atom.key.equals(key);
    }

    @Override
    public int hashCode() {
      return key.hashCode();
    }

    @Override
    public String toString() {
      return key;
    }
  }

  /** A product of powers of atoms. */
  static final class Monomial implements Comparable<Monomial> {
    static final Monomial ONE = new Monomial(new TreeMap<>());

    private final TreeMap<Atom, Integer> powers;
    private final String key;

    Monomial(TreeMap<Atom, Integer> powers) {
      this.powers = powers;
      this.key = powers.toString();
    }

    Map<Atom, Integer> powers() {
      return powers;
    }

    Monomial multiply(Monomial other) {
      TreeMap<Atom, Integer> product = new TreeMap<>(powers);
      other.powers.forEach(
          (atom, power) -> {
            int sum = Math.addExact(product.getOrDefault(atom, 0), power);
            if (sum == 0) {
              product.remove(atom);
            } else {
              product.put(atom, sum);
            }
          });
      return new Monomial(product);
    }

    boolean isOne() {
      return powers.isEmpty();
    }

    @Override
    public int compareTo(Monomial other) {
      return key.compareTo(other.key);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Monomial monomial && monomial.key.equals(key);
    }

    @Override
    public int hashCode() {
      return key.hashCode();
    }

    @Override
    public String toString() {
      return key;
    }
  }

  static final Polynomial ZERO = new Polynomial(Map.of());
  static final Polynomial ONE = of(BigFraction.ONE);

  static Polynomial of(BigFraction value) {
    return of(value, Monomial.ONE);
  }

  static Polynomial of(BigFraction coefficient, Monomial monomial) {
    return coefficient.signum() == 0 ? ZERO : new Polynomial(Map.of(monomial, coefficient));
  }

  static Polynomial of(Atom atom) {
    return of(atom, 1);
  }

  static Polynomial of(Atom atom, int power) {
    if (power == 0) {
      return ONE;
    }
    TreeMap<Atom, Integer> powers = new TreeMap<>();
    powers.put(atom, power);
    return of(BigFraction.ONE, new Monomial(powers));
  }

  boolean isZero() {
    return terms.isEmpty();
  }

  /** Returns whether this is a rational number. */
  boolean isRational() {
    return terms.isEmpty() || terms.size() == 1 && terms.containsKey(Monomial.ONE);
  }

  BigFraction rational() {
    return terms.getOrDefault(Monomial.ONE, BigFraction.ZERO);
  }

  /** Returns the only term. */
  Map.Entry<Monomial, BigFraction> term() {
    return terms.entrySet().iterator().next();
  }

  boolean mentions(String key) {
    return terms.keySet().stream()
        .anyMatch(monomial -> monomial.powers().keySet().stream().anyMatch(a -> a.key.equals(key)));
  }

  Polynomial add(Polynomial other) {
    Map<Monomial, BigFraction> sum = new TreeMap<>(terms);
    other.terms.forEach((monomial, value) -> put(sum, monomial, value));
    return new Polynomial(sum);
  }

  private static void put(Map<Monomial, BigFraction> terms, Monomial monomial, BigFraction value) {
    BigFraction sum = terms.getOrDefault(monomial, BigFraction.ZERO).add(value);
    if (sum.getNumerator().bitLength() > MOST_BITS
        || sum.getDenominator().bitLength() > MOST_BITS) {
      throw new TooLarge();
    }
    if (sum.signum() == 0) {
      terms.remove(monomial);
    } else {
      terms.put(monomial, sum);
    }
    if (terms.size() > MOST_TERMS) {
      throw new TooLarge();
    }
  }

  Polynomial negate() {
    return scale(BigFraction.ONE.negate());
  }

  Polynomial scale(BigFraction factor) {
    if (factor.signum() == 0) {
      return ZERO;
    }
    Map<Monomial, BigFraction> scaled = new TreeMap<>();
    terms.forEach((monomial, value) -> scaled.put(monomial, value.multiply(factor)));
    return new Polynomial(scaled);
  }

  Polynomial multiply(Polynomial other) {
    if ((long) terms.size() * other.terms.size() > 25L * MOST_TERMS
        || Thread.currentThread().isInterrupted()) {
      throw new TooLarge();
    }
    Map<Monomial, BigFraction> product = new TreeMap<>();
    Polynomial rest = ZERO;
    for (var a : terms.entrySet()) {
      for (var b : other.terms.entrySet()) {
        Monomial monomial = a.getKey().multiply(b.getKey());
        BigFraction value = a.getValue().multiply(b.getValue());
        Atom root = reducible(monomial);
        if (root == null) {
          put(product, monomial, value);
        } else {
          rest = rest.add(reduced(monomial, root).scale(value));
        }
      }
    }
    return new Polynomial(product).add(rest);
  }

  private static Atom reducible(Monomial monomial) {
    for (var factor : monomial.powers().entrySet()) {
      int degree = factor.getKey().degree();
      if (degree > 0 && factor.getValue() >= degree) {
        return factor.getKey();
      }
    }
    return null;
  }

  /** Replaces high powers of a root. */
  private static Polynomial reduced(Monomial monomial, Atom root) {
    TreeMap<Atom, Integer> others = new TreeMap<>(monomial.powers());
    int power = others.remove(root);
    Polynomial result = of(BigFraction.ONE, new Monomial(others));
    return result
        .multiply(of(root, power % root.degree()))
        .multiply(root.reduced().power(power / root.degree()));
  }

  Polynomial power(int exponent) {
    if (terms.size() == 1) {
      var term = term();
      BigFraction coefficient = term.getValue();
      long bits =
          Math.max(
              coefficient.getNumerator().bitLength(), coefficient.getDenominator().bitLength());
      if (!coefficient.abs().equals(BigFraction.ONE) && bits * exponent > MOST_BITS) {
        throw new TooLarge();
      }
      if (term.getKey().powers().keySet().stream().allMatch(atom -> atom.degree() == 0)) {
        TreeMap<Atom, Integer> powers = new TreeMap<>();
        if (exponent != 0) {
          term.getKey()
              .powers()
              .forEach((atom, power) -> powers.put(atom, Math.multiplyExact(power, exponent)));
        }
        return of(coefficient.pow(exponent), new Monomial(powers));
      }
    } else if (exponent > 200) {
      throw new TooLarge();
    }
    Polynomial result = ONE;
    for (int bit = 31 - Integer.numberOfLeadingZeros(exponent); bit >= 0; bit--) {
      result = result.multiply(result);
      if ((exponent >> bit & 1) == 1) {
        result = result.multiply(this);
      }
    }
    return result;
  }

  /**
   * Returns the positive rational number that leaves whole coefficients without a common factor.
   */
  BigFraction content() {
    BigInteger numerator = BigInteger.ZERO;
    BigInteger denominator = BigInteger.ONE;
    for (BigFraction value : terms.values()) {
      numerator = numerator.gcd(value.getNumerator());
      BigInteger below = value.getDenominator();
      denominator = denominator.divide(denominator.gcd(below)).multiply(below);
      if (denominator.bitLength() > MOST_BITS) {
        throw new TooLarge();
      }
    }
    return BigFraction.of(numerator, denominator);
  }

  /** Returns the polynomial as a formula. */
  Formula formula() {
    Formula sum = Formula.ZERO;
    for (var term : terms.entrySet()) {
      Formula product = Formula.of(term.getValue());
      for (var factor : term.getKey().powers().entrySet()) {
        product =
            Formula.product(
                product, Formula.power(factor.getKey().formula(), Formula.of(factor.getValue())));
      }
      sum = Formula.sum(sum, product);
    }
    return sum;
  }

  @Override
  public String toString() {
    return terms.toString();
  }
}
