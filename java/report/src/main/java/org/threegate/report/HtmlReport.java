package org.threegate.report;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/**
 * {@code report.html}: one file with its data and its plotting library, readable without a network.
 */
final class HtmlReport {
  private static final int PROFILE_BINS = 256;
  private static final int CURVE_POINTS = 160;
  private static final MathContext FIVE_DIGITS = new MathContext(5);

  private HtmlReport() {}

  static String render(ComparisonReport report) throws IOException {
    return HtmlPage.render("report.html", json -> data(json, report));
  }

  private static void data(JsonGenerator json, ComparisonReport report) throws IOException {
    json.writeStartObject();
    json.writeStringField("version", report.version());
    json.writeStringField("command", String.join(" ", report.command()));
    json.writeStringField("base", report.base().path());
    json.writeStringField("tuned", report.tuned().path());
    json.writeStringField("baseDigest", report.base().sha256().orElse(""));
    json.writeStringField("tunedDigest", report.tuned().sha256().orElse(""));
    json.writeStringField(
        "backend",
        report.backend().device()
            + ", "
            + report.backend().simd()
            + ", "
            + report.backend().threads()
            + " threads, "
            + report.backend().binding());
    json.writeNumberField("seconds", report.seconds().total());
    unmatched(json, report.unmatched());
    new GeometryJson(json).findings(report.findings());
    totals(json, "totals", report.totals());
    json.writeArrayFieldStart("tensors");
    for (TensorDiff tensor : report.tensors()) {
      tensor(json, tensor, report.geometryOf(tensor));
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private static void unmatched(JsonGenerator json, ComparisonReport.Unmatched unmatched)
      throws IOException {
    json.writeObjectFieldStart("unmatched");
    list(json, "only in base", unmatched.onlyInBase());
    list(json, "only in tuned", unmatched.onlyInTuned());
    list(json, "shapes differ", unmatched.shapeMismatch());
    list(json, "not floating point", unmatched.notCompared());
    list(json, "untouched by the adapter", unmatched.untouchedByAdapter());
    json.writeEndObject();
  }

  private static void list(JsonGenerator json, String name, List<String> values)
      throws IOException {
    json.writeArrayFieldStart(name);
    for (String value : values) {
      json.writeString(value);
    }
    json.writeEndArray();
  }

  private static void totals(JsonGenerator json, String name, Totals totals) throws IOException {
    json.writeObjectFieldStart(name);
    json.writeNumberField("total", totals.total());
    json.writeNumberField("changed", totals.changed());
    json.writeNumberField("stored", totals.changedStored());
    json.writeNumberField("hidden", totals.hidden());
    json.writeNumberField("nonFinite", totals.nonFinite());
    json.writeNumberField("signFlips", totals.signFlips());
    GeometryJson.number(json, "sparsity", totals.sparsity());
    GeometryJson.number(json, "relative", totals.relativeFrobenius());
    GeometryJson.number(json, "cosine", totals.cosine());
    GeometryJson.number(json, "cosineSd", totals.cosineNullSd());
    GeometryJson.number(json, "maxAbs", totals.maxAbs());
    json.writeEndObject();
  }

  private static void tensor(
      JsonGenerator json, TensorDiff tensor, Optional<TensorGeometry> geometry) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", tensor.name());
    json.writeNumberField("layer", tensor.layer().orElse(-1));
    json.writeStringField("kind", tensor.kind());
    json.writeStringField("dtypes", tensor.dtypeBase() + " → " + tensor.dtypeTuned());
    json.writeFieldName("shape");
    long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
    json.writeArray(shape, 0, shape.length);
    totals(json, "diff", tensor.totals());
    json.writeFieldName("ulp");
    json.writeArray(tensor.ulpHistogram(), 0, tensor.ulpHistogram().length);
    profile(
        json,
        "rows",
        tensor.rowChanged(),
        tensor.rowProfile(),
        tensor.shape().size() > 1 ? tensor.shape().get(1) : 1);
    profile(json, "columns", tensor.columnChanged(), tensor.columnProfile(), tensor.shape().get(0));
    json.writeArrayFieldStart("heads");
    for (HeadCount head : tensor.heads()) {
      json.writeStartArray();
      json.writeString(head.part() + head.head());
      json.writeNumber(head.changed() / (double) Math.max(1, head.total()));
      json.writeEndArray();
    }
    json.writeEndArray();
    if (tensor.map().isPresent() && tensor.shape().size() == 2) {
      HtmlPage.map(json, "map", tensor.map().get(), tensor.shape(), 1);
    }
    new GeometryJson(json).fields(geometry);
    curves(json, geometry, tensor.shape());
    json.writeEndObject();
  }

  /** What is drawn of the first measures: curves of at most CURVE_POINTS points, and the mask. */
  private static void curves(
      JsonGenerator json, Optional<TensorGeometry> geometry, List<Long> shape) throws IOException {
    Optional<SpectrumMeasure> spectrum =
        geometry.flatMap(measured -> measured.spectra().stream().findFirst());
    if (spectrum.isPresent()) {
      Geometry update = spectrum.get().geometry();
      json.writeObjectFieldStart("curves");
      curve(json, "base", update.base());
      curve(json, "tuned", update.tuned());
      curve(json, "delta", update.update());
      curve(json, "angleU", update.anglesLeft());
      curve(json, "angleV", update.anglesRight());
      json.writeObjectFieldStart("nulls");
      for (NullDraws draws : spectrum.get().nulls()) {
        json.writeObjectFieldStart(draws.model());
        curve(json, "angleU", draws.bandLeft()[0]);
        curve(json, "angleUSd", draws.bandLeft()[1]);
        curve(json, "angleV", draws.bandRight()[0]);
        curve(json, "angleVSd", draws.bandRight()[1]);
        json.writeEndObject();
      }
      json.writeEndObject();
      json.writeEndObject();
    }
    Optional<MaskMeasure> masks =
        geometry.flatMap(measured -> measured.masks().stream().findFirst());
    if (masks.isPresent()) {
      HtmlPage.map(json, "principalMap", masks.get().map(), shape, 1);
    }
  }

  /** Pairs of index (from 1) and value, with five digits. */
  private static void curve(JsonGenerator json, String name, double[] values) throws IOException {
    int points = Math.min(CURVE_POINTS, values.length);
    json.writeArrayFieldStart(name);
    for (int i = 0; i < points; i++) {
      int at = points == 1 ? 0 : (int) ((long) i * (values.length - 1) / (points - 1));
      json.writeStartArray();
      json.writeNumber(at + 1);
      if (Double.isFinite(values[at])) {
        json.writeNumber(new BigDecimal(values[at]).round(FIVE_DIGITS).doubleValue());
      } else {
        json.writeNull();
      }
      json.writeEndArray();
    }
    json.writeEndArray();
  }

  /** At most PROFILE_BINS means of neighbouring ratios. */
  private static void profile(
      JsonGenerator json,
      String name,
      Optional<long[]> counts,
      Optional<RatioProfile> profile,
      long length)
      throws IOException {
    if (counts.isEmpty() || profile.isEmpty()) {
      return;
    }
    long[] values = counts.get();
    int bins = Math.min(PROFILE_BINS, values.length);
    json.writeObjectFieldStart(name);
    json.writeNumberField("count", values.length);
    GeometryJson.number(json, "mean", profile.get().mean());
    GeometryJson.number(json, "sd", profile.get().sd());
    GeometryJson.number(json, "max", profile.get().max());
    json.writeNumberField("maxIndex", profile.get().maxIndex());
    GeometryJson.number(json, "nullSd", profile.get().nullSd());
    GeometryJson.number(json, "z", profile.get().dispersionZ());
    json.writeArrayFieldStart("ratios");
    for (int bin = 0; bin < bins; bin++) {
      int begin = (int) ((long) bin * values.length / bins);
      int end = (int) ((bin + 1L) * values.length / bins);
      long sum = 0;
      for (int i = begin; i < end; i++) {
        sum += values[i];
      }
      double ratio = sum / ((double) (end - begin) * Math.max(1, length));
      json.writeNumber(Math.round(ratio * 1e5) / 1e5);
    }
    json.writeEndArray();
    json.writeEndObject();
  }
}
