package org.threegate.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonInclude.Include;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * The document {@code consensus.json}. The data of the page have maps in place of geometries.
 *
 * @param jaccard of every run with every other; runs × runs, null on the diagonal
 * @param changedByRuns share of entries that exactly 0, 1, … runs change
 */
record ConsensusJson(
    int schema,
    String threegate,
    List<String> command,
    String base,
    List<String> runs,
    double elapsedSeconds,
    ConsensusReport.Coverage coverage,
    List<FindingJson> findings,
    double[][] jaccard,
    double[][] bernoulliJaccard,
    double[][] magnitudeJaccard,
    double[][] magnitudeSd,
    double[][] magnitudeZ,
    double[] changedByRuns,
    double[] changedByRunsNull,
    Map<String, AgreementJson> byKind,
    Map<String, AgreementJson> byLayer,
    List<Tensor> tensors,
    Optional<Trajectory> trajectory) {
  private static final int SCHEMA = 1;

  record Tensor(
      String name,
      OptionalInt layer,
      String kind,
      List<Long> shape,
      long[] changed,
      AgreementJson agreement,
      long[] changedByRuns,
      double[] changedByRunsNull,
      TensorConsensus.Bands rows,
      TensorConsensus.Bands columns,
      List<Head> perHead,
      @JsonInclude(Include.NON_ABSENT) Optional<MapJson> map) {
    static Tensor of(TensorConsensus tensor, Optional<MapJson> map) {
      return new Tensor(
          tensor.name(),
          tensor.layer(),
          tensor.kind(),
          tensor.shape(),
          tensor.changed(),
          AgreementJson.of(tensor.agreement()),
          tensor.changedByRuns(),
          tensor.changedByRunsNull(),
          tensor.rows(),
          tensor.columns(),
          tensor.heads().stream().map(Head::of).toList(),
          map);
    }
  }

  record Head(String part, int head, @JsonUnwrapped AgreementJson agreement) {
    static Head of(TensorConsensus.Head head) {
      return new Head(head.part(), head.head(), AgreementJson.of(head.agreement()));
    }
  }

  record Trajectory(List<StepSummary> steps, List<TensorSteps> tensors) {}

  record TensorSteps(
      String name, String kind, double linearity, double walkLinearity, List<Step> steps) {
    static TensorSteps of(TensorTrajectory tensor, boolean geometries) {
      return new TensorSteps(
          tensor.name(),
          tensor.kind(),
          tensor.linearity(),
          tensor.walkLinearity(),
          tensor.steps().stream().map(step -> Step.of(step, geometries)).toList());
    }
  }

  record Step(
      double sparsity,
      double relativeFrobenius,
      double locking,
      Map<String, LockingNull> lockingNulls,
      TensorConsensus.Bands rowStability,
      TensorConsensus.Bands columnStability,
      @JsonUnwrapped @JsonInclude(Include.NON_ABSENT) Optional<GeometryJson> geometry) {
    static Step of(TensorTrajectory.Step step, boolean geometries) {
      Map<String, LockingNull> nulls = new LinkedHashMap<>();
      for (NullEstimate estimate : step.lockingNulls()) {
        nulls.put(
            estimate.model(),
            new LockingNull(estimate.mean(), estimate.sd(), estimate.z(step.locking())));
      }
      return new Step(
          step.totals().sparsity(),
          step.totals().relativeFrobenius(),
          step.locking(),
          nulls,
          step.rowStability(),
          step.columnStability(),
          Optional.of(step.geometry())
              .filter(own -> geometries)
              .map(own -> GeometryJson.of(Optional.of(own))));
    }
  }

  record LockingNull(double mean, double sd, double z) {}

  /** Returns the document that the file holds. */
  static ConsensusJson file(ConsensusReport report) {
    return of(report, false);
  }

  /** Returns the data of the page. */
  static ConsensusJson page(ConsensusReport report) {
    return of(report, true);
  }

  private static ConsensusJson of(ConsensusReport report, boolean page) {
    double[][] changedByRuns = report.changedByRuns();
    int runs = report.runs().size();
    return new ConsensusJson(
        SCHEMA,
        report.provenance().version(),
        report.provenance().command(),
        report.base(),
        report.runs(),
        report.provenance().seconds(),
        report.coverage(),
        FindingJson.of(report.findings()),
        matrix(report, Agreement::jaccard),
        matrix(report, Agreement::bernoulliJaccard),
        matrix(report, Agreement::magnitudeJaccard),
        matrix(report, Agreement::magnitudeSd),
        matrix(report, Agreement::magnitudeZ),
        changedByRuns[0],
        changedByRuns[1],
        groups(report.byKind()),
        groups(report.byLayer()),
        report.tensors().stream()
            .map(
                tensor ->
                    Tensor.of(
                        tensor,
                        page
                            ? Optional.of(MapJson.of(tensor.map(), tensor.shape(), runs))
                            : Optional.empty()))
            .toList(),
        trajectory(report, page));
  }

  private static double[][] matrix(ConsensusReport report, ToDoubleFunction<Agreement> value) {
    List<Agreement> pairs = report.pairs();
    int runs = report.runs().size();
    double[][] matrix = new double[runs][runs];
    for (int i = 0; i < runs; i++) {
      for (int j = 0; j < runs; j++) {
        matrix[i][j] = i == j ? Double.NaN : value.applyAsDouble(pairs.get(report.pairIndex(i, j)));
      }
    }
    return matrix;
  }

  private static Map<String, AgreementJson> groups(Map<String, Agreement> groups) {
    Map<String, AgreementJson> all = new LinkedHashMap<>();
    groups.forEach((name, agreement) -> all.put(name, AgreementJson.of(agreement)));
    return Collections.unmodifiableMap(all);
  }

  private static Optional<Trajectory> trajectory(ConsensusReport report, boolean page) {
    if (report.steps().length == 0) {
      return Optional.empty();
    }
    return Optional.of(
        new Trajectory(
            report.stepSummaries(),
            report.trajectory().stream().map(tensor -> TensorSteps.of(tensor, !page)).toList()));
  }
}
