package org.threegate.analysis.geometry;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * The geometry of an update at one rank, with its null models.
 *
 * @param geometry geometry of the true update
 * @param nulls draws of each null model
 * @param rows number of rows (outputs) of the matrix
 * @param columns number of columns (inputs)
 * @param signFlippedEnergy principal energy of the update with random signs, in closed form
 */
public record SpectrumMeasure(
    Geometry geometry,
    List<NullDraws> nulls,
    long rows,
    long columns,
    NullEstimate signFlippedEnergy) {
  /**
   * {@return one estimate per null model from its draws}
   *
   * @param draws selects a measure of the draws
   */
  public List<NullEstimate> estimates(Function<NullDraws, double[]> draws) {
    return nulls.stream().map(model -> model.estimate(draws.apply(model))).toList();
  }

  /**
   * {@return the draws of one model; empty if it was not sampled}
   *
   * @param model null model
   */
  public Optional<NullDraws> draws(NullModel model) {
    return nulls.stream().filter(draws -> draws.model() == model).findFirst();
  }

  /**
   * {@return the energy share of an isotropic update in the leading directions of both sides, in
   * closed form}
   */
  public NullEstimate isotropicEnergy() {
    double dimension = (double) rows * columns;
    double mean = geometry.rank() / (double) rows * geometry.rank() / columns;
    // This share follows a Beta distribution: the sum of k² of mn squared normals over all of them.
    double sd = Math.sqrt(mean * (1 - mean) / (dimension / 2 + 1));
    return NullEstimate.analytic("isotropic", mean, sd);
  }

  /** {@return all null models of the principal energy, drawn or in closed form} */
  public List<NullEstimate> energyEstimates() {
    List<NullEstimate> all = new ArrayList<>();
    nulls.stream()
        .filter(draws -> draws.model() != NullModel.SIGN_FLIPPED)
        .forEach(draws -> all.add(draws.estimate(draws.principalEnergy())));
    all.add(signFlippedEnergy);
    all.add(isotropicEnergy());
    return List.copyOf(all);
  }

  SpectrumMeasure transposed() {
    return new SpectrumMeasure(
        geometry.transposed(),
        nulls.stream().map(NullDraws::transposed).toList(),
        columns,
        rows,
        signFlippedEnergy);
  }
}
