package org.threegate.report;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.study.Contrast;
import org.threegate.analysis.study.MatrixMeasures;
import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyResult;
import org.threegate.analysis.study.StudyRun;

/**
 * The document {@code study.json}, which is also the data of the page.
 *
 * @param findings always empty: the script that all pages share reads it, and the claims of a study
 *     have plots of their own
 */
record StudyJson(
    int schema,
    String threegate,
    List<String> command,
    Backend backend,
    double elapsedSeconds,
    boolean quick,
    long weights,
    Mean baseAccuracy,
    List<FindingJson> findings,
    List<Claim> claims,
    List<Run> runs,
    List<Pair> seeds,
    List<Pair> rotated,
    List<Variation> variations,
    Map<String, Double> curvatureAlong) {
  private static final int SCHEMA = 1;

  record Backend(String device, String binding, int threads) {
    static Backend of(ComparisonReport.Backend backend) {
      return new Backend(backend.device(), backend.binding(), backend.threads());
    }
  }

  record Claim(
      String id,
      String source,
      String statement,
      String verdict,
      String seen,
      String limits,
      List<Difference> contrasts,
      String measure,
      boolean logarithmic,
      List<Point> points) {
    static Claim of(StudyClaim claim) {
      return new Claim(
          claim.id(),
          claim.source(),
          claim.statement(),
          claim.verdict().label(),
          claim.seen(),
          claim.limits(),
          claim.contrasts().stream().map(Difference::of).toList(),
          claim.plot().measure(),
          claim.plot().logarithmic(),
          claim.plot().points().stream().map(Point::of).toList());
    }
  }

  record Difference(
      String reference,
      boolean matched,
      double ratio,
      double low,
      double high,
      double p,
      int seeds) {
    static Difference of(Contrast contrast) {
      return new Difference(
          contrast.reference(),
          contrast.matched(),
          contrast.ratio(),
          contrast.interval().low(),
          contrast.interval().high(),
          contrast.pValue(),
          contrast.runs());
    }
  }

  record Point(String label, double value, double se, List<Null> nulls) {
    static Point of(StudyClaim.Point point) {
      return new Point(
          point.label(), point.value(), point.se(), point.nulls().stream().map(Null::of).toList());
    }
  }

  record Null(String model, double mean, double sd) {
    static Null of(NullEstimate estimate) {
      return new Null(estimate.model(), estimate.mean(), estimate.sd());
    }
  }

  record Run(
      String id,
      String variation,
      String arm,
      int seed,
      String title,
      String how,
      double rate,
      long steps,
      double trainable,
      Mean accuracy,
      Mean accuracyFloat32,
      Mean klPerToken,
      Optional<Mean> klPredicted,
      long total,
      long changed,
      long hidden,
      double sparsity,
      double sparsityPermuted,
      double sparsityPermutedSd,
      double relativeFrobenius,
      double rateTimesSteps,
      double coherence,
      double principalOfLargest,
      double lowOfLargest,
      List<StudyRun.Step> series,
      List<Patch> patches,
      List<Matrix> tensors,
      List<FindingJson> findings) {
    static Run of(StudyRun run) {
      return new Run(
          run.id(),
          run.recipe().variation(),
          run.recipe().arm(),
          run.recipe().seed(),
          run.title(),
          run.recipe().how(),
          run.recipe().rate(),
          run.steps(),
          run.update().trainable(),
          run.behaviour().stored().mean(),
          run.behaviour().exact().mean(),
          run.behaviour().klPerToken(),
          run.behaviour().klPredicted(),
          run.update().totals().counts().total(),
          run.update().totals().counts().changed(),
          run.update().hidden(),
          run.update().totals().sparsity(),
          run.update().sparsityPermuted().mean(),
          run.update().sparsityPermuted().sd(),
          run.update().totals().relativeFrobenius(),
          run.recipe().rate() * run.steps(),
          run.update().coherence(),
          run.update().principalOfLargest(),
          run.update().lowOfLargest(),
          run.series(),
          run.patches().stream().map(Patch::of).toList(),
          run.matrices().stream().map(Matrix::of).toList(),
          FindingJson.of(run.findings()));
    }
  }

  record Matrix(
      String name,
      String kind,
      OptionalInt layer,
      double sparsity,
      double nss,
      double nssNull,
      double angle,
      double angleNull,
      boolean gapLimited,
      double principalOverlap,
      double principalOverlapNull,
      double lowOverlap,
      double lowOverlapNull,
      double principalEnergy,
      double principalEnergyNull) {
    static Matrix of(MatrixMeasures measures) {
      return new Matrix(
          measures.name(),
          measures.kind(),
          measures.layer(),
          measures.sparsity(),
          measures.nss().value(),
          measures.nss().nullMean(),
          measures.angle().value(),
          measures.angle().nullMean(),
          measures.gapLimited(),
          measures.principalOverlap().value(),
          measures.principalOverlap().nullMean(),
          measures.lowOverlap().value(),
          measures.lowOverlap().nullMean(),
          measures.principalEnergy().value(),
          measures.principalEnergy().nullMean());
    }
  }

  record Patch(
      long step,
      long changed,
      long elements,
      long bytes,
      long modelBytes,
      double positionEntropyBytes) {
    static Patch of(StudyRun.PatchSize patch) {
      return new Patch(
          patch.step(),
          patch.changed(),
          patch.elements(),
          patch.bytes(),
          patch.modelBytes(),
          patch.positionEntropyBytes());
    }
  }

  record Pair(
      String name,
      double jaccard,
      double bernoulliJaccard,
      double magnitudeJaccard,
      double magnitudeSd) {
    static List<Pair> of(Map<String, Agreement> agreements) {
      return agreements.entrySet().stream()
          .map(entry -> of(entry.getKey(), entry.getValue()))
          .toList();
    }

    private static Pair of(String name, Agreement agreement) {
      return new Pair(
          name,
          agreement.jaccard(),
          agreement.bernoulliJaccard(),
          agreement.magnitudeJaccard(),
          agreement.magnitudeSd());
    }
  }

  record Variation(
      String id, String title, long weights, Mean baseAccuracy, List<Pair> agreements) {
    static Variation of(StudyResult.Variation variation) {
      return new Variation(
          variation.id(),
          variation.title(),
          variation.weights(),
          variation.base().mean(),
          Pair.of(StudyResult.together(variation.agreements())));
    }
  }

  static StudyJson of(StudyReport report) {
    return new StudyJson(
        SCHEMA,
        report.version(),
        report.command(),
        Backend.of(report.backend()),
        report.seconds(),
        report.result().quick(),
        report.result().weights(),
        report.result().base().mean(),
        List.of(),
        report.claims().stream().map(Claim::of).toList(),
        report.result().runs().stream().map(Run::of).toList(),
        Pair.of(StudyResult.together(report.result().seeds())),
        Pair.of(StudyResult.together(report.result().rotated())),
        report.result().variations().stream().map(Variation::of).toList(),
        report.result().curvatureAlong());
  }
}
