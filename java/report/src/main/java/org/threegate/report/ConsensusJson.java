package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.NullEstimate;

/** {@code consensus.json}, and the data of the page. */
final class ConsensusJson {
  private static final int SCHEMA = 1;

  private final JsonGenerator json;
  private final boolean maps;

  private ConsensusJson(JsonGenerator json, boolean maps) {
    this.json = json;
    this.maps = maps;
  }

  static void write(ConsensusReport report, OutputStream out) throws IOException {
    try (JsonGenerator json =
        new JsonFactory().createGenerator(out).disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter());
      new ConsensusJson(json, false).report(report);
      json.writeRaw('\n');
    }
  }

  /** The same with the maps that are drawn. */
  static void page(JsonGenerator json, ConsensusReport report) throws IOException {
    new ConsensusJson(json, true).report(report);
  }

  private void report(ConsensusReport report) throws IOException {
    json.writeStartObject();
    json.writeNumberField("schema", SCHEMA);
    json.writeStringField("threegate", report.version());
    strings("command", report.command());
    json.writeStringField("base", report.base());
    strings("runs", report.runs());
    GeometryJson.number(json, "elapsedSeconds", report.seconds());
    new GeometryJson(json).findings(report.findings());
    matrix("jaccard", report, Agreement::jaccard);
    matrix("bernoulliJaccard", report, Agreement::bernoulliJaccard);
    matrix("magnitudeJaccard", report, Agreement::magnitudeJaccard);
    matrix("magnitudeSd", report, Agreement::magnitudeSd);
    matrix("magnitudeZ", report, Agreement::z);
    double[][] memberships = report.memberships();
    new GeometryJson(json).doubles("changedByRuns", memberships[0]);
    new GeometryJson(json).doubles("changedByRunsNull", memberships[1]);
    groups("byKind", report.byKind());
    groups("byLayer", report.byLayer());
    json.writeArrayFieldStart("tensors");
    for (TensorConsensus tensor : report.tensors()) {
      tensor(tensor, report.runs().size());
    }
    json.writeEndArray();
    trajectory(report);
    json.writeEndObject();
  }

  private void strings(String name, List<String> values) throws IOException {
    json.writeArrayFieldStart(name);
    for (String value : values) {
      json.writeString(value);
    }
    json.writeEndArray();
  }

  /** Of every run with every other; null on the diagonal. */
  private void matrix(String name, ConsensusReport report, ToDoubleFunction<Agreement> value)
      throws IOException {
    List<Agreement> pairs = report.pairs();
    int runs = report.runs().size();
    json.writeArrayFieldStart(name);
    for (int i = 0; i < runs; i++) {
      json.writeStartArray();
      for (int j = 0; j < runs; j++) {
        double number =
            i == j ? Double.NaN : value.applyAsDouble(pairs.get(report.pairIndex(i, j)));
        if (Double.isFinite(number)) {
          json.writeNumber(number);
        } else {
          json.writeNull();
        }
      }
      json.writeEndArray();
    }
    json.writeEndArray();
  }

  private void groups(String name, Map<String, Agreement> groups) throws IOException {
    json.writeObjectFieldStart(name);
    for (Map.Entry<String, Agreement> group : groups.entrySet()) {
      agreement(group.getKey(), group.getValue());
    }
    json.writeEndObject();
  }

  private void agreement(String name, Agreement agreement) throws IOException {
    json.writeObjectFieldStart(name);
    numbers(agreement);
    json.writeEndObject();
  }

  private void numbers(Agreement agreement) throws IOException {
    GeometryJson.number(json, "jaccard", agreement.jaccard());
    GeometryJson.number(json, "bernoulliJaccard", agreement.bernoulliJaccard());
    GeometryJson.number(json, "magnitudeJaccard", agreement.magnitudeJaccard());
    GeometryJson.number(json, "magnitudeSd", agreement.magnitudeSd());
    GeometryJson.number(json, "magnitudeZ", agreement.z());
  }

  private void tensor(TensorConsensus tensor, int runs) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", tensor.name());
    if (tensor.layer().isPresent()) {
      json.writeNumberField("layer", tensor.layer().getAsInt());
    } else {
      json.writeNullField("layer");
    }
    json.writeStringField("kind", tensor.kind());
    long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
    json.writeFieldName("shape");
    json.writeArray(shape, 0, shape.length);
    json.writeFieldName("changed");
    json.writeArray(tensor.changed(), 0, tensor.changed().length);
    agreement("agreement", tensor.agreement());
    json.writeFieldName("changedByRuns");
    json.writeArray(tensor.memberships(), 0, tensor.memberships().length);
    new GeometryJson(json).doubles("changedByRunsNull", tensor.membershipsNull());
    bands("rows", tensor.rows());
    bands("columns", tensor.columns());
    json.writeArrayFieldStart("perHead");
    for (TensorConsensus.Head head : tensor.heads()) {
      json.writeStartObject();
      json.writeStringField("part", head.part());
      json.writeNumberField("head", head.head());
      numbers(head.agreement());
      json.writeEndObject();
    }
    json.writeEndArray();
    if (maps) {
      HtmlPage.map(json, "map", tensor.map(), tensor.shape(), runs);
    }
    json.writeEndObject();
  }

  private void bands(String name, TensorConsensus.Bands bands) throws IOException {
    json.writeObjectFieldStart(name);
    GeometryJson.number(json, "correlation", bands.correlation());
    GeometryJson.number(json, "beyondMagnitude", bands.beyondMagnitude());
    GeometryJson.number(json, "magnitude", bands.magnitude());
    GeometryJson.number(json, "nullSd", bands.nullSd());
    json.writeEndObject();
  }

  private void trajectory(ConsensusReport report) throws IOException {
    if (report.steps().length == 0) {
      json.writeNullField("trajectory");
      return;
    }
    json.writeObjectFieldStart("trajectory");
    json.writeArrayFieldStart("steps");
    for (StepSummary step : report.stepSummaries()) {
      json.writeStartObject();
      GeometryJson.number(json, "step", step.step());
      GeometryJson.number(json, "sparsity", step.sparsity());
      GeometryJson.number(json, "relativeFrobenius", step.relativeFrobenius());
      GeometryJson.number(json, "nss", step.nss());
      GeometryJson.number(json, "nssNull", step.nssNull());
      GeometryJson.number(json, "angle", step.angle());
      GeometryJson.number(json, "angleNull", step.angleNull());
      GeometryJson.number(json, "locking", step.locking());
      GeometryJson.number(json, "lockingRandom", step.lockingRandom());
      GeometryJson.number(json, "lockingWalk", step.lockingWalk());
      GeometryJson.number(json, "rowStability", step.rowStability());
      GeometryJson.number(json, "rowStabilityBeyondMagnitude", step.rowStabilityBeyondMagnitude());
      GeometryJson.number(json, "columnStability", step.columnStability());
      GeometryJson.number(
          json, "columnStabilityBeyondMagnitude", step.columnStabilityBeyondMagnitude());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayFieldStart("tensors");
    for (TensorTrajectory tensor : report.trajectory()) {
      json.writeStartObject();
      json.writeStringField("name", tensor.name());
      json.writeStringField("kind", tensor.kind());
      GeometryJson.number(json, "linearity", tensor.linearity());
      GeometryJson.number(json, "walkLinearity", tensor.walkLinearity());
      json.writeArrayFieldStart("steps");
      for (TensorTrajectory.Step step : tensor.steps()) {
        step(step);
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void step(TensorTrajectory.Step step) throws IOException {
    json.writeStartObject();
    GeometryJson.number(json, "sparsity", step.totals().sparsity());
    GeometryJson.number(json, "relativeFrobenius", step.totals().relativeFrobenius());
    GeometryJson.number(json, "locking", step.locking());
    json.writeObjectFieldStart("lockingNulls");
    for (NullEstimate estimate : step.lockingNulls()) {
      json.writeObjectFieldStart(estimate.model());
      GeometryJson.number(json, "mean", estimate.mean());
      GeometryJson.number(json, "sd", estimate.sd());
      GeometryJson.number(json, "z", estimate.z(step.locking()));
      json.writeEndObject();
    }
    json.writeEndObject();
    bands("rowStability", step.rowStability());
    bands("columnStability", step.columnStability());
    if (!maps) {
      new GeometryJson(json).fields(java.util.Optional.of(step.geometry()));
    }
    json.writeEndObject();
  }
}
