package org.threegate.analysis.geometry;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * The geometry of an update at one rank beside its null models.
 *
 * @param rows of the matrix, outputs
 * @param columns inputs
 */
public record SpectrumMeasure(Geometry geometry, List<NullDraws> nulls, long rows, long columns) {
  /** Estimates from the draws of every model. */
  public List<NullEstimate> estimates(Function<NullDraws, double[]> draws) {
    return nulls.stream().map(model -> model.estimate(draws.apply(model))).toList();
  }

  /** The draws of one model. */
  public Optional<NullDraws> draws(NullModel model) {
    return nulls.stream().filter(draws -> draws.model() == model).findFirst();
  }

  /** Share in both sides' leading directions of an isotropic update, in closed form. */
  public NullEstimate isotropicEnergy() {
    double dimension = (double) rows * columns;
    double mean = geometry.rank() / (double) rows * geometry.rank() / columns;
    // A Beta number: k² of mn squared normal numbers over all of them.
    double sd = Math.sqrt(mean * (1 - mean) / (dimension / 2 + 1));
    return NullEstimate.analytic("isotropic", mean, sd);
  }

  /** All nulls of the principal energy: the drawn ones and the isotropic one. */
  public List<NullEstimate> energyEstimates() {
    List<NullEstimate> all = new ArrayList<>(estimates(NullDraws::principalEnergy));
    all.add(isotropicEnergy());
    return List.copyOf(all);
  }

  SpectrumMeasure transposed() {
    return new SpectrumMeasure(
        geometry.transposed(), nulls.stream().map(NullDraws::transposed).toList(), columns, rows);
  }
}
