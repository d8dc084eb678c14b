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

  private void mean(String name, StudyRun.Mean mean) throws IOException {
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
    json.writeStringField("measure", claim.measure());
    json.writeBooleanField("logarithmic", claim.logarithmic());
    json.writeArrayFieldStart("points");
    for (StudyClaim.Point point : claim.points()) {
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
    json.writeStringField("how", run.how());
    number("rate", run.rate());
    json.writeNumberField("steps", run.steps());
    number("trainable", run.trainable());
    mean("accuracy", run.stored().mean());
    mean("accuracyFloat32", run.exact().mean());
    mean("klPerToken", run.divergence());
    if (run.predicted().isPresent()) {
      mean("klPredicted", run.predicted().orElseThrow());
    } else {
      json.writeNullField("klPredicted");
    }
    json.writeNumberField("total", run.totals().total());
    json.writeNumberField("changed", run.totals().changed());
    json.writeNumberField("hidden", run.hidden());
    number("sparsity", run.totals().sparsity());
    number("sparsityPermuted", run.permutedSparsity().mean());
    number("sparsityPermutedSd", run.permutedSparsity().sd());
    number("relativeFrobenius", run.totals().relativeFrobenius());
    number("rateTimesSteps", run.rate() * run.steps());
    number("coherence", run.coherence());
    number("principalOfLargest", run.principalOfLargest());
    number("lowOfLargest", run.lowOfLargest());
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
    number("nss", matrix.drift());
    number("nssNull", matrix.driftNull());
    number("angle", matrix.angle());
    number("angleNull", matrix.angleNull());
    json.writeBooleanField("gapLimited", matrix.gapLimited());
    number("principalOverlap", matrix.principal());
    number("principalOverlapNull", matrix.principalNull());
    number("lowOverlap", matrix.low());
    number("lowOverlapNull", matrix.lowNull());
    number("principalEnergy", matrix.energy());
    number("principalEnergyNull", matrix.energyNull());
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
