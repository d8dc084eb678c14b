package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/** {@code report.json}, schema 1. Numbers that are not finite are written as null. */
final class JsonReport {
  private static final int SCHEMA = 1;

  private final JsonGenerator json;

  private JsonReport(JsonGenerator json) {
    this.json = json;
  }

  static void write(ComparisonReport report, OutputStream out) throws IOException {
    try (JsonGenerator json =
        new JsonFactory().createGenerator(out).disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter());
      new JsonReport(json).report(report);
      json.writeRaw('\n');
    }
  }

  private void report(ComparisonReport report) throws IOException {
    json.writeStartObject();
    json.writeNumberField("schema", SCHEMA);
    json.writeStringField("threegate", report.version());
    strings("command", report.command());
    json.writeObjectFieldStart("backend");
    json.writeStringField("device", report.backend().device());
    json.writeStringField("binding", report.backend().binding());
    json.writeNumberField("threads", report.backend().threads());
    json.writeStringField("simd", report.backend().simd());
    json.writeStringField("blas", report.backend().blas());
    json.writeEndObject();
    source("base", report.base());
    source("tuned", report.tuned());
    json.writeNumberField("seed", report.seed());
    json.writeObjectFieldStart("elapsedSeconds");
    number("read", report.seconds().read());
    number("diff", report.seconds().diff());
    number("spectrum", seconds(report, TensorGeometry::spectrumSeconds));
    number("nulls", seconds(report, TensorGeometry::nullSeconds));
    number("masks", seconds(report, TensorGeometry::maskSeconds));
    number("total", report.seconds().total());
    json.writeEndObject();
    json.writeNumberField("peakRssBytes", report.peakRssBytes());
    json.writeObjectFieldStart("unmatched");
    strings("onlyInBase", report.unmatched().onlyInBase());
    strings("onlyInTuned", report.unmatched().onlyInTuned());
    strings("shapeMismatch", report.unmatched().shapeMismatch());
    strings("notCompared", report.unmatched().notCompared());
    strings("untouchedByAdapter", report.unmatched().untouchedByAdapter());
    json.writeEndObject();
    summary(report);
    json.writeArrayFieldStart("tensors");
    for (TensorDiff tensor : report.tensors()) {
      tensor(report, tensor);
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void source(String name, ComparisonReport.Source source) throws IOException {
    json.writeObjectFieldStart(name);
    json.writeStringField("path", source.path());
    optional("sha256", source.sha256());
    json.writeNumberField("tensors", source.tensors());
    json.writeNumberField("parameters", source.parameters());
    json.writeEndObject();
  }

  /** Over threads: a comparison with two of them takes about half of that. */
  private static double seconds(ComparisonReport report, ToDoubleFunction<TensorGeometry> part) {
    return report.geometry().values().stream().mapToDouble(part).sum();
  }

  private void extent(String name, Optional<ComparisonReport.Extent> extent) throws IOException {
    if (extent.isEmpty()) {
      json.writeNullField(name);
      return;
    }
    json.writeObjectFieldStart(name);
    number("median", extent.get().median());
    number("max", extent.get().max());
    json.writeEndObject();
  }

  private void summary(ComparisonReport report) throws IOException {
    Totals totals = report.totals();
    json.writeObjectFieldStart("summary");
    json.writeNumberField("total", totals.total());
    json.writeNumberField("changed", totals.changed());
    number("sparsity", totals.sparsity());
    json.writeNumberField("changedStored", totals.changedStored());
    json.writeNumberField("hidden", totals.hidden());
    number("relativeFrobenius", totals.relativeFrobenius());
    extent("nss", report.drift());
    extent("angleMaxDegrees", report.largestAngle());
    json.writeNumberField("gapLimited", report.gapLimited());
    new GeometryJson(json).findings(report.findings());
    json.writeEndObject();
  }

  private void tensor(ComparisonReport report, TensorDiff tensor) throws IOException {
    Totals totals = tensor.totals();
    json.writeStartObject();
    json.writeStringField("name", tensor.name());
    if (tensor.layer().isPresent()) {
      json.writeNumberField("layer", tensor.layer().getAsInt());
    } else {
      json.writeNullField("layer");
    }
    json.writeStringField("kind", tensor.kind());
    json.writeStringField("dtypeBase", tensor.dtypeBase());
    json.writeStringField("dtypeTuned", tensor.dtypeTuned());
    numbers("shape", tensor.shape().stream().mapToLong(Long::longValue).toArray());
    json.writeBooleanField("transposed", tensor.transposed());
    json.writeObjectFieldStart("diff");
    json.writeNumberField("total", totals.total());
    json.writeNumberField("changed", totals.changed());
    json.writeNumberField("changedBits", totals.changedBits());
    json.writeNumberField("changedStored", totals.changedStored());
    json.writeNumberField("hidden", totals.hidden());
    json.writeNumberField("nonFinite", totals.nonFinite());
    number("sparsity", totals.sparsity());
    number("frobenius", totals.frobenius());
    number("relativeFrobenius", totals.relativeFrobenius());
    number("maxAbs", totals.maxAbs());
    json.writeNumberField("signFlips", totals.signFlips());
    number("cosine", totals.cosine());
    json.writeObjectFieldStart("cosineNull");
    number("mean", 0);
    number("sd", totals.cosineNullSd());
    number("z", totals.cosine() / totals.cosineNullSd());
    json.writeEndObject();
    numbers("ulpHistogram", tensor.ulpHistogram());
    profile("rowRatio", tensor.rowProfile());
    profile("columnRatio", tensor.columnProfile());
    heads(tensor.heads());
    json.writeEndObject();
    new GeometryJson(json).fields(report.geometryOf(tensor));
    json.writeEndObject();
  }

  private void profile(String name, Optional<RatioProfile> profile) throws IOException {
    if (profile.isEmpty()) {
      json.writeNullField(name);
      return;
    }
    RatioProfile ratios = profile.get();
    json.writeObjectFieldStart(name);
    number("mean", ratios.mean());
    number("sd", ratios.sd());
    number("max", ratios.max());
    json.writeNumberField("maxIndex", ratios.maxIndex());
    json.writeObjectFieldStart("null");
    json.writeStringField("model", "binomial");
    number("sd", ratios.nullSd());
    number("dispersionZ", ratios.dispersionZ());
    json.writeEndObject();
    json.writeEndObject();
  }

  private void heads(List<HeadCount> heads) throws IOException {
    if (heads.isEmpty()) {
      json.writeNullField("perHead");
      return;
    }
    json.writeArrayFieldStart("perHead");
    for (HeadCount head : heads) {
      json.writeStartObject();
      json.writeStringField("part", head.part());
      json.writeNumberField("head", head.head());
      json.writeNumberField("changed", head.changed());
      json.writeNumberField("total", head.total());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private void number(String name, double value) throws IOException {
    GeometryJson.number(json, name, value);
  }

  private void optional(String name, Optional<String> value) throws IOException {
    if (value.isPresent()) {
      json.writeStringField(name, value.get());
    } else {
      json.writeNullField(name);
    }
  }

  private void strings(String name, List<String> values) throws IOException {
    json.writeArrayFieldStart(name);
    for (String value : values) {
      json.writeString(value);
    }
    json.writeEndArray();
  }

  private void numbers(String name, long[] values) throws IOException {
    json.writeFieldName(name);
    json.writeArray(values, 0, values.length);
  }
}
