package org.threegate.analysis.study;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;

/**
 * One run of a study with its measurements.
 *
 * @param recipe how the run was trained
 * @param steps number of training steps
 * @param behaviour accuracy and divergence of the model
 * @param update size and sparsity of the update
 * @param series state of the run at recorded steps
 * @param patches patch sizes of some steps
 * @param matrices measures of each matrix
 * @param findings verdicts on the claims about one update, see {@code Claims}
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
   * The training setup of a run.
   *
   * @param variation identifier of what is varied, such as {@code sgd}; empty in the main part
   * @param arm identifier of the way of training, such as {@code rlvr}; runs that differ only in
   *     their seed share it
   * @param seed number of the seed within the study, from 1; runs with the same number start alike
   * @param title title of the way of training in reports
   * @param how description of the training, as a sentence
   * @param rate learning rate
   */
  public record Recipe(
      String variation, String arm, int seed, String title, String how, double rate) {}

  /**
   * The behaviour of the model of a run.
   *
   * @param stored accuracy of the model as it is stored, rounded to bf16
   * @param exact accuracy of the float32 masters
   * @param klPerToken KL(base ‖ run) in nats per token, on texts sampled from the base
   * @param klPredicted second-order prediction of it from the Fisher information at the base, in
   *     nats per token
   */
  public record Behaviour(
      Accuracy stored, Accuracy exact, Mean klPerToken, Optional<Mean> klPredicted) {}

  /**
   * The update of the weights.
   *
   * @param totals totals of the update as stored in bf16, over all matrices
   * @param trainable share of trainable weights
   * @param hidden number of entries that changed only in float32
   * @param norm ‖ΔW‖_F of the float32 masters
   * @param coherence ‖ΔW‖ / (rate · steps · √(trainable weights)); 1 if all steps of Adam have the
   *     same direction
   * @param sparsityPermuted share of unchanged entries after randomly permuting the entries of the
   *     float32 update within each matrix
   * @param principalOfLargest share of M_princ in the half of entries with the largest change. This
   *     half has the same density for every run. The value expected by chance is the density of
   *     M_princ
   * @param lowOfLargest share of M_low in the same half of entries
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
    /** {@return the share of weights that changed only in float32} */
    public double hiddenShare() {
      return hidden / (double) totals.counts().total();
    }
  }

  /**
   * The state of a run at one step.
   *
   * @param step number of the step
   * @param score mean reward (reinforcement learning) or loss (supervised fine-tuning); NaN if none
   * @param changed share of bf16 weights that differ from the base's
   * @param hidden share of the weights that changed only in float32
   * @param relativeFrobenius ‖ΔW‖ / ‖W0‖
   */
  public record Step(
      long step, double score, double changed, double hidden, double relativeFrobenius) {
    /** {@return the share of the changes that bf16 hides; NaN if nothing changed} */
    public double hiddenOfChanges() {
      return hidden / (hidden + changed);
    }
  }

  /**
   * The size of the patch from the stored weights before a step to those after it.
   *
   * @param step number of the step
   * @param changed number of changed elements
   * @param elements number of elements of the model
   * @param bytes size of the patch in bytes
   * @param modelBytes size of the whole model in bytes
   */
  public record PatchSize(long step, long changed, long elements, long bytes, long modelBytes) {
    /**
     * {@return the entropy of the positions of the changed elements, in bytes} All choices of this
     * many positions are assumed equally likely. By Stirling's formula it is n H(p) / 8 with H in
     * bits. No code is shorter on average if positions are random. A patch also stores values, and
     * it can be smaller if positions have structure.
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

  /** {@return the name of the run, such as {@code rlvr-1} or {@code sgd-rlvr-2}} */
  public String id() {
    String name = recipe.variation().isEmpty() ? "" : recipe.variation() + "-";
    return name + recipe.arm() + "-" + recipe.seed();
  }

  /** Returns the run as one of the main part of a study. */
  StudyRun withoutVariation() {
    return new StudyRun(
        new Recipe("", recipe.arm(), recipe.seed(), recipe.title(), recipe.how(), recipe.rate()),
        steps,
        behaviour,
        update,
        series,
        patches,
        matrices,
        findings);
  }

  /** {@return the title of the run, with its seed} */
  public String title() {
    return recipe.title() + ", seed " + recipe.seed();
  }

  /**
   * {@return the finding with this id, if it was judged}
   *
   * @param id identifier of a claim
   */
  public Optional<Finding> finding(String id) {
    return findings.stream().filter(finding -> finding.id().equals(id)).findFirst();
  }
}
