package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A statement about an update that is tested on each matrix.
 *
 * @param id identifier, as in {@code report.json}
 * @param statement the claim, as a sentence
 * @param measure what is measured, and how
 * @param sign +1 if the claim is that the measure lies above its nulls, −1 if below
 * @param tests one test per matrix
 * @param excluded description of matrices that cannot be tested, with the reason
 * @param missing names of null models that a verdict for or against the claim needs, and that were
 *     not drawn
 */
public record Claim(
    String id,
    String statement,
    Measure measure,
    int sign,
    List<Test> tests,
    String excluded,
    List<String> missing) {
  /** Largest number of names in a sentence. */
  private static final int MOST_NAMES = 5;

  /** Copies the lists. */
  public Claim {
    tests = List.copyOf(tests);
    missing = List.copyOf(missing);
  }

  /**
   * Creates a claim that has all of its null models.
   *
   * @param id identifier, as in {@code report.json}
   * @param statement the claim, as a sentence
   * @param measure what is measured, and how
   * @param sign +1 if the claim is that the measure lies above its nulls, −1 if below
   * @param tests one test per matrix
   * @param excluded description of matrices that cannot be tested, with the reason
   */
  public Claim(
      String id, String statement, Measure measure, int sign, List<Test> tests, String excluded) {
    this(id, statement, measure, sign, tests, excluded, List.of());
  }

  /**
   * {@return this claim, which lacks some null models}
   *
   * @param models their names
   */
  public Claim without(List<String> models) {
    return new Claim(id, statement, measure, sign, tests, excluded, models);
  }

  /**
   * The measure of a claim.
   *
   * @param name name of the measure
   * @param setting rank and mask that it depends on, such as {@code rank 10 %, α 0.5}; empty if it
   *     depends on none
   * @param scale scale of its effects
   */
  public record Measure(String name, String setting, SmallestEffect.Scale scale) {}

  /**
   * Returns the claim without the tests that decide nothing, because the observation or a null
   * model is undefined. Fewer null models would make a verdict easier. The claim names the matrices
   * of these tests.
   */
  Claim defined() {
    List<Test> defined = new ArrayList<>();
    List<String> undefined = new ArrayList<>();
    for (Test test : tests) {
      test.defined().ifPresentOrElse(defined::add, () -> undefined.add(test.tensor()));
    }
    if (undefined.isEmpty()) {
      return new Claim(id, statement, measure, sign, defined, excluded, missing);
    }
    String names = String.join(", ", undefined.subList(0, Math.min(MOST_NAMES, undefined.size())));
    String why =
        "left out, because their measure or a null model is undefined: "
            + names
            + (undefined.size() > MOST_NAMES
                ? " and " + (undefined.size() - MOST_NAMES) + " more"
                : "");
    String all = excluded.isEmpty() ? why : excluded + "; " + why;
    return new Claim(id, statement, measure, sign, defined, all, missing);
  }

  /**
   * The test of the claim on one matrix.
   *
   * @param tensor name of the matrix
   * @param place kind and layer of the matrix
   * @param observed measured value
   * @param naive the reference value in common use, such as a mask's density; empty if there is
   *     none
   * @param nulls the applicable null models
   * @param weight weight of the matrix in means, such as its number of changed entries
   */
  public record Test(
      String tensor,
      Place place,
      double observed,
      Optional<Against> naive,
      List<Against> nulls,
      double weight) {
    /** Copies the list. */
    public Test {
      nulls = List.copyOf(nulls);
    }

    /** Returns the test; empty if its observation or one of its null models is undefined. */
    Optional<Test> defined() {
      boolean usable = !nulls.isEmpty() && nulls.stream().allMatch(Against::isDefined);
      return usable && Double.isFinite(weight) && Double.isFinite(observed)
          ? Optional.of(
              new Test(tensor, place, observed, naive.filter(Against::isDefined), nulls, weight))
          : Optional.empty();
    }

    /**
     * Returns the null that comes closest to explaining the observation. If nulls lie on both sides
     * of the observation, together they explain it.
     */
    Score strictest() {
      Optional<Score> closest = Optional.empty();
      boolean above = false;
      boolean below = false;
      for (Against against : nulls) {
        double t = against.effect().t();
        above |= t > 0;
        below |= t < 0;
        Score score = new Score(against, t, against.effect().pValue());
        if (closest.isEmpty() || score.explainsMoreThan(closest.get())) {
          closest = Optional.of(score);
        }
      }
      Score score = closest.orElseThrow();
      return above && below ? new Score(score.against(), 0, 1) : score;
    }
  }

  /**
   * The place of a matrix in its model.
   *
   * @param kind kind of the matrix, such as {@code q_proj}
   * @param layer identifier of its layer; matrices of one layer are not taken as independent
   */
  public record Place(String kind, String layer) {
    private static final Pattern NUMBER = Pattern.compile("\\.\\d+(?=\\.)");

    /**
     * {@return the place of a tensor} Towers number their layers apart, so a layer is identified by
     * the name up to the first number. A tensor outside the layers counts as one of its own.
     *
     * @param kind kind of the tensor
     * @param name name of the tensor
     */
    public static Place of(String kind, String name) {
      Matcher number = NUMBER.matcher(name);
      return new Place(kind, number.find() ? name.substring(0, number.end()) : name);
    }
  }

  /** The distance of an observation from a null. */
  record Score(Against against, double t, double pValue) {
    /** Compares p-values, or distances if both p-values underflow a float64. */
    boolean explainsMoreThan(Score other) {
      return pValue > other.pValue || (pValue == other.pValue && Math.abs(t) < Math.abs(other.t));
    }
  }
}
