package org.threegate.analysis.study;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;

/**
 * One run of a study and all that was measured of it.
 *
 * @param recipe how it was trained
 * @param steps that were taken
 * @param behaviour what the model does
 * @param update what became of the weights
 * @param series of steps
 * @param patches what some steps would take to send
 * @param matrices one each
 * @param findings of the claims about one update, see {@code Claims}
 */
public record StudyRun(
    Recipe recipe,
    long steps,
    Behaviour behaviour,
    Update update,
    List<Step> series,
    List<PatchSize> patches,
    List<MatrixMeasures> matrices,
    List<Finding> findings) {
  /**
   * How a run was trained.
   *
   * @param id such as {@code rlvr-1}
   * @param title for people
   * @param how a sentence
   * @param rate the learning rate
   */
  public record Recipe(String id, String title, String how, double rate) {}

  /**
   * What the model of a run does.
   *
   * @param stored accuracy of the model as it is stored, rounded to bf16
   * @param exact accuracy of the float32 masters
   * @param klPerToken KL(base ‖ run) in nats a token of texts that the base wrote
   * @param klPredicted the same to second order, by the Fisher information at the base
   */
  public record Behaviour(
      Accuracy stored, Accuracy exact, Mean klPerToken, Optional<Mean> klPredicted) {}

  /**
   * What became of the weights.
   *
   * @param totals of the update as it is stored in bf16, over all matrices
   * @param trainable share of the weights that could move
   * @param hidden entries that changed in float32 alone
   * @param norm ‖ΔW‖_F of the float32 masters
   * @param coherence ‖ΔW‖ / (rate · steps · √(weights that could move)): 1 where Adam's steps all
   *     go one way
   * @param sparsityPermuted the share of unchanged entries when the float32 update's entries are
   *     dealt out at random within each matrix
   * @param principalOfLargest share of M_princ in the half of entries that moved farthest: a mask
   *     of the same density for every run; chance is the density of M_princ
   * @param lowOfLargest the same of M_low
   */
  public record Update(
      Totals totals,
      double trainable,
      long hidden,
      double norm,
      double coherence,
      NullEstimate sparsityPermuted,
      double principalOfLargest,
      double lowOfLargest) {
    /** Returns the share of the weights that changed in float32 alone. */
    public double hiddenShare() {
      return hidden / (double) totals.total();
    }
  }

  /**
   * Where a run was.
   *
   * @param score reward of reinforcement, loss of supervision; not a number where there was none
   * @param changed share of bf16 weights that differ from the base's
   * @param relativeFrobenius ‖ΔW‖ / ‖W0‖
   */
  public record Step(long step, double score, double changed, double relativeFrobenius) {}

  /**
   * The patch from the stored weights before a step to those after it.
   *
   * @param changed elements
   * @param elements of the model
   * @param modelBytes of the whole model
   */
  public record PatchSize(long step, long changed, long elements, long bytes, long modelBytes) {
    /**
     * What it would take to say which elements these are if every choice of so many were equally
     * likely, by Stirling's formula: n H(p) / 8, H in bits. No code is shorter where positions are
     * chance; what a patch has beside it are values, and the order that there is.
     */
    public double positionEntropyBytes() {
      double share = changed / (double) elements;
      return share <= 0 || share >= 1
          ? 0
          : -elements
              * (share * Math.log(share) + (1 - share) * Math.log1p(-share))
              / (Byte.SIZE * Math.log(2));
    }
  }

  /** Returns the name of the run, such as {@code rlvr-1}. */
  public String id() {
    return recipe.id();
  }

  /** Returns the title of the run. */
  public String title() {
    return recipe.title();
  }

  /** Returns the finding with this id, if it was judged. */
  public Optional<Finding> finding(String id) {
    return findings.stream().filter(finding -> finding.id().equals(id)).findFirst();
  }
}
