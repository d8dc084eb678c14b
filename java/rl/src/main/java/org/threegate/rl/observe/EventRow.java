package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.threegate.rl.event.TrainingEvent;

/** An event as an object of JSON: its step, what it was, its metrics. */
final class EventRow {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private EventRow() {}

  static String of(TrainingEvent event) {
    ObjectNode row = MAPPER.createObjectNode().put("step", event.step());
    if (event instanceof TrainingEvent.StepSkipped skipped) {
      row.put("event", "skipped").put("reason", skipped.reason());
    } else if (event instanceof TrainingEvent.Measured measured) {
      row.put("event", measured.of());
    } else {
      row.put("event", "step");
    }
    event
        .metrics()
        .forEach(
            (name, value) -> {
              if (Double.isFinite(value)) {
                row.put(name, value);
              } else {
                row.putNull(name);
              }
            });
    return row.toString();
  }
}
