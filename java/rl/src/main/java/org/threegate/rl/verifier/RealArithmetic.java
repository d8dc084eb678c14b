package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * Interval arithmetic with a number of decimal digits. Each result contains all values that the
 * operation has on its arguments, so disjoint results prove that values differ.
 */
final class RealArithmetic {
  /** Signals that an operation is undefined, or that the intervals are too wide to tell. */
  static final class Imprecise extends ArithmeticException {
    private static final long serialVersionUID = 1;

    Imprecise() {
      super("too wide");
    }

    @Override
    public synchronized Throwable fillInStackTrace() {
      return this;
    }
  }

  private static final int GUARD = 12; // digits beyond those of results
  private static final int LARGEST_EXPONENT = 1_000_000_000; // decimal exponent of a value
  private static final int LARGEST_ARGUMENT = 100_000_000; // of exp
  private static final int LARGEST_ANGLE_DIGITS = 300;
  private static final int LARGEST_DIRECT_ROOT = 12; // degree; others by logarithms

  private final int digits;
  private final MathContext down;
  private final MathContext up;
  private final MathContext inner;
  private BigDecimal cachedPi;

  RealArithmetic(int digits) {
    this.digits = digits;
    this.down = new MathContext(digits, RoundingMode.FLOOR);
    this.up = new MathContext(digits, RoundingMode.CEILING);
    this.inner = new MathContext(digits + GUARD, RoundingMode.HALF_EVEN);
  }

  int digits() {
    return digits;
  }

  /** Refuses exponents near the limits of decimals, and stops the thread when it is interrupted. */
  private static Interval bounded(BigDecimal low, BigDecimal high) {
    if (Math.abs((long) low.scale()) > LARGEST_EXPONENT
        || Math.abs((long) high.scale()) > LARGEST_EXPONENT
        || Thread.currentThread().isInterrupted()) {
      throw new Imprecise();
    }
    return new Interval(low, high);
  }

  Interval of(BigFraction value) {
    BigDecimal numerator = new BigDecimal(value.getNumerator());
    BigDecimal denominator = new BigDecimal(value.getDenominator());
    return new Interval(numerator.divide(denominator, down), numerator.divide(denominator, up));
  }

  Interval add(Interval a, Interval b) {
    return bounded(a.low().add(b.low(), down), a.high().add(b.high(), up));
  }

  Interval subtract(Interval a, Interval b) {
    return add(a, b.negate());
  }

  Interval multiply(Interval a, Interval b) {
    if (a.isZero() || b.isZero()) {
      return Interval.ZERO;
    }
    if (a.low().signum() >= 0 && b.low().signum() >= 0) {
      return bounded(a.low().multiply(b.low(), down), a.high().multiply(b.high(), up));
    }
    BigDecimal low = null;
    BigDecimal high = null;
    for (BigDecimal x : new BigDecimal[] {a.low(), a.high()}) {
      for (BigDecimal y : new BigDecimal[] {b.low(), b.high()}) {
        BigDecimal below = x.multiply(y, down);
        BigDecimal above = x.multiply(y, up);
        low = low == null ? below : low.min(below);
        high = high == null ? above : high.max(above);
      }
    }
    return bounded(low, high);
  }

  Interval inverse(Interval a) {
    if (!a.excludesZero()) {
      throw new Imprecise();
    }
    return bounded(BigDecimal.ONE.divide(a.high(), down), BigDecimal.ONE.divide(a.low(), up));
  }

  Interval divide(Interval a, Interval b) {
    return multiply(a, inverse(b));
  }

  Interval power(Interval base, BigInteger exponent) {
    if (exponent.signum() < 0) {
      return inverse(power(base, exponent.negate()));
    }
    if (exponent.bitLength() > 62) {
      throw new Imprecise();
    }
    if (!exponent.testBit(0)) {
      base = base.absolute(); // even powers of an interval around zero begin at zero
    }
    Interval result = Interval.ONE;
    for (int bit = exponent.bitLength() - 1; bit >= 0; bit--) {
      result = multiply(result, result);
      if (exponent.testBit(bit)) {
        result = multiply(result, base);
      }
    }
    return result;
  }

  /** Returns the real root of a value that is not negative. */
  Interval root(Interval a, int degree) {
    if (a.low().signum() < 0) {
      throw new Imprecise();
    }
    if (degree > LARGEST_DIRECT_ROOT && a.isPositive()) {
      return exp(divide(ln(a), Interval.of(BigDecimal.valueOf(degree))));
    }
    return bounded(root(a.low(), degree, false), root(a.high(), degree, true));
  }

  private BigDecimal root(BigDecimal value, int degree, boolean above) {
    if (value.signum() == 0) {
      return BigDecimal.ZERO;
    }
    if ((long) degree * digits > 200_000) {
      throw new Imprecise();
    }
    // value = unscaled / 10^scale. Choose a scale that is a multiple of the degree.
    long wanted = (long) degree * (digits + 2) - value.precision();
    long scale = value.scale() + Math.max(0, wanted);
    scale += Math.floorMod(-scale, degree);
    long shift = scale - value.scale();
    if (Math.abs(scale) > LARGEST_EXPONENT || shift > 1_000_000) {
      throw new Imprecise();
    }
    BigInteger scaled = value.unscaledValue().multiply(BigInteger.TEN.pow((int) shift));
    BigInteger root = degree == 2 ? scaled.sqrt() : integerRoot(scaled, degree);
    if (above && !root.pow(degree).equals(scaled)) {
      root = root.add(BigInteger.ONE);
    }
    return new BigDecimal(root, (int) (scale / degree)).round(above ? up : down);
  }

  /** Returns the largest integer whose power is at most the value, by Newton's method. */
  static BigInteger integerRoot(BigInteger value, int degree) {
    if (value.signum() == 0 || degree == 1) {
      return value;
    }
    BigInteger n = BigInteger.valueOf(degree);
    BigInteger less = BigInteger.valueOf(degree - 1L);
    // A first guess that is slightly too large.
    double bits = value.bitLength() / (double) degree;
    int shift = Math.max(0, (int) bits - 50);
    BigInteger guess =
        BigInteger.valueOf((long) Math.ceil(Math.pow(2, bits - shift) * 1.001) + 1)
            .shiftLeft(shift);
    while (true) {
      BigInteger next = guess.multiply(less).add(value.divide(guess.pow(degree - 1))).divide(n);
      if (next.compareTo(guess) >= 0) {
        return guess;
      }
      guess = next;
    }
  }

  /** The circle constant, by Machin's formula. */
  Interval pi() {
    return around(piValue(digits + GUARD), digits + 5);
  }

  private BigDecimal piValue(int places) {
    if (cachedPi == null || cachedPi.scale() < places) {
      int scale = places + 8;
      BigInteger one = BigInteger.TEN.pow(scale);
      BigInteger value =
          arctanOfInverse(5, one)
              .multiply(BigInteger.valueOf(16))
              .subtract(arctanOfInverse(239, one).multiply(BigInteger.valueOf(4)));
      cachedPi = new BigDecimal(value, scale);
    }
    return cachedPi;
  }

  private static BigInteger arctanOfInverse(int x, BigInteger one) {
    BigInteger square = BigInteger.valueOf((long) x * x);
    BigInteger power = one.divide(BigInteger.valueOf(x));
    BigInteger sum = power;
    for (int k = 3; power.signum() != 0; k += 2) {
      power = power.divide(square);
      BigInteger term = power.divide(BigInteger.valueOf(k));
      sum = k % 4 == 3 ? sum.subtract(term) : sum.add(term);
    }
    return sum;
  }

  /** Returns the integer part of the value times a power of ten. */
  private static BigInteger fixed(BigDecimal value, int places) {
    return (long) value.precision() - value.scale() < -places
        ? BigInteger.ZERO
        : value.setScale(places, RoundingMode.DOWN).unscaledValue();
  }

  /** Returns the values within one unit of a decimal place. */
  private Interval around(BigDecimal value, int place) {
    BigDecimal error = BigDecimal.ONE.movePointLeft(place);
    return new Interval(value.subtract(error).round(down), value.add(error).round(up));
  }

  Interval exp(Interval a) {
    return bounded(exp(a.low(), false), exp(a.high(), true));
  }

  /** The relative error before the last rounding is far below one unit of the last digit. */
  private BigDecimal exp(BigDecimal x, boolean above) {
    if (x.signum() == 0) {
      return BigDecimal.ONE;
    }
    if (x.abs().compareTo(BigDecimal.valueOf(LARGEST_ARGUMENT)) > 0) {
      throw new Imprecise();
    }
    // Halve until the argument is below 2^-8, then square as often.
    int halvings = 8;
    for (BigDecimal size = x.abs(); size.compareTo(BigDecimal.ONE) > 0; halvings++) {
      size = size.divide(BigDecimal.valueOf(2), new MathContext(10));
    }
    int places = digits + GUARD + halvings;
    int bits = (int) (places * 3.33) + 8;
    if ((long) x.precision() - x.scale() < -places) {
      x = BigDecimal.ZERO; // the error stays within the slack
    }
    BigInteger argument = x.multiply(new BigDecimal(BigInteger.ONE.shiftLeft(bits))).toBigInteger();
    argument = argument.shiftRight(halvings);
    BigInteger term = BigInteger.ONE.shiftLeft(bits);
    BigInteger sum = term;
    for (int k = 1; term.bitLength() > 1 && k < 10 * places + 100; k++) {
      term = term.multiply(argument).shiftRight(bits).divide(BigInteger.valueOf(k));
      sum = sum.add(term);
    }
    MathContext context = new MathContext(places, RoundingMode.HALF_EVEN);
    BigDecimal value =
        new BigDecimal(sum).divide(new BigDecimal(BigInteger.ONE.shiftLeft(bits)), context);
    for (int i = 0; i < halvings; i++) {
      value = value.multiply(value, context);
    }
    BigDecimal slack = BigDecimal.ONE.movePointLeft(digits + 3);
    return above
        ? value.multiply(BigDecimal.ONE.add(slack), up)
        : value.multiply(BigDecimal.ONE.subtract(slack), down);
  }

  /** The natural logarithm of positive values. Its bounds are checked by the exponential. */
  Interval ln(Interval a) {
    if (!a.isPositive()) {
      throw new Imprecise();
    }
    return bounded(ln(a.low()).low(), ln(a.high()).high());
  }

  private Interval ln(BigDecimal x) {
    if (x.compareTo(BigDecimal.ONE) == 0) {
      return Interval.ZERO;
    }
    long exponent = (long) x.precision() - x.scale() - 1;
    double leading = new BigDecimal(x.unscaledValue(), x.precision() - 1).doubleValue();
    BigDecimal y = BigDecimal.valueOf(Math.log(leading) + exponent * Math.log(10));
    RealArithmetic finer = new RealArithmetic(digits + GUARD);
    for (int correct = 12; correct < 3 * digits; correct *= 3) {
      // Halley's step triples the number of correct digits.
      BigDecimal power = finer.exp(Interval.of(y)).low();
      BigDecimal step =
          x.subtract(power, finer.inner)
              .divide(x.add(power, finer.inner), finer.inner)
              .multiply(BigDecimal.valueOf(2));
      y = y.add(step, finer.inner);
    }
    BigDecimal size = BigDecimal.ONE.max(y.abs());
    for (int place = digits; place > 5; place -= 4) {
      BigDecimal error = size.movePointLeft(place);
      BigDecimal low = y.subtract(error, finer.inner);
      BigDecimal high = y.add(error, finer.inner);
      if (finer.exp(Interval.of(low)).high().compareTo(x) <= 0
          && finer.exp(Interval.of(high)).low().compareTo(x) >= 0) {
        return new Interval(low, high);
      }
    }
    throw new Imprecise();
  }

  Interval arctan(Interval a) {
    return new Interval(arctan(a.low()).low(), arctan(a.high()).high());
  }

  private Interval arctan(BigDecimal x) {
    if (x.signum() == 0) {
      return Interval.ZERO;
    }
    if (x.abs().compareTo(BigDecimal.ONE) > 0) {
      // arctan x = sign(x) pi/2 - arctan 1/x, which is exact up to the rounding of 1/x.
      Interval inverse = finer().inverse(Interval.of(x));
      Interval rest = new Interval(arctan(inverse.low()).low(), arctan(inverse.high()).high());
      Interval half = multiply(pi(), Interval.of(new BigDecimal("0.5")));
      return subtract(x.signum() > 0 ? half : half.negate(), rest);
    }
    int places = digits + GUARD + 8;
    MathContext context = new MathContext(places + 10, RoundingMode.HALF_EVEN);
    BigDecimal y = x;
    int halvings = 4;
    for (int i = 0; i < halvings; i++) {
      // arctan y = 2 arctan (y / (1 + sqrt(1 + y^2)))
      BigDecimal root = BigDecimal.ONE.add(y.multiply(y, context), context).sqrt(context);
      y = y.divide(BigDecimal.ONE.add(root), context);
    }
    BigInteger one = BigInteger.TEN.pow(places);
    BigInteger argument = fixed(y, places);
    BigInteger square = argument.multiply(argument).divide(one);
    BigInteger power = argument;
    BigInteger sum = argument;
    for (int k = 3; power.signum() != 0; k += 2) {
      power = power.multiply(square).divide(one);
      BigInteger term = power.divide(BigInteger.valueOf(k));
      sum = k % 4 == 3 ? sum.subtract(term) : sum.add(term);
    }
    return around(new BigDecimal(sum.shiftLeft(halvings), places), digits + 5);
  }

  private RealArithmetic finer() {
    return new RealArithmetic(digits + GUARD);
  }

  Interval sin(Interval a) {
    return periodic(a, true);
  }

  Interval cos(Interval a) {
    return periodic(a, false);
  }

  /** Evaluates in the middle; the slope is at most one. */
  private Interval periodic(Interval a, boolean sine) {
    MathContext wide = new MathContext(digits + GUARD + LARGEST_ANGLE_DIGITS);
    BigDecimal middle = a.low().add(a.high(), wide).divide(BigDecimal.valueOf(2), wide);
    BigDecimal radius = a.high().subtract(middle, up).max(middle.subtract(a.low(), up));
    if ((long) middle.precision() - middle.scale() < -digits - GUARD) {
      middle = BigDecimal.ZERO; // too small to be aligned
      radius = radius.add(BigDecimal.ONE.movePointLeft(digits + GUARD), up);
    }
    long size = Math.max(0, (long) middle.precision() - middle.scale());
    if (size > LARGEST_ANGLE_DIGITS || radius.compareTo(BigDecimal.ONE) > 0) {
      throw new Imprecise();
    }
    int places = digits + GUARD;
    BigDecimal turn = piValue(places + (int) size + 4).multiply(BigDecimal.valueOf(2));
    BigDecimal turns = middle.divide(turn, 0, RoundingMode.HALF_EVEN);
    BigDecimal rest = middle.subtract(turns.multiply(turn));
    BigInteger one = BigInteger.TEN.pow(places);
    BigInteger argument = fixed(rest, places);
    BigInteger square = argument.multiply(argument).divide(one);
    BigInteger term = sine ? argument : one;
    BigInteger sum = term;
    for (int k = sine ? 2 : 1; term.signum() != 0; k += 2) {
      term =
          term.multiply(square).divide(one).divide(BigInteger.valueOf((long) k * (k + 1))).negate();
      sum = sum.add(term);
    }
    Interval found = around(new BigDecimal(sum, places), digits + 5);
    BigDecimal low = found.low().subtract(radius, down).max(BigDecimal.ONE.negate());
    BigDecimal high = found.high().add(radius, up).min(BigDecimal.ONE);
    return new Interval(low, high);
  }
}
