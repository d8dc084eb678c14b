package org.threegate.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.threegate.analysis.calibration.CalibrationResult;
import org.threegate.analysis.calibration.Truth;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.curvature.Along;
import org.threegate.analysis.curvature.CurvatureStudy;
import org.threegate.analysis.curvature.Estimate;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Judge;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.PairedComparison;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.StudentEstimate;
import org.threegate.analysis.statistics.Totals;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.analysis.study.Accuracy;
import org.threegate.analysis.study.Contrast;
import org.threegate.analysis.study.MatrixMeasures;
import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyResult;
import org.threegate.analysis.study.StudyRun;
import org.threegate.checkpoint.Identity;

/** Makes reports of every kind with given names wherever text can stand. */
final class HostileReports {
  private static final ComparisonReport.Backend BACKEND =
      new ComparisonReport.Backend("cpu", "jni", 1, "scalar", "OpenBLAS");
  private static final ChangeMap MAP = new ChangeMap(2, 3, new long[] {1, 0, 1, 0, 2, 0});

  private HostileReports() {}

  static ComparisonReport comparison(List<String> names) {
    List<TensorDiff> tensors = new ArrayList<>();
    Map<String, TensorGeometry> geometry = new LinkedHashMap<>();
    for (String name : names) {
      tensors.add(diff(name, tensors.size()));
      geometry.put(name, ReportDirectoryTest.geometry());
    }
    String first = names.get(0);
    return new ComparisonReport(
        new ComparisonReport.Run(
            first,
            names,
            new ComparisonReport.Backend(first, "jni", 1, first, "OpenBLAS"),
            1,
            new ComparisonReport.Seconds(1, 2, 3),
            5),
        new ComparisonReport.Source(
            first,
            new Identity(
                Optional.of(first),
                Optional.of(first),
                List.of(new Identity.FileDigest(first, 1, first))),
            2,
            11),
        new ComparisonReport.Source(names.get(names.size() - 1), Identity.NONE, 2, 11),
        new ComparisonReport.Unmatched(names, names, names, names, names),
        coverage(names),
        tensors,
        geometry,
        findings(names));
  }

  private static ComparisonReport.Coverage coverage(List<String> names) {
    return ComparisonReport.Coverage.of(new Accounting(side(names), side(names)), names, 2);
  }

  private static Accounting.Side side(List<String> names) {
    List<Accounting.Note> notes =
        names.stream().map(name -> new Accounting.Note(name, name)).toList();
    return new Accounting.Side(
        names,
        notes,
        notes,
        notes,
        notes,
        names,
        names,
        new Accounting.Share(1, 4),
        new Accounting.Share(5, 11));
  }

  private static TensorDiff diff(String name, int index) {
    return new TensorDiff(
        name,
        OptionalInt.of(index % 4),
        name,
        new TensorDiff.Stored("BF16", "F32", List.of(2L, 3L), false),
        new Totals(new Totals.Counts(6, 2, 2, 4, 2, 0, 1), new Totals.Sums(4.0, 1.0, 0.5, 0.75)),
        new long[] {2, 1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        new TensorDiff.Places(
            Optional.of(new long[] {2, 0}),
            Optional.of(new long[] {1, 0, 1}),
            List.of(new HeadCount(name, 0, 2, 6), new HeadCount("q", 1, 1, 6)),
            Optional.of(MAP)),
        0.1);
  }

  private static List<Finding> findings(List<String> names) {
    return names.stream()
        .map(
            name ->
                Judge.findings(
                        List.of(
                            new Claim(
                                "a-claim",
                                "The claim " + name,
                                new Claim.Measure(name, name, SmallestEffect.Scale.RATIO),
                                1,
                                List.of(
                                    new Claim.Test(
                                        name,
                                        new Claim.Place(name, name),
                                        5,
                                        Optional.empty(),
                                        List.of(
                                            Against.ofRatio(
                                                5, NullEstimate.analytic(name, 1, 0.5))),
                                        1)),
                                name)))
                    .get(0))
        .toList();
  }

  static ConsensusReport consensus(List<String> names) {
    Agreement agreement = new Agreement(1000, 400, 400, 250, 180, 60);
    TensorConsensus.Bands bands = new TensorConsensus.Bands(0.5, 0.25, 0.4, 0.1);
    List<TensorConsensus> tensors = new ArrayList<>();
    List<TensorTrajectory> trajectories = new ArrayList<>();
    Totals totals =
        new Totals(new Totals.Counts(6, 2, 2, 4, 2, 0, 1), new Totals.Sums(4.0, 1.0, 0.5, 0.75));
    for (String name : names) {
      tensors.add(
          new TensorConsensus(
              name,
              OptionalInt.of(tensors.size() % 4),
              name,
              List.of(2L, 3L),
              new TensorConsensus.Overlap(
                  new long[] {400, 400},
                  List.of(agreement),
                  new long[] {450, 300, 250},
                  new double[] {380, 440, 180},
                  Optional.of(new TensorConsensus.Conditional(200, 0.5, 0.25))),
              new TensorConsensus.Places(
                  MAP, List.of(new TensorConsensus.Head(name, 0, agreement)), bands, bands)));
      TensorTrajectory.Step step =
          new TensorTrajectory.Step(
              totals,
              ReportDirectoryTest.geometry(),
              0.5,
              List.of(
                  NullEstimate.analytic(name, 0.1, 0.1),
                  NullEstimate.analytic("random-walk", 0.3, 0.1)),
              bands,
              bands);
      trajectories.add(
          new TensorTrajectory(name, OptionalInt.of(1), name, List.of(step, step), 0.5, 0.25));
    }
    return new ConsensusReport(
        new Provenance(names.get(0), names, 3),
        names.get(0),
        names.subList(0, 2),
        ConsensusReport.Coverage.of(
            new Accounting.OfRuns(side(names), List.of(side(names), side(names))), names, 2),
        tensors,
        findings(names),
        trajectories,
        new double[] {10, 20});
  }

  static CalibrationReport calibration(List<String> names) {
    List<CalibrationResult.Row> rows = new ArrayList<>();
    Map<String, String> skipped = new LinkedHashMap<>();
    for (String name : names) {
      rows.add(
          new CalibrationResult.Row(
              name,
              name,
              Truth.NOTHING,
              Map.of(name, Map.of(Verdict.SUPPORTED, 1, Verdict.EXPLAINED_BY_NULL, 19)),
              Map.of(name, 2)));
      rows.add(
          new CalibrationResult.Row(
              name,
              name,
              new Truth(Map.of(name, Verdict.CONTRADICTED)),
              Map.of(name, Map.of(Verdict.CONTRADICTED, 18, Verdict.UNDETERMINED, 2)),
              Map.of()));
      skipped.put(name, "is zero " + name);
    }
    return new CalibrationReport(
        new Provenance(names.get(0), names, 3),
        names.get(names.size() - 1),
        new CalibrationResult(6, 3, 20, rows, skipped));
  }

  static CurvatureReport curvature(List<String> names) {
    ClusteredMean mean = ClusteredMean.of(new double[] {1, 2, 4, 5}, new long[] {0, 0, 1, 1});
    ClusteredMean other = ClusteredMean.of(new double[] {1, 1, 2, 2}, new long[] {0, 0, 1, 1});
    PairedComparison paired =
        PairedComparison.of(
            new double[] {1, 2, 4, 5}, new double[] {1, 1, 2, 2}, new long[] {0, 0, 1, 1});
    List<LayerCurvature> layers = new ArrayList<>();
    Map<String, String> skipped = new LinkedHashMap<>();
    for (String name : names) {
      Map<Along, ClusteredMean> along = new LinkedHashMap<>();
      along.put(Along.UPDATE, mean);
      along.put(Along.ISOTROPIC, other);
      layers.add(
          new LayerCurvature(
              name,
              name,
              4,
              1,
              2,
              new LayerCurvature.Directions(
                  along, Map.of(Along.UPDATE, 1.0), Map.of(Along.ISOTROPIC, 0.5), 20),
              List.of(
                  new LayerCurvature.Comparison(
                      Along.UPDATE, Along.ISOTROPIC, paired, new Effect(0.5, 0.2, 19))),
              List.of(new LayerCurvature.Sequence(0, 1, 2), new LayerCurvature.Sequence(1, 2, 2)),
              new LayerCurvature.Spectrum(
                  0.5,
                  Optional.empty(),
                  Optional.empty(),
                  Optional.of(
                      new LayerCurvature.Density(
                          new double[] {-2, -1, 0},
                          new double[] {0.1, 0.3, 0.1},
                          new double[] {0.01, 0.01, 0.01},
                          2,
                          Estimate.of(new double[] {1.9, 2.1, 2.0}))))));
      skipped.put(name, "no samples for " + name);
    }
    String first = names.get(0);
    CurvatureStudy study =
        new CurvatureStudy(
            layers, skipped, new Accounting(side(names), side(names)), names, Set.of(first));
    return new CurvatureReport(
        new Provenance(first, names, 3),
        names.get(names.size() - 1),
        first,
        first,
        first,
        first,
        Optional.of(0.5),
        study,
        study.findings());
  }

  static StudyReport study(List<String> names) {
    Mean mean = new Mean(0.5, 0.01);
    Accuracy accuracy = Accuracy.of(new double[] {0, 1, 1});
    List<StudyRun> runs = new ArrayList<>();
    List<StudyClaim> claims = new ArrayList<>();
    runs.add(run("rlvr", "reinforcement", names, accuracy, mean));
    for (String name : names) {
      runs.add(run(name, name, names.subList(0, 1), accuracy, mean));
      claims.add(
          new StudyClaim(
              "claim-" + claims.size(),
              name,
              name,
              Verdict.SUPPORTED,
              name,
              name,
              List.of(new Contrast(name, true, new StudentEstimate(0.5, 0.1, 3), 4)),
              new StudyClaim.Plot(
                  name,
                  SmallestEffect.Scale.RATIO,
                  false,
                  List.of(
                      new StudyClaim.Point(
                          name, 1, 0.1, List.of(NullEstimate.analytic(name, 0.5, 0.1))),
                      new StudyClaim.Point("other", 2, 0.1, List.of())))));
    }
    Map<String, Agreement> agreements =
        Map.of(names.get(0), new Agreement(1000, 400, 400, 250, 180, 60));
    StudyResult result =
        new StudyResult(
            true,
            accuracy,
            1000,
            runs,
            List.of(agreements),
            List.of(agreements),
            names,
            List.of(
                new StudyResult.Variation(
                    names.get(0),
                    names.get(0),
                    accuracy,
                    1000,
                    List.of(agreements),
                    findings(names))),
            findings(names),
            findings(names),
            Map.of(names.get(0), 1.0));
    return new StudyReport(names.get(0), names, BACKEND, result, claims, 3);
  }

  private static StudyRun run(
      String arm, String title, List<String> names, Accuracy accuracy, Mean mean) {
    List<MatrixMeasures> matrices =
        names.stream()
            .map(
                name ->
                    new MatrixMeasures(
                        name,
                        name,
                        OptionalInt.of(1),
                        0.9,
                        new MatrixMeasures.Measure(1e-3, 2e-3),
                        new MatrixMeasures.Measure(0.1, 0.2),
                        false,
                        new MatrixMeasures.Measure(0.5, 0.4),
                        new MatrixMeasures.Measure(0.3, 0.2),
                        new MatrixMeasures.Measure(0.1, 0.05)))
            .toList();
    return new StudyRun(
        new StudyRun.Recipe("", arm, 1, title, title, 1e-3),
        20,
        new StudyRun.Behaviour(accuracy, accuracy, mean, Optional.of(mean)),
        new StudyRun.Update(
            new Totals(
                new Totals.Counts(6, 2, 2, 4, 2, 0, 1), new Totals.Sums(4.0, 1.0, 0.5, 0.75)),
            1,
            2,
            1,
            0.5,
            NullEstimate.analytic(title, 0.5, 0.1),
            0.5,
            0.5),
        List.of(new StudyRun.Step(1, 0.1, 0.1, 0.3, 0.1), new StudyRun.Step(2, 0.2, 0.2, 0.3, 0.2)),
        List.of(
            new StudyRun.PatchSize(1, 10, 1000, 50, 2000),
            new StudyRun.PatchSize(2, 20, 1000, 90, 2000)),
        matrices,
        List.of());
  }
}
