package org.threegate.analysis.study;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;

/**
 * The measurements of a study.
 *
 * @param quick whether the study did fewer and shorter runs
 * @param base accuracy before any tuning
 * @param weights number of weights of the model
 * @param runs runs in the order of training
 * @param seeds agreement of two seeds' changes, by matrix, for each pair of seeds
 * @param rotated agreement with the same second seed from a rotated base, for the same pairs; empty
 *     if there was no such run
 * @param rotatedMatrices names of the rotated matrices
 * @param variations what else was varied: the optimizer, the task and the base
 * @param consensus the verdict on the agreement of seeds
 * @param curvature verdicts on the claims about curvature; empty if it was not measured
 * @param curvatureAlong curvature of unit steps along the update, its parts and random directions,
 *     averaged over layers; keyed by direction
 */
public record StudyResult(
    boolean quick,
    Accuracy base,
    long weights,
    List<StudyRun> runs,
    List<Map<String, Agreement>> seeds,
    List<Map<String, Agreement>> rotated,
    List<String> rotatedMatrices,
    List<Variation> variations,
    List<Finding> consensus,
    List<Finding> curvature,
    Map<String, Double> curvatureAlong) {
  /**
   * A variation of the study, whose runs have its identifier.
   *
   * @param id identifier
   * @param title title in reports
   * @param base accuracy before any tuning, on the problems of the variation
   * @param weights number of weights of its model
   * @param agreements agreement with another seed of the main part, by matrix, for each pair of
   *     seeds; empty if the bases differ
   * @param consensus the verdict on this agreement; empty if the bases differ
   */
  public record Variation(
      String id,
      String title,
      Accuracy base,
      long weights,
      List<Map<String, Agreement>> agreements,
      List<Finding> consensus) {
    /** Copies the lists. */
    public Variation {
      agreements = List.copyOf(agreements);
      consensus = List.copyOf(consensus);
    }
  }

  /** Copies the lists. */
  public StudyResult {
    runs = List.copyOf(runs);
    seeds = List.copyOf(seeds);
    rotated = List.copyOf(rotated);
    variations = List.copyOf(variations);
  }

  /**
   * {@return the runs of one way of training in the main part, by seed}
   *
   * @param arm identifier of the way of training
   */
  public List<StudyRun> arm(String arm) {
    return runs.stream()
        .filter(run -> run.recipe().variation().isEmpty() && run.recipe().arm().equals(arm))
        .toList();
  }

  /**
   * {@return the ways of training in the order of training, with those of variations, each with at
   * least one run}
   */
  public List<List<StudyRun>> arms() {
    return List.copyOf(
        runs.stream()
            .collect(
                Collectors.groupingBy(
                    run -> List.of(run.recipe().variation(), run.recipe().arm()),
                    LinkedHashMap::new,
                    Collectors.toUnmodifiableList()))
            .values());
  }

  /**
   * {@return a variation as a study of its own, without agreements and curvature}
   *
   * @param variation one of {@link #variations}
   */
  public StudyResult of(Variation variation) {
    return new StudyResult(
        quick,
        variation.base(),
        variation.weights(),
        runs.stream()
            .filter(run -> run.recipe().variation().equals(variation.id()))
            .map(StudyRun::withoutVariation)
            .toList(),
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        Map.of());
  }

  /**
   * {@return the agreement over all pairs of seeds together, by matrix}
   *
   * @param pairs agreement by matrix, for each pair of seeds
   */
  public static Map<String, Agreement> together(List<Map<String, Agreement>> pairs) {
    Map<String, Agreement> all = new LinkedHashMap<>();
    pairs.forEach(pair -> pair.forEach((name, own) -> all.merge(name, own, Agreement::plus)));
    return all;
  }
}
