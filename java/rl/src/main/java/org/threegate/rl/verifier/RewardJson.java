package org.threegate.rl.verifier;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.threegate.checkpoint.Json;
import org.threegate.rl.task.Message;

/** The JSON that commands and services are asked with, and answer with. */
final class RewardJson {
  static final int LONGEST_ANSWER = 1 << 20; // bytes
  private static final int MOST_METRICS = 100;
  private static final int LONGEST_NAME = 100;

  private RewardJson() {}

  /** Returns a question in one line. */
  static String question(Attempt attempt, long id) {
    ObjectNode node = JsonNodeFactory.instance.objectNode();
    node.put("id", id);
    node.put("prompt", attempt.problem().prompt());
    node.put("completion", attempt.response());
    node.put("answer", attempt.problem().answer());
    for (int token : attempt.tokens()) {
      node.withArrayProperty("tokens").add(token);
    }
    if (attempt.messages().size() > 1) {
      for (Message message : attempt.messages()) {
        node.withArrayProperty("messages")
            .addObject()
            .put("role", message.role())
            .put("content", message.content());
      }
    }
    node.set("row", Json.parseObject(attempt.problem().row(), "row"));
    return node.toString();
  }

  /** Reads {@code {"score": 0.5, "metrics": {"format": 1}}}; a score of null is missing. */
  static Scores answer(String text, String where) throws IOException {
    JsonNode node = Json.parseObject(text, where);
    Map<String, Double> metrics = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> metric : node.path("metrics").properties()) {
      if (metrics.size() == MOST_METRICS || metric.getKey().length() > LONGEST_NAME) {
        throw new IOException(
            where
                + ": more than "
                + MOST_METRICS
                + " metrics, or a name longer than "
                + LONGEST_NAME);
      }
      metrics.put(metric.getKey(), number(metric.getValue(), where));
    }
    if (!node.has("score")) {
      throw new IOException(where + ": the answer has no \"score\"");
    }
    return new Scores(number(node.path("score"), where), metrics);
  }

  private static double number(JsonNode node, String where) throws IOException {
    if (node.isNull()) {
      return Double.NaN;
    }
    if (!node.isNumber() || !Double.isFinite(node.doubleValue())) {
      throw new IOException(where + ": a score must be a finite number or null");
    }
    return node.doubleValue();
  }
}
