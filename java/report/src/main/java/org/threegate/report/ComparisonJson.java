package org.threegate.report;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.compare.Cause;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/** The document {@code report.json}, schema 1. */
record ComparisonJson(
    int schema,
    String threegate,
    List<String> command,
    ComparisonReport.Backend backend,
    ComparisonReport.Source base,
    ComparisonReport.Source tuned,
    long seed,
    Elapsed elapsedSeconds,
    long peakRssBytes,
    ComparisonReport.Unmatched unmatched,
    ComparisonReport.Coverage coverage,
    Summary summary,
    List<Tensor> tensors) {
  private static final int SCHEMA = 1;

  /**
   * Seconds. The parts of the geometry are summed over threads: with two threads, a comparison
   * takes about half of their sum.
   */
  record Elapsed(
      double read, double diff, double spectrum, double nulls, double masks, double total) {
    static Elapsed of(ComparisonReport report) {
      return new Elapsed(
          report.seconds().read(),
          report.seconds().diff(),
          sum(report, TensorGeometry::spectrumSeconds),
          sum(report, TensorGeometry::nullSeconds),
          sum(report, TensorGeometry::maskSeconds),
          report.seconds().total());
    }

    private static double sum(ComparisonReport report, ToDoubleFunction<TensorGeometry> part) {
      return report.geometry().values().stream().mapToDouble(part).sum();
    }
  }

  record Summary(
      long total,
      long changed,
      double sparsity,
      long changedStored,
      long hidden,
      double relativeFrobenius,
      Optional<ComparisonReport.Extent> nss,
      Optional<ComparisonReport.Extent> angleMaxDegrees,
      long gapLimited,
      List<Accounting.Note> excluded,
      List<Cause> causes,
      List<FindingJson> findings) {
    static Summary of(ComparisonReport report) {
      Totals totals = report.totals();
      return new Summary(
          totals.counts().total(),
          totals.counts().changed(),
          totals.sparsity(),
          totals.counts().changedStored(),
          totals.counts().hidden(),
          totals.relativeFrobenius(),
          report.nss(),
          report.largestAngle(),
          report.gapLimited(),
          report.excluded(),
          report.causes(),
          FindingJson.of(report.findings()));
    }
  }

  record Tensor(
      String name,
      OptionalInt layer,
      String kind,
      String dtypeBase,
      String dtypeTuned,
      List<Long> shape,
      boolean transposed,
      Diff diff,
      @JsonUnwrapped GeometryJson geometry) {
    static Tensor of(TensorDiff tensor, Optional<TensorGeometry> geometry) {
      return new Tensor(
          tensor.name(),
          tensor.layer(),
          tensor.kind(),
          tensor.dtypeBase(),
          tensor.dtypeTuned(),
          tensor.shape(),
          tensor.transposed(),
          Diff.of(tensor),
          GeometryJson.of(geometry));
    }
  }

  record Diff(
      long total,
      long changed,
      long changedBits,
      long changedStored,
      long hidden,
      long nonFinite,
      double sparsity,
      double frobenius,
      double relativeFrobenius,
      double maxAbs,
      long signFlips,
      double cosine,
      CosineNull cosineNull,
      long[] ulpHistogram,
      Optional<Profile> rowRatio,
      Optional<Profile> columnRatio,
      Optional<List<HeadCount>> perHead) {
    static Diff of(TensorDiff tensor) {
      Totals totals = tensor.totals();
      return new Diff(
          totals.counts().total(),
          totals.counts().changed(),
          totals.counts().changedBits(),
          totals.counts().changedStored(),
          totals.counts().hidden(),
          totals.counts().nonFinite(),
          totals.sparsity(),
          totals.frobenius(),
          totals.relativeFrobenius(),
          totals.sums().maxAbs(),
          totals.counts().signFlips(),
          totals.cosine(),
          new CosineNull(0, totals.cosineNullSd(), totals.cosine() / totals.cosineNullSd()),
          tensor.ulpHistogram(),
          tensor.rowProfile().map(Profile::of),
          tensor.columnProfile().map(Profile::of),
          Optional.of(tensor.heads()).filter(heads -> !heads.isEmpty()));
    }
  }

  record CosineNull(double mean, double sd, double z) {}

  record Profile(
      double mean, double sd, double max, long maxIndex, @JsonProperty("null") Null own) {
    record Null(String model, double sd, double dispersionZ) {}

    static Profile of(RatioProfile ratios) {
      return new Profile(
          ratios.mean(),
          ratios.sd(),
          ratios.max(),
          ratios.maxIndex(),
          new Null("binomial", ratios.nullSd(), ratios.dispersionZ()));
    }
  }

  static ComparisonJson of(ComparisonReport report) {
    return new ComparisonJson(
        SCHEMA,
        report.version(),
        report.command(),
        report.backend(),
        report.base(),
        report.tuned(),
        report.seed(),
        Elapsed.of(report),
        report.peakRssBytes(),
        report.unmatched(),
        report.coverage(),
        Summary.of(report),
        report.tensors().stream()
            .map(tensor -> Tensor.of(tensor, report.geometryOf(tensor)))
            .toList());
  }
}
