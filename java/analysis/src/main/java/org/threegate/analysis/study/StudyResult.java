package org.threegate.analysis.study;

import java.util.List;
import java.util.Map;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;

/**
 * The measurements of a study.
 *
 * @param base accuracy before any tuning
 * @param weights number of weights of the model
 * @param runs runs in the order of training
 * @param seeds agreement of two seeds' changes, by matrix
 * @param rotated agreement of one seed with another one that started from a rotated base, by
 *     matrix; empty if there was no such run
 * @param rotatedMatrices names of the rotated matrices
 * @param consensus the verdict on the agreement of seeds
 * @param curvature verdicts on the claims about curvature; empty if it was not measured
 * @param curvatureAlong curvature of unit steps along the update, its parts and random directions,
 *     averaged over layers; keyed by direction
 */
public record StudyResult(
    Accuracy base,
    long weights,
    List<StudyRun> runs,
    Map<String, Agreement> seeds,
    Map<String, Agreement> rotated,
    List<String> rotatedMatrices,
    List<Finding> consensus,
    List<Finding> curvature,
    Map<String, Double> curvatureAlong) {}
