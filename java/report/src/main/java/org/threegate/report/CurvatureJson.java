package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.curvature.Along;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.PairedComparison;

/** {@code curvature.json}, which is also the data of the page. */
final class CurvatureJson {
  private static final int SCHEMA = 1;
  private static final double LEVEL = 0.95;

  private final JsonGenerator json;

  private CurvatureJson(JsonGenerator json) {
    this.json = json;
  }

  static void write(CurvatureReport report, OutputStream out) throws IOException {
    try (JsonGenerator json =
        new JsonFactory().createGenerator(out).disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter());
      report(json, report);
      json.writeRaw('\n');
    }
  }

  static void report(JsonGenerator json, CurvatureReport report) throws IOException {
    new CurvatureJson(json).report(report);
  }

  private void report(CurvatureReport report) throws IOException {
    json.writeStartObject();
    json.writeNumberField("schema", SCHEMA);
    json.writeStringField("threegate", report.version());
    json.writeArrayFieldStart("command");
    for (String word : report.command()) {
      json.writeString(word);
    }
    json.writeEndArray();
    json.writeStringField("capture", report.capture());
    json.writeStringField("base", report.base());
    json.writeStringField("tuned", report.tuned());
    json.writeStringField("fisher", report.fisher());
    json.writeStringField("unit", report.unit());
    number("elapsedSeconds", report.seconds());
    number("klPerToken", report.divergence().orElse(Double.NaN));
    number("klOfLayersAlone", report.study().divergence());
    Optional<ClusteredMean> together = report.study().divergenceTogether();
    number("klTogether", together.map(ClusteredMean::value).orElse(Double.NaN));
    number("klTogetherSe", together.map(ClusteredMean::standardError).orElse(Double.NaN));
    new GeometryJson(json).findings(report.study().findings());
    json.writeArrayFieldStart("layers");
    for (LayerCurvature layer : report.study().layers()) {
      layer(layer);
    }
    json.writeEndArray();
    json.writeObjectFieldStart("skipped");
    for (Map.Entry<String, String> skipped : report.study().skipped().entrySet()) {
      json.writeStringField(skipped.getKey(), skipped.getValue());
    }
    json.writeEndObject();
    json.writeEndObject();
  }

  private void number(String name, double value) throws IOException {
    GeometryJson.number(json, name, value);
  }

  private void layer(LayerCurvature layer) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", layer.name());
    json.writeStringField("kind", layer.kind());
    json.writeNumberField("tokens", layer.tokens());
    json.writeNumberField("sequences", layer.sequences().size());
    json.writeNumberField("rank", layer.rank());
    number("squaredNorm", layer.squaredNorm());
    json.writeArrayFieldStart("directions");
    for (Map.Entry<Along, ClusteredMean> entry : layer.along().entrySet()) {
      ClusteredMean mean = entry.getValue();
      ClusteredMean.Interval interval = mean.intervalOfSkew(LEVEL);
      json.writeStartObject();
      json.writeStringField("direction", entry.getKey().label());
      number("curvature", mean.value());
      number("se", mean.standardError());
      number("low", interval.low());
      number("high", interval.high());
      number("share", layer.shares().getOrDefault(entry.getKey(), Double.NaN));
      number("drawSd", layer.drawDeviations().getOrDefault(entry.getKey(), Double.NaN));
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayFieldStart("comparisons");
    for (LayerCurvature.Comparison comparison : layer.comparisons()) {
      comparison(comparison);
    }
    json.writeEndArray();
    number("klAlone", layer.divergence().value());
    number("klAloneSe", layer.divergence().standardError());
    number("leastInUpdateSpan", layer.least());
    overlap("kfacInputOverlap", layer.inputOverlap());
    overlap("kfacGradientOverlap", layer.gradientOverlap());
    density(layer.density());
    json.writeEndObject();
  }

  private void comparison(LayerCurvature.Comparison comparison) throws IOException {
    PairedComparison paired = comparison.paired();
    ClusteredMean.Interval interval = paired.difference().interval(LEVEL);
    json.writeStartObject();
    json.writeStringField("first", comparison.first().label());
    json.writeStringField("second", comparison.second().label());
    number("difference", paired.difference().value());
    number("se", paired.difference().standardError());
    number("low", interval.low());
    number("high", interval.high());
    number("p", paired.difference().pValue());
    json.writeNumberField("positive", paired.positive());
    json.writeNumberField("negative", paired.negative());
    number("signTestP", paired.signTestPValue());
    number("minimumDetectable", paired.minimumDetectableEffect());
    number("sequencesToSettle", paired.clustersToSettle());
    json.writeEndObject();
  }

  private void density(Optional<LayerCurvature.Density> density) throws IOException {
    if (density.isEmpty()) {
      json.writeNullField("eigenvalueDensity");
      return;
    }
    json.writeObjectFieldStart("eigenvalueDensity");
    GeometryJson arrays = new GeometryJson(json);
    arrays.doubles("log10", density.get().decades());
    arrays.doubles("shareOfEigenvaluesPerDecade", density.get().shares());
    arrays.doubles("se", density.get().standardErrors());
    number("largest", density.get().largest());
    number("trace", density.get().trace().value());
    number("traceSe", density.get().trace().standardError());
    json.writeEndObject();
  }

  private void overlap(String name, Optional<LayerCurvature.Overlap> overlap) throws IOException {
    if (overlap.isEmpty()) {
      json.writeNullField(name);
      return;
    }
    json.writeObjectFieldStart(name);
    json.writeNumberField("directions", overlap.get().directions());
    number("observed", overlap.get().observed());
    number("random", overlap.get().random().mean());
    number("randomSd", overlap.get().random().sd());
    number("z", overlap.get().random().z(overlap.get().observed()));
    json.writeEndObject();
  }
}
