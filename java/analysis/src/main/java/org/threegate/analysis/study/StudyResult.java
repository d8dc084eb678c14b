package org.threegate.analysis.study;

import java.util.List;
import java.util.Map;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;

/**
 * What a study measured.
 *
 * @param base accuracy before any tuning
 * @param weights of the model
 * @param runs in the order in which they were trained
 * @param seeds agreement of two seeds' changes, by matrix
 * @param rotated agreement of a seed with another one from a base with other axes, by matrix; empty
 *     where there was none
 * @param rotatedMatrices those whose axes were changed
 * @param consensus the claim that seeds agree, judged
 * @param curvature claims about curvature, judged; empty where it was not measured
 * @param curvatureAlong curvature of unit steps along the update, its parts and random directions,
 *     means over layers, by what they are
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
