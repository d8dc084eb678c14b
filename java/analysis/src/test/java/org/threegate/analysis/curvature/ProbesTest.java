package org.threegate.analysis.curvature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.threegate.run.CancelledException;
import org.threegate.run.Progress;
import org.threegate.testing.Seeds;

class ProbesTest {
  private static final int SIZE = 60;

  /** A symmetric matrix with known eigenvalues and eigenvectors. */
  private record Known(ExplicitOperator operator, double[] values, double[][] vectors) {}

  private static Known known(Random random, int size, IntToDoubleFunction value) {
    double[] values = new double[size];
    Arrays.setAll(values, value::applyAsDouble);
    List<double[]> vectors = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      double[] vector = random.doubles(size, -1, 1).toArray();
      Vectors.orthogonalise(vector, vectors);
      Vectors.scale(vector, 1 / Vectors.norm(vector));
      vectors.add(vector);
    }
    double[] entries = new double[size * size];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j <= i; j++) {
        double sum = 0;
        for (int k = 0; k < size; k++) {
          sum += values[k] * vectors.get(k)[i] * vectors.get(k)[j];
        }
        entries[i * size + j] = entries[j * size + i] = sum;
      }
    }
    return new Known(new ExplicitOperator(entries, size), values, vectors.toArray(double[][]::new));
  }

  @Test
  void ritzValuesLieWithinTheirResiduals() {
    Random random = Seeds.random("ritzValuesLieWithinTheirResiduals");
    Known known = known(random, SIZE, i -> i < 3 ? 10 - 2 * i : i == SIZE - 1 ? -4 : Math.cos(i));
    Lanczos lanczos = Lanczos.start(known.operator(), 5);
    lanczos.extend(10, Progress.NONE);
    lanczos.extend(15, Progress.NONE);
    Lanczos once = Lanczos.start(known.operator(), 5);
    once.extend(25, Progress.NONE);
    Lanczos.Result found = lanczos.result(2);
    assertThat(found.values()).isEqualTo(once.result(0).values());
    for (int i = 0; i < found.values().length; i++) {
      double value = found.values()[i];
      double nearest =
          Arrays.stream(known.values()).map(own -> Math.abs(own - value)).min().orElseThrow();
      assertThat(nearest).isLessThanOrEqualTo(found.residuals()[i] + 1e-12);
    }
    assertThat(found.values()[0]).isCloseTo(10, within(1e-10));
    assertThat(found.values()[1]).isCloseTo(8, within(1e-10));
    assertThat(found.values()[24]).isCloseTo(-4, within(1e-10));
    for (int i = 0; i < 2; i++) {
      double[] vector = found.vectors().get(i);
      assertThat(Math.abs(Vectors.dot(vector, known.vectors()[i]))).isCloseTo(1, within(1e-9));
      double[] product = new double[SIZE];
      known.operator().apply(vector, product);
      Vectors.add(product, -found.values()[i], vector);
      assertThat(Vectors.norm(product)).isCloseTo(found.residuals()[i], within(1e-10));
    }
    // The iteration finds all eigenvalues, and then it stops.
    lanczos.extend(1000, Progress.NONE);
    double[] all = lanczos.result(0).values();
    double[] expected = known.values().clone();
    Arrays.sort(expected);
    assertThat(all).hasSize(SIZE);
    for (int i = 0; i < SIZE; i++) {
      assertThat(all[i]).isCloseTo(expected[SIZE - 1 - i], within(1e-10));
    }
  }

  @Test
  void fewEigenvaluesEndTheSearchEarly() {
    Random random = Seeds.random("fewEigenvaluesEndTheSearchEarly");
    Known known = known(random, SIZE, i -> i < 5 ? 2 : i < 10 ? 1 : 0);
    Lanczos lanczos = Lanczos.start(known.operator(), 1);
    lanczos.extend(SIZE, Progress.NONE);
    Lanczos.Result found = lanczos.result(0);
    assertThat(found.values()).hasSize(3);
    assertThat(found.values()[0]).isCloseTo(2, within(1e-12));
    assertThat(found.residuals()[0]).isLessThan(1e-12);
  }

  @Test
  void densitiesAndSumsCoverTheTruth() {
    Random random = Seeds.random("densitiesAndSumsCoverTheTruth");
    Known known = known(random, SIZE, i -> 1 + 3.0 * i / SIZE);
    double logarithm = Arrays.stream(known.values()).map(Math::log).sum();
    int covered = 0;
    int rounds = 100;
    for (int round = 0; round < rounds; round++) {
      SpectralDensity density =
          SpectralDensity.EMPTY.extend(known.operator(), 12, 20, round, Progress.NONE);
      Estimate sum = density.sum(Math::log);
      covered += Math.abs(sum.value() - logarithm) <= 2.2 * sum.se() ? 1 : 0;
    }
    // The intervals are those of Student's distribution with 11 degrees of freedom at 95 %.
    assertThat(covered).isBetween(83, 100);
    SpectralDensity parts =
        SpectralDensity.EMPTY
            .extend(known.operator(), 3, 20, 4, Progress.NONE)
            .extend(known.operator(), 9, 20, 4, Progress.NONE);
    SpectralDensity whole =
        SpectralDensity.EMPTY.extend(known.operator(), 12, 20, 4, Progress.NONE);
    assertThat(parts.sum(Math::log)).isEqualTo(whole.sum(Math::log));
    double[] places = {0, 1, 2, 3, 4};
    SpectralDensity.Curve curve = whole.curve(places, 0.3);
    for (int i = 0; i < places.length; i++) {
      double place = places[i];
      double truth =
          Arrays.stream(known.values())
              .map(own -> Math.exp(-Math.pow((own - place) / 0.3, 2) / 2) / 0.3)
              .average()
              .orElseThrow();
      truth /= Math.sqrt(2 * Math.PI);
      assertThat(curve.mean()[i]).isCloseTo(truth, within(5 * curve.se()[i] + 1e-6));
    }
  }

  /**
   * Estimates of traces are unbiased, and their errors are as large as stated. The methods that
   * find the range first are much more accurate.
   */
  @Test
  void tracesAreAsFarOffAsTheySay() {
    Random random = Seeds.random("tracesAreAsFarOffAsTheySay");
    Known known = known(random, SIZE, i -> i < 4 ? 100.0 / (i + 1) : 0.1 * Math.sin(i));
    double trace = Arrays.stream(known.values()).sum();
    int rounds = 200;
    double[] errors = new double[3];
    double[] stated = new double[3];
    double[] means = new double[3];
    for (int round = 0; round < rounds; round++) {
      long seed = random.nextLong();
      Estimate[] estimates = {
        Traces.hutchinson(known.operator(), 30, seed, Progress.NONE),
        Traces.hutchPlusPlus(known.operator(), 30, seed, Progress.NONE),
        Traces.xTrace(known.operator(), 30, seed, Progress.NONE)
      };
      for (int i = 0; i < 3; i++) {
        double error = estimates[i].value() - trace;
        errors[i] += error * error / rounds;
        means[i] += error / rounds;
        stated[i] += Math.pow(estimates[i].se(), 2) / rounds;
      }
    }
    for (int i = 0; i < 3; i++) {
      double root = Math.sqrt(errors[i]);
      assertThat(Math.abs(means[i])).as("bias of %s", i).isLessThan(5 * root / Math.sqrt(rounds));
      assertThat(Math.sqrt(stated[i]) / root).as("error of %s", i).isBetween(0.6, 1.6);
    }
    assertThat(errors[1]).isLessThan(errors[0] / 1000);
    assertThat(errors[2]).isLessThan(errors[1]);
  }

  /** The methods find the range of a matrix of low rank exactly, so nothing is left to sample. */
  @Test
  void lowRanksAreExact() {
    Random random = Seeds.random("lowRanksAreExact");
    Known known = known(random, SIZE, i -> i < 3 ? i + 1 : 0);
    assertThat(Traces.xTrace(known.operator(), 20, 1, Progress.NONE).value())
        .isCloseTo(6, within(1e-9));
    assertThat(Traces.hutchPlusPlus(known.operator(), 20, 1, Progress.NONE).value())
        .isCloseTo(6, within(1e-9));
    Known small = known(random, 3, i -> i + 1);
    assertThat(Traces.xTrace(small.operator(), 20, 1, Progress.NONE).value())
        .isCloseTo(6, within(1e-12));
    Estimate zero = Traces.xTrace(new ExplicitOperator(new double[16], 4), 4, 1, Progress.NONE);
    assertThat(zero.value()).isZero();
  }

  /** Computes each estimate of XTrace by its definition: from the beginning, without one vector. */
  @Test
  void xTraceLeavesOneOut() {
    Random random = Seeds.random("xTraceLeavesOneOut");
    Known known = known(random, 12, i -> Math.exp(-i));
    int count = 4;
    double[] expected = new double[count];
    for (int out = 0; out < count; out++) {
      List<double[]> basis = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        if (i != out) {
          double[] image = new double[12];
          known.operator().apply(Vectors.signs(12, 9, i), image);
          Vectors.orthogonalise(image, basis);
          Vectors.scale(image, 1 / Vectors.norm(image));
          basis.add(image);
        }
      }
      double[] product = new double[12];
      for (double[] vector : basis) {
        known.operator().apply(vector, product);
        expected[out] += Vectors.dot(vector, product);
      }
      double[] rest = Vectors.signs(12, 9, out);
      Vectors.orthogonalise(rest, basis);
      known.operator().apply(rest, product);
      expected[out] += Vectors.dot(rest, product);
    }
    Estimate found = Traces.xTrace(known.operator(), 2 * count, 9, Progress.NONE);
    Estimate wanted = Estimate.of(expected);
    assertThat(found.value()).isCloseTo(wanted.value(), within(1e-10));
    assertThat(found.se()).isCloseTo(wanted.se(), within(1e-9));
  }

  @Test
  void normsAndQuotients() {
    Random random = Seeds.random("normsAndQuotients");
    Known known = known(random, SIZE, i -> i % 7 - 2);
    double norm = Vectors.norm(known.values());
    Estimate found = Traces.frobeniusNorm(known.operator(), 400, 3, Progress.NONE);
    assertThat(found.value()).isCloseTo(norm, within(4 * found.se()));
    assertThat(found.se()).isLessThan(0.05 * norm);
    double[] quotients = Traces.rayleighQuotients(known.operator(), known.vectors());
    for (int i = 0; i < SIZE; i++) {
      assertThat(quotients[i]).isCloseTo(known.values()[i], within(1e-12));
    }
    double[] whole = Traces.quadraticForms(known.operator(), 0, 10, 3, Progress.NONE);
    double[] later = Traces.quadraticForms(known.operator(), 4, 10, 3, Progress.NONE);
    assertThat(Arrays.copyOfRange(whole, 4, 10)).isEqualTo(later);
  }

  @Test
  void probesEndWhenTold() {
    ExplicitOperator operator = new ExplicitOperator(new double[] {1, 0, 0, 1}, 2);
    List<Long> seen = new ArrayList<>();
    Progress progress =
        (what, done, total) -> {
          seen.add(done);
          if (done == 3) {
            throw new CancelledException();
          }
        };
    assertThatThrownBy(() -> Traces.hutchinson(operator, 9, 1, progress))
        .isInstanceOf(CancelledException.class);
    assertThat(seen).containsExactly(0L, 1L, 2L, 3L);
    assertThatThrownBy(() -> Traces.xTrace(operator, 3, 1, Progress.NONE))
        .hasMessage("3 products; at least 4 are required");
    assertThatThrownBy(() -> Traces.hutchPlusPlus(operator, 5, 1, Progress.NONE))
        .hasMessage("5 products; at least 6 are required");
    assertThatThrownBy(() -> Lanczos.start(operator, 1).result(0))
        .hasMessage("no steps were taken");
    assertThatThrownBy(() -> new ExplicitOperator(new double[] {1, 2, 3, 4}, 2))
        .hasMessage("entries (1, 0) are not symmetric");
  }
}
