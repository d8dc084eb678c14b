package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.function.UnaryOperator;
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
    event
        .metrics()
        .forEach(
            (name, value) -> {
              if (Double.isFinite(value)) {
                row.put(shown.apply(name), value);
              } else {
                row.putNull(shown.apply(name));
              }
            });
    return row.toString();
  }
}
