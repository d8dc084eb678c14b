package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;

/** A rectangle of complex numbers. A real value has exactly zero as its imaginary part. */
record ComplexInterval(Interval re, Interval im) {
  static final ComplexInterval ZERO = real(Interval.ZERO);
  static final ComplexInterval ONE = real(Interval.ONE);
  static final ComplexInterval I = new ComplexInterval(Interval.ZERO, Interval.ONE);
  private static final BigDecimal HALF = new BigDecimal("0.5");

  static ComplexInterval real(Interval value) {
    return new ComplexInterval(value, Interval.ZERO);
  }

  boolean isReal() {
    return im.isZero();
  }

  boolean excludesZero() {
    return re.excludesZero() || im.excludesZero();
  }

  /** Returns the largest absolute value of a part. */
  BigDecimal magnitude() {
    return re.magnitude().max(im.magnitude());
  }

  ComplexInterval negate() {
    return new ComplexInterval(re.negate(), im.negate());
  }

  ComplexInterval add(ComplexInterval other, RealArithmetic with) {
    return new ComplexInterval(with.add(re, other.re), with.add(im, other.im));
  }

  ComplexInterval multiply(ComplexInterval other, RealArithmetic with) {
    if (isReal() && other.isReal()) {
      return real(with.multiply(re, other.re));
    }
    return new ComplexInterval(
        with.subtract(with.multiply(re, other.re), with.multiply(im, other.im)),
        with.add(with.multiply(re, other.im), with.multiply(im, other.re)));
  }

  ComplexInterval inverse(RealArithmetic with) {
    if (isReal()) {
      return real(with.inverse(re));
    }
    Interval scale = with.inverse(squaredSize(with));
    return new ComplexInterval(with.multiply(re, scale), with.multiply(im.negate(), scale));
  }

  private Interval squaredSize(RealArithmetic with) {
    return with.add(with.power(re, BigInteger.TWO), with.power(im, BigInteger.TWO));
  }

  Interval size(RealArithmetic with) {
    return isReal() ? re.absolute() : with.root(squaredSize(with), 2);
  }

  ComplexInterval power(BigInteger exponent, RealArithmetic with) {
    if (isReal()) {
      return real(with.power(re, exponent));
    }
    if (exponent.signum() < 0) {
      return power(exponent.negate(), with).inverse(with);
    }
    if (exponent.bitLength() > 40) {
      throw new RealArithmetic.Imprecise();
    }
    ComplexInterval result = ONE;
    for (int bit = exponent.bitLength() - 1; bit >= 0; bit--) {
      result = result.multiply(result, with);
      if (exponent.testBit(bit)) {
        result = result.multiply(this, with);
      }
    }
    return result;
  }

  ComplexInterval exp(RealArithmetic with) {
    Interval size = with.exp(re);
    if (isReal()) {
      return real(size);
    }
    return new ComplexInterval(
        with.multiply(size, with.cos(im)), with.multiply(size, with.sin(im)));
  }

  /** The principal logarithm. Rectangles that touch the cut are refused, except real ones. */
  ComplexInterval ln(RealArithmetic with) {
    if (isReal()) {
      return re.isPositive()
          ? real(with.ln(re))
          : new ComplexInterval(with.ln(re.negate()), with.pi());
    }
    return new ComplexInterval(with.ln(size(with)), argument(with));
  }

  private Interval argument(RealArithmetic with) {
    if (re.isPositive()) {
      return with.arctan(with.divide(im, re));
    }
    if (!im.excludesZero()) {
      throw new RealArithmetic.Imprecise();
    }
    Interval quarter = with.multiply(with.pi(), Interval.of(HALF));
    return with.subtract(
        im.isPositive() ? quarter : quarter.negate(), with.arctan(with.divide(re, im)));
  }

  /** The principal root; the real root of negative numbers if the degree is odd. */
  ComplexInterval root(int degree, RealArithmetic with) {
    if (isReal()) {
      if (re.low().signum() >= 0) {
        return real(with.root(re, degree));
      }
      if (!re.isNegative()) {
        throw new RealArithmetic.Imprecise();
      }
      Interval size = with.root(re.negate(), degree);
      if (degree % 2 != 0) {
        return real(size.negate());
      }
      if (degree == 2) {
        return new ComplexInterval(Interval.ZERO, size);
      }
    }
    Interval part = with.inverse(Interval.of(BigDecimal.valueOf(degree)));
    return ln(with).multiply(real(part), with).exp(with);
  }
}
