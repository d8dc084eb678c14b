package org.threegate.analysis.geometry;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.threegate.analysis.statistics.Energy;
import org.threegate.analysis.statistics.Ratio;
import org.threegate.analysis.statistics.Spectra;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.TruncatedSvd;

/**
 * The geometry of an update of a matrix (arXiv 2511.08567, section 4): the change of the singular
 * values, the rotation of the leading subspaces, and the energy of the update in them. Interpret
 * these measures only together with their null models, which measure random updates.
 *
 * @param rank number k of leading directions
 * @param values singular values
 * @param angles principal angles between the leading subspaces before and after
 * @param energy energy of ΔW in the leading subspaces of W0
 * @param certificate accuracy of the decompositions
 */
public record Geometry(
    int rank, SingularValues values, Angles angles, Energy energy, Certificate certificate) {
  /**
   * Singular values, descending.
   *
   * @param base σ(W0)
   * @param tuned σ(W+)
   * @param update σ(ΔW)
   * @param isLeading whether these are leading values only, because the short side is too long for
   *     all of them
   */
  public record SingularValues(double[] base, double[] tuned, double[] update, boolean isLeading) {
    /** Copies the arrays. */
    public SingularValues {
      base = base.clone();
      tuned = tuned.clone();
      update = update.clone();
    }

    /** {@return a copy of the singular values of W0, descending} */
    @Override
    public double[] base() {
      return base.clone();
    }

    /** {@return a copy of the singular values of W+, descending} */
    @Override
    public double[] tuned() {
      return tuned.clone();
    }

    /** {@return a copy of the singular values of ΔW, descending} */
    @Override
    public double[] update() {
      return update.clone();
    }
  }

  /**
   * Principal angles between the leading subspaces, in radians, ascending.
   *
   * @param left angles between the left subspaces, length k
   * @param right angles between the right subspaces, length k
   */
  public record Angles(double[] left, double[] right) {
    /** Copies the arrays. */
    public Angles {
      left = left.clone();
      right = right.clone();
    }

    /** {@return a copy of the angles between the left subspaces, in radians, ascending} */
    @Override
    public double[] left() {
      return left.clone();
    }

    /** {@return a copy of the angles between the right subspaces, in radians, ascending} */
    @Override
    public double[] right() {
      return right.clone();
    }
  }

  /**
   * The accuracy of the decompositions.
   *
   * @param residualBase residual of the triplets of W0, see {@link TruncatedSvd.Result}
   * @param residualTuned residual of the triplets of W+
   * @param converged whether all decompositions reached the tolerance
   */
  public record Certificate(double residualBase, double residualTuned, boolean converged) {}

  /**
   * Measures one pair of matrices.
   *
   * @param context context that runs the kernels
   * @param base W0, the matrix before training
   * @param tuned W+, the matrix after training, of the same shape
   * @param rank number of leading directions, from 1 to the shorter side
   * @param tolerance relative tolerance of the decompositions; angles have an error of about
   *     tolerance · σ_1 / gap
   * @param control cancels the measurement
   * @return the geometry of the update
   */
  public static Geometry of(
      Context context, Operand base, Operand tuned, int rank, double tolerance, Control control) {
    try (TruncatedSvd.Result before = decompose(context, base, rank, tolerance, control)) {
      return of(context, base, before, tuned, List.of(rank), tolerance, control).get(0);
    }
  }

  /** Number of leading singular values of an update of which not all are computed. */
  private static final int LEADING_OF_UPDATE = 16;

  private static Energy energy(ProjectedEnergy.Result energy) {
    return new Energy(energy.total(), energy.left(), energy.right(), energy.both());
  }

  /** Returns the leading triplets of a matrix and all its singular values. */
  static TruncatedSvd.Result decompose(
      Context context, Operand matrix, long rank, double tolerance, Control control) {
    return solve(context, TruncatedSvd.Request.of(matrix, rank, tolerance).withSpectrum(), control);
  }

  /** Returns the leading triplets of a matrix. */
  static TruncatedSvd.Result leading(
      Context context, Operand matrix, long rank, double tolerance, Control control) {
    return solve(context, TruncatedSvd.Request.of(matrix, rank, tolerance), control);
  }

  private static TruncatedSvd.Result solve(
      Context context, TruncatedSvd.Request request, Control control) {
    return TruncatedSvd.of(context, List.of(request), control).get(0);
  }

  private static double[] values(TruncatedSvd.Result result) {
    return result.spectrum().orElseGet(result::values);
  }

  /**
   * Measures at several ranks.
   *
   * @param before triplets of the base, at least as many as the largest rank. Without all its
   *     singular values, leading values alone are computed of the other matrices, too
   */
  static List<Geometry> of(
      Context context,
      Operand base,
      TruncatedSvd.Result before,
      Operand tuned,
      List<Integer> ranks,
      double tolerance,
      Control control) {
    int largest = Collections.max(ranks);
    boolean isLeading = before.spectrum().isEmpty();
    TruncatedSvd.Request difference =
        isLeading
            ? TruncatedSvd.Request.of(tuned, Math.min(LEADING_OF_UPDATE, before.rank()), tolerance)
            : TruncatedSvd.Request.spectrum(tuned, tolerance);
    try (TruncatedSvd.Result after =
            isLeading
                ? leading(context, tuned, largest + 1L, tolerance, control)
                : decompose(context, tuned, largest, tolerance, control);
        TruncatedSvd.Result update = solve(context, difference.minus(base), control)) {
      List<Geometry> all = new ArrayList<>();
      for (int rank : ranks) {
        Matrix left = before.left().orElseThrow().firstRows(rank);
        Matrix right = before.right().orElseThrow().firstRows(rank);
        all.add(
            new Geometry(
                rank,
                new SingularValues(values(before), values(after), values(update), isLeading),
                new Angles(
                    PrincipalAngles.of(context, left, after.left().orElseThrow().firstRows(rank)),
                    PrincipalAngles.of(
                        context, right, after.right().orElseThrow().firstRows(rank))),
                energy(
                    ProjectedEnergy.ofDifference(
                        context, tuned, base, new ProjectedEnergy.Bases(left, right))),
                new Certificate(
                    before.residual(),
                    after.residual(),
                    before.isConverged() && after.isConverged() && update.isConverged())));
      }
      return List.copyOf(all);
    }
  }

  /** Returns the geometry of the transposed matrices. */
  Geometry transposed() {
    return new Geometry(
        rank, values, new Angles(angles.right, angles.left), energy.transposed(), certificate);
  }

  /** {@return the singular values of W0} */
  public double[] base() {
    return values.base();
  }

  /** {@return the singular values of W+} */
  public double[] tuned() {
    return values.tuned();
  }

  /** {@return the singular values of ΔW} */
  public double[] update() {
    return values.update();
  }

  /** {@return the principal angles between the left subspaces, in radians, ascending} */
  public double[] angleU() {
    return angles.left();
  }

  /** {@return the principal angles between the right subspaces, in radians, ascending} */
  public double[] angleV() {
    return angles.right();
  }

  /** {@return the residual of the triplets of W0} */
  public double residualBase() {
    return certificate.residualBase;
  }

  /** {@return the residual of the triplets of W+} */
  public double residualTuned() {
    return certificate.residualTuned;
  }

  /** {@return whether all decompositions reached the tolerance} */
  public boolean converged() {
    return certificate.converged;
  }

  /** {@return whether only leading singular values are known} */
  public boolean isLeading() {
    return values.isLeading();
  }

  /**
   * {@return the spectral drift NSS = ‖σ(W+) − σ(W0)‖₂ / ‖σ(W0)‖₂; NaN if W0 is zero, or if only
   * leading singular values are known}
   */
  public double nss() {
    return isLeading() ? Double.NaN : Spectra.nss(base(), tuned());
  }

  /**
   * {@return r_spec = ‖σ(W+) − σ(W0)‖₂ / ‖ΔW‖_F; NaN if the update is zero, or if only leading
   * singular values are known}
   */
  public double rSpec() {
    return isLeading()
        ? Double.NaN
        : Ratio.of(Spectra.distance(base(), tuned()), Spectra.norm(update()));
  }

  /** {@return the stable rank of the update, ‖ΔW‖_F² / ‖ΔW‖₂²; NaN if the update is zero} */
  public double stableRank() {
    return isLeading()
        ? Ratio.of(energy.total(), deltaSpectralNorm() * deltaSpectralNorm())
        : Spectra.stableRank(update());
  }

  /**
   * {@return the effective rank of the update: exp of the entropy of the normalized σ²; NaN if the
   * update is zero, or if only leading singular values are known}
   */
  public double effectiveRank() {
    return isLeading() ? Double.NaN : Spectra.effectiveRank(update());
  }

  /** {@return γ_k = σ_k(W0) − σ_{k+1}(W0)} */
  public double gap() {
    return Spectra.gap(base(), base(), rank);
  }

  /** {@return δ = σ_k(W0) − σ_{k+1}(W+), the denominator of Wedin's theorem} */
  public double wedinGap() {
    return Spectra.gap(base(), tuned(), rank);
  }

  /** {@return ‖ΔW‖₂, the spectral norm of the update} */
  public double deltaSpectralNorm() {
    return update()[0];
  }

  /**
   * {@return whether the gap, rather than the training, decides the rotation of the leading
   * subspace}
   */
  public boolean isGapLimited() {
    return gap() < 2 * deltaSpectralNorm();
  }

  /** {@return the sum of the k largest singular values of W0} */
  public double kyFanBase() {
    return Spectra.kyFan(base(), rank);
  }

  /** {@return the sum of the k largest singular values of W+} */
  public double kyFanTuned() {
    return Spectra.kyFan(tuned(), rank);
  }

  /**
   * {@return the share of the update's energy in the leading directions of both sides; NaN if the
   * update is zero}
   */
  public double principalEnergy() {
    return energy.bothShare();
  }

  /**
   * {@return the mean of some angles; 0 if there are none}
   *
   * @param radians angles in radians
   */
  public static double mean(double[] radians) {
    return Arrays.stream(radians).average().orElse(0);
  }

  /**
   * {@return the largest of some angles; 0 if there are none}
   *
   * @param radians angles in radians
   */
  public static double max(double[] radians) {
    return Arrays.stream(radians).max().orElse(0);
  }
}
