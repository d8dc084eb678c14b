package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.threegate.rl.event.MetricKind;
import org.threegate.rl.event.TrainingEvent;

/** Writes an event as a JSON object: step, kind of the event, and metrics. */
final class EventRow {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private EventRow() {}

  static String of(TrainingEvent event) {
    return of(event, UnaryOperator.identity());
  }

  /**
   * Writes an event.
   *
   * @param event the event
   * @param shown converts texts, for example to escape control characters
   */
  static String of(TrainingEvent event, UnaryOperator<String> shown) {
    ObjectNode row = MAPPER.createObjectNode().put("step", event.step());
    if (event instanceof TrainingEvent.StepSkipped skipped) {
      row.put("event", "skipped").put("reason", shown.apply(skipped.reason()));
    } else if (event instanceof TrainingEvent.Measured measured) {
      row.put("event", shown.apply(measured.of()));
    } else {
      row.put("event", "step");
    }
    put(row, event.metrics(), shown);
    return row.toString();
  }

  /** Writes the updates of a step that had several, a row for each. */
  static List<String> updates(TrainingEvent event) {
    List<Map<String, Double>> updates = event.details().updates();
    List<String> rows = new ArrayList<>();
    for (int i = 0; i < updates.size() && updates.size() > 1; i++) {
      ObjectNode row = MAPPER.createObjectNode().put("step", event.step()).put("event", "update");
      row.put("update", i + 1);
      put(row, updates.get(i), UnaryOperator.identity());
      rows.add(row.toString());
    }
    return rows;
  }

  private static void put(
      ObjectNode row, Map<String, Double> metrics, UnaryOperator<String> shown) {
    metrics.forEach(
        (name, value) -> {
          // A double has all whole numbers up to 2^53.
          if (MetricKind.of(name).isWhole()
              && Math.rint(value) == value
              && Math.abs(value) < 1L << 53) {
            row.put(shown.apply(name), (long) (double) value);
          } else if (Double.isFinite(value)) {
            row.put(shown.apply(name), value);
          } else {
            row.putNull(shown.apply(name));
          }
        });
  }
}
