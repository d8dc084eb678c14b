package org.threegate.analysis.study;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
    List<Finding> consensus,
    List<Finding> curvature,
    Map<String, Double> curvatureAlong) {
  /** Copies the lists. */
  public StudyResult {
    runs = List.copyOf(runs);
    seeds = List.copyOf(seeds);
    rotated = List.copyOf(rotated);
  }

  /**
   * {@return the runs of one way of training, by seed}
   *
   * @param arm identifier of the way of training
   */
  public List<StudyRun> arm(String arm) {
    return runs.stream().filter(run -> run.recipe().arm().equals(arm)).toList();
  }

  /** {@return the ways of training in the order of training, each with at least one run} */
  public List<List<StudyRun>> arms() {
    return runs.stream().map(run -> run.recipe().arm()).distinct().map(this::arm).toList();
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
