package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.io.SerializedString;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.measure.ChangeMap;
import org.threegate.analysis.measure.Geometry;
import org.threegate.analysis.measure.HeadCount;
import org.threegate.analysis.measure.MaskMeasure;
import org.threegate.analysis.measure.NullDraws;
import org.threegate.analysis.measure.SpectrumMeasure;
import org.threegate.analysis.measure.TensorDiff;
import org.threegate.analysis.measure.TensorGeometry;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/**
 * {@code report.html}: one file with its data and its plotting library, readable without a network.
 */
final class HtmlReport {
  private static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";
  private static final int PROFILE_BINS = 256;
  private static final int CURVE_POINTS = 160;
  private static final MathContext FIVE_DIGITS = new MathContext(5);
  private static final double MAP_SCALE = 255;

  private HtmlReport() {}

  static String render(ComparisonReport report) throws IOException {
    // The data come last, so that nothing in them is taken for a place to fill.
    return resource("/org/threegate/report/report.html")
        .replace("/*ECHARTS*/", resource(ECHARTS).replace("</script", "<\\/script"))
        .replace("/*DATA*/", data(report));
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = HtmlReport.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IOException(name + " is not on the class path");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** Names come from outside: nothing in them may end the script element. */
  private static final class ScriptEscapes extends CharacterEscapes {
    private static final long serialVersionUID = 1L;

    @Override
    public int[] getEscapeCodesForAscii() {
      int[] escapes = CharacterEscapes.standardAsciiEscapesForJSON();
      for (char c : new char[] {'<', '>', '&', '\''}) {
        escapes[c] = CharacterEscapes.ESCAPE_CUSTOM;
      }
      return escapes;
    }

    @Override
    public SerializableString getEscapeSequence(int c) {
      return new SerializedString(String.format("\\u%04x", c));
    }
  }

  private static String data(ComparisonReport report) throws IOException {
    StringWriter out = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(out)) {
      json.setCharacterEscapes(new ScriptEscapes());
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
    return out.toString();
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
      map(json, "map", tensor.map().get(), tensor.shape());
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
      map(json, "principalMap", masks.get().map(), shape);
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

  /** Ratios as bytes. */
  private static void map(JsonGenerator json, String name, ChangeMap map, List<Long> shape)
      throws IOException {
    byte[] cells = new byte[map.changed().length];
    for (int i = 0; i < cells.length; i++) {
      long height = extent(i / map.columns(), map.rows(), shape.get(0));
      long width = extent(i % map.columns(), map.columns(), shape.get(1));
      cells[i] = (byte) Math.round(MAP_SCALE * map.changed()[i] / ((double) height * width));
    }
    json.writeObjectFieldStart(name);
    json.writeNumberField("rows", map.rows());
    json.writeNumberField("columns", map.columns());
    json.writeStringField("cells", Base64.getEncoder().encodeToString(cells));
    json.writeEndObject();
  }

  /** How many of {@code count} indices fall in a cell. */
  private static long extent(long cell, long cells, long count) {
    return first(cell + 1, cells, count) - first(cell, cells, count);
  }

  private static long first(long cell, long cells, long count) {
    return Math.addExact(Math.multiplyExact(cell, count), cells - 1) / cells;
  }
}
