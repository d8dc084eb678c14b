package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Map;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.study.MatrixMeasures;
import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyRun;

/** {@code study.json}, which is also the data of the page. */
final class StudyJson {
  private static final int SCHEMA = 1;

  private final JsonGenerator json;

  private StudyJson(JsonGenerator json) {
    this.json = json;
  }

  static void write(StudyReport report, OutputStream out) throws IOException {
    try (JsonGenerator json =
        new JsonFactory().createGenerator(out).disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter());
      report(json, report);
      json.writeRaw('\n');
    }
  }

  static void report(JsonGenerator json, StudyReport report) throws IOException {
    new StudyJson(json).report(report);
  }

  private void report(StudyReport report) throws IOException {
    json.writeStartObject();
    json.writeNumberField("schema", SCHEMA);
    json.writeStringField("threegate", report.version());
    json.writeArrayFieldStart("command");
    for (String word : report.command()) {
      json.writeString(word);
    }
    json.writeEndArray();
    json.writeObjectFieldStart("backend");
    json.writeStringField("device", report.backend().device());
    json.writeStringField("binding", report.backend().binding());
    json.writeNumberField("threads", report.backend().threads());
    json.writeEndObject();
    number("elapsedSeconds", report.seconds());
    json.writeNumberField("weights", report.result().weights());
    mean("baseAccuracy", report.result().base().mean());
    // The shared script draws findings; a study's have plots of their own.
    json.writeArrayFieldStart("findings");
    json.writeEndArray();
    json.writeArrayFieldStart("claims");
    for (StudyClaim claim : report.claims()) {
      claim(claim);
    }
    json.writeEndArray();
    json.writeArrayFieldStart("runs");
    for (StudyRun run : report.result().runs()) {
      run(run);
    }
    json.writeEndArray();
    agreements("seeds", report.result().seeds());
    agreements("rotated", report.result().rotated());
    json.writeObjectFieldStart("curvatureAlong");
    for (Map.Entry<String, Double> along : report.result().curvatureAlong().entrySet()) {
      number(along.getKey(), along.getValue());
    }
    json.writeEndObject();
    json.writeEndObject();
  }

  private void number(String name, double value) throws IOException {
    GeometryJson.number(json, name, value);
  }

  private void mean(String name, Mean mean) throws IOException {
    json.writeObjectFieldStart(name);
    number("value", mean.value());
    number("se", mean.standardError());
    json.writeEndObject();
  }

  private void claim(StudyClaim claim) throws IOException {
    json.writeStartObject();
    json.writeStringField("id", claim.id());
    json.writeStringField("source", claim.source());
    json.writeStringField("statement", claim.statement());
    json.writeStringField("verdict", claim.verdict().label());
    json.writeStringField("seen", claim.seen());
    json.writeStringField("limits", claim.limits());
    json.writeStringField("measure", claim.plot().measure());
    json.writeBooleanField("logarithmic", claim.plot().logarithmic());
    json.writeArrayFieldStart("points");
    for (StudyClaim.Point point : claim.plot().points()) {
      json.writeStartObject();
      json.writeStringField("label", point.label());
      number("value", point.value());
      number("se", point.error());
      json.writeArrayFieldStart("nulls");
      for (NullEstimate estimate : point.nulls()) {
        json.writeStartObject();
        json.writeStringField("model", estimate.model());
        number("mean", estimate.mean());
        number("sd", estimate.sd());
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void run(StudyRun run) throws IOException {
    json.writeStartObject();
    json.writeStringField("id", run.id());
    json.writeStringField("title", run.title());
    json.writeStringField("how", run.recipe().how());
    number("rate", run.recipe().rate());
    json.writeNumberField("steps", run.steps());
    number("trainable", run.update().trainable());
    mean("accuracy", run.behaviour().stored().mean());
    mean("accuracyFloat32", run.behaviour().exact().mean());
    mean("klPerToken", run.behaviour().divergence());
    if (run.behaviour().predicted().isPresent()) {
      mean("klPredicted", run.behaviour().predicted().orElseThrow());
    } else {
      json.writeNullField("klPredicted");
    }
    json.writeNumberField("total", run.update().totals().total());
    json.writeNumberField("changed", run.update().totals().changed());
    json.writeNumberField("hidden", run.update().hidden());
    number("sparsity", run.update().totals().sparsity());
    number("sparsityPermuted", run.update().permutedSparsity().mean());
    number("sparsityPermutedSd", run.update().permutedSparsity().sd());
    number("relativeFrobenius", run.update().totals().relativeFrobenius());
    number("rateTimesSteps", run.recipe().rate() * run.steps());
    number("coherence", run.update().coherence());
    number("principalOfLargest", run.update().principalOfLargest());
    number("lowOfLargest", run.update().lowOfLargest());
    json.writeArrayFieldStart("series");
    for (StudyRun.Step step : run.series()) {
      json.writeStartObject();
      json.writeNumberField("step", step.step());
      number("score", step.score());
      number("changed", step.changed());
      number("relativeFrobenius", step.relativeNorm());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayFieldStart("patches");
    for (StudyRun.PatchSize patch : run.patches()) {
      json.writeStartObject();
      json.writeNumberField("step", patch.step());
      json.writeNumberField("changed", patch.changed());
      json.writeNumberField("elements", patch.elements());
      json.writeNumberField("bytes", patch.bytes());
      json.writeNumberField("modelBytes", patch.modelBytes());
      number("positionEntropyBytes", patch.positionEntropyBytes());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayFieldStart("tensors");
    for (MatrixMeasures matrix : run.matrices()) {
      matrix(matrix);
    }
    json.writeEndArray();
    new GeometryJson(json).findings(run.findings());
    json.writeEndObject();
  }

  private void matrix(MatrixMeasures matrix) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", matrix.name());
    json.writeStringField("kind", matrix.kind());
    if (matrix.layer().isPresent()) {
      json.writeNumberField("layer", matrix.layer().getAsInt());
    } else {
      json.writeNullField("layer");
    }
    number("sparsity", matrix.sparsity());
    number("nss", matrix.drift().value());
    number("nssNull", matrix.drift().nullMean());
    number("angle", matrix.angle().value());
    number("angleNull", matrix.angle().nullMean());
    json.writeBooleanField("gapLimited", matrix.gapLimited());
    number("principalOverlap", matrix.principal().value());
    number("principalOverlapNull", matrix.principal().nullMean());
    number("lowOverlap", matrix.low().value());
    number("lowOverlapNull", matrix.low().nullMean());
    number("principalEnergy", matrix.energy().value());
    number("principalEnergyNull", matrix.energy().nullMean());
    json.writeEndObject();
  }

  private void agreements(String name, Map<String, Agreement> agreements) throws IOException {
    json.writeArrayFieldStart(name);
    for (Map.Entry<String, Agreement> entry : agreements.entrySet()) {
      json.writeStartObject();
      json.writeStringField("name", entry.getKey());
      number("jaccard", entry.getValue().jaccard());
      number("bernoulliJaccard", entry.getValue().bernoulliJaccard());
      number("magnitudeJaccard", entry.getValue().magnitudeJaccard());
      number("magnitudeSd", entry.getValue().magnitudeSd());
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
