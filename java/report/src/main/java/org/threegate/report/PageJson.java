package org.threegate.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonInclude.Include;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.threegate.analysis.compare.Cause;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.Identity;

/** The data of {@code report.html}: what the page shows and draws, thinned out for drawing. */
record PageJson(
    String version,
    String command,
    String base,
    String tuned,
    String baseDigest,
    String tunedDigest,
    String backend,
    double seconds,
    String coverage,
    Map<String, List<String>> unmatched,
    List<Cause> causes,
    List<FindingJson> findings,
    Sums totals,
    List<Tensor> tensors) {
  private static final int PROFILE_BINS = 256;
  private static final int CURVE_POINTS = 160;
  private static final MathContext FIVE_DIGITS = new MathContext(5);

  record Sums(
      long total,
      long changed,
      long stored,
      long hidden,
      long nonFinite,
      long signFlips,
      double sparsity,
      double relative,
      double cosine,
      double cosineSd,
      double maxAbs) {
    static Sums of(Totals totals) {
      return new Sums(
          totals.counts().total(),
          totals.counts().changed(),
          totals.counts().changedStored(),
          totals.counts().hidden(),
          totals.counts().nonFinite(),
          totals.counts().signFlips(),
          totals.sparsity(),
          totals.relativeFrobenius(),
          totals.cosine(),
          totals.cosineNullSd(),
          totals.sums().maxAbs());
    }
  }

  /**
   * A tensor.
   *
   * @param layer index of its layer, or −1
   * @param heads pairs of a head's name and its share of changed entries
   */
  record Tensor(
      String name,
      int layer,
      String kind,
      String dtypes,
      List<Long> shape,
      Sums diff,
      long[] ulp,
      @JsonInclude(Include.NON_ABSENT) Optional<Profile> rows,
      @JsonInclude(Include.NON_ABSENT) Optional<Profile> columns,
      List<List<Object>> heads,
      @JsonInclude(Include.NON_ABSENT) Optional<MapJson> map,
      @JsonUnwrapped GeometryJson geometry,
      @JsonInclude(Include.NON_ABSENT) Optional<Curves> curves,
      @JsonInclude(Include.NON_ABSENT) Optional<MapJson> principalMap) {
    static Tensor of(TensorDiff tensor, Optional<TensorGeometry> geometry) {
      List<Long> shape = tensor.shape();
      return new Tensor(
          tensor.name(),
          tensor.layer().orElse(-1),
          tensor.kind(),
          tensor.dtypeBase() + " → " + tensor.dtypeTuned(),
          shape,
          Sums.of(tensor.totals()),
          tensor.ulpHistogram(),
          Profile.of(tensor.rowChanged(), tensor.rowProfile(), shape.size() > 1 ? shape.get(1) : 1),
          Profile.of(tensor.columnChanged(), tensor.columnProfile(), shape.get(0)),
          tensor.heads().stream().map(Tensor::head).toList(),
          tensor.map().filter(map -> shape.size() == 2).map(map -> MapJson.of(map, shape, 1)),
          GeometryJson.of(geometry),
          geometry.flatMap(own -> own.spectra().stream().findFirst()).map(Curves::of),
          geometry
              .flatMap(own -> own.masks().stream().findFirst())
              .map(MaskMeasure::map)
              .map(map -> MapJson.of(map, shape, 1)));
    }

    private static List<Object> head(HeadCount head) {
      return List.of(
          head.part() + head.head(), head.changed() / (double) Math.max(1, head.total()));
    }
  }

  /**
   * The shares of changed entries by row or by column.
   *
   * @param ratios means of neighbouring shares, at most 256 of them
   */
  record Profile(
      int count,
      double mean,
      double sd,
      double max,
      long maxIndex,
      double nullSd,
      double z,
      double[] ratios) {
    static Optional<Profile> of(
        Optional<long[]> counts, Optional<RatioProfile> profile, long length) {
      return counts.flatMap(values -> profile.map(own -> of(values, own, length)));
    }

    private static Profile of(long[] counts, RatioProfile profile, long length) {
      return new Profile(
          counts.length,
          profile.mean(),
          profile.sd(),
          profile.max(),
          profile.maxIndex(),
          profile.nullSd(),
          profile.dispersionZ(),
          ratios(counts, length));
    }

    private static double[] ratios(long[] counts, long length) {
      double[] ratios = new double[Math.min(PROFILE_BINS, counts.length)];
      for (int bin = 0; bin < ratios.length; bin++) {
        int begin = (int) ((long) bin * counts.length / ratios.length);
        int end = (int) ((bin + 1L) * counts.length / ratios.length);
        long sum = 0;
        for (int i = begin; i < end; i++) {
          sum += counts[i];
        }
        double ratio = sum / ((double) (end - begin) * Math.max(1, length));
        ratios[bin] = Math.round(ratio * 1e5) / 1e5;
      }
      return ratios;
    }
  }

  /** Curves, each as pairs of an index from 1 and a value with five digits. */
  record Curves(
      List<List<Number>> base,
      List<List<Number>> tuned,
      List<List<Number>> delta,
      List<List<Number>> angleU,
      List<List<Number>> angleV,
      Map<String, Bands> nulls) {
    static Curves of(SpectrumMeasure measure) {
      Geometry update = measure.geometry();
      Map<String, Bands> nulls = new LinkedHashMap<>();
      measure.nulls().forEach(draws -> nulls.put(draws.model().label(), Bands.of(draws)));
      return new Curves(
          curve(update.base()),
          curve(update.tuned()),
          curve(update.update()),
          curve(update.angleU()),
          curve(update.angleV()),
          nulls);
    }
  }

  /** Means and standard deviations of the angles of a null model. */
  record Bands(
      List<List<Number>> angleU,
      List<List<Number>> angleUSd,
      List<List<Number>> angleV,
      List<List<Number>> angleVSd) {
    static Bands of(NullDraws draws) {
      return new Bands(
          curve(draws.bandLeft()[0]),
          curve(draws.bandLeft()[1]),
          curve(draws.bandRight()[0]),
          curve(draws.bandRight()[1]));
    }
  }

  /** Thins a curve out to at most 160 points. */
  private static List<List<Number>> curve(double[] values) {
    int points = Math.min(CURVE_POINTS, values.length);
    return IntStream.range(0, points)
        .map(i -> points == 1 ? 0 : (int) ((long) i * (values.length - 1) / (points - 1)))
        .mapToObj(at -> List.<Number>of(at + 1, rounded(values[at])))
        .toList();
  }

  private static double rounded(double value) {
    return Double.isFinite(value)
        ? new BigDecimal(value).round(FIVE_DIGITS).doubleValue()
        : Double.NaN;
  }

  static PageJson of(ComparisonReport report) {
    return new PageJson(
        report.version(),
        String.join(" ", report.command()),
        report.base().path(),
        report.tuned().path(),
        digest(report.base().identity()),
        digest(report.tuned().identity()),
        String.join(
            ", ",
            report.backend().device(),
            report.backend().simd(),
            report.backend().threads() + " threads",
            report.backend().binding()),
        report.seconds().total(),
        report.coverage().line() + ". " + report.coverage().caveat().orElse(""),
        unmatched(report),
        report.causes(),
        FindingJson.of(report.findings()),
        Sums.of(report.totals()),
        report.tensors().stream()
            .map(tensor -> Tensor.of(tensor, report.geometryOf(tensor)))
            .toList());
  }

  private static String digest(Identity identity) {
    return identity
        .sha256()
        .map(value -> "sha256 " + value)
        .or(() -> identity.blake3().map(value -> "blake3 " + value))
        .orElse("");
  }

  private static Map<String, List<String>> unmatched(ComparisonReport report) {
    ComparisonReport.Unmatched unmatched = report.unmatched();
    Map<String, List<String>> names = new LinkedHashMap<>();
    names.put("only in base", unmatched.onlyInBase());
    names.put("only in tuned", unmatched.onlyInTuned());
    names.put("shapes differ", unmatched.shapeMismatch());
    names.put("refused", unmatched.notCompared());
    names.put("untouched by the adapter", unmatched.untouchedByAdapter());
    names.put("matched in spite of a prefix", report.coverage().matched());
    names.putAll(report.omissions());
    return names;
  }
}
