package org.threegate.rl.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.threegate.file.InputLines;

/**
 * Decides when a run is evaluated, which evaluation was the best one, and when the run ends early.
 * A resumed run reads the evaluations before it from the metrics, so that nothing else is saved.
 */
final class Evaluations {
  /** The kind of the events of evaluations. */
  static final String EVENT = "test";

  private static final int LONGEST = 1 << 24; // bytes of a line
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final TrainingConfig.Evaluation options;
  private final Set<Long> steps = new HashSet<>();
  private long bestStep = -1;
  private double best = Double.NEGATIVE_INFINITY;
  private int inVain;

  Evaluations(TrainingConfig.Evaluation options) {
    this.options = options;
  }

  /** Reads the evaluations up to a step from the file of metrics. */
  static Evaluations read(TrainingConfig.Evaluation options, Path metrics, long upTo) {
    Evaluations evaluations = new Evaluations(options);
    if (upTo == 0 || !Files.exists(metrics)) {
      return evaluations;
    }
    try (InputLines lines = InputLines.ofRun(metrics, LONGEST)) {
      for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
        JsonNode row = row(line.get());
        if (row.path("event").asText().equals(EVENT) && row.path("step").asLong() <= upTo) {
          double value = row.path(options.metricForBestModel()).asDouble(Double.NaN);
          evaluations.add(row.path("step").asLong(), Map.of(options.metricForBestModel(), value));
        }
      }
    }
    return evaluations;
  }

  private static JsonNode row(String line) {
    try {
      return MAPPER.readTree(line);
    } catch (JsonProcessingException e) {
      return MAPPER.missingNode(); // an incomplete line, left by a killed run
    }
  }

  /** Adds an evaluation, and returns whether it is the best one so far. */
  boolean add(long step, Map<String, Double> metrics) {
    double value = metrics.getOrDefault(options.metricForBestModel(), Double.NaN);
    boolean isBest = bestStep < 0 || value > best;
    boolean isProgress = bestStep < 0 || value - best > options.earlyStoppingThreshold();
    inVain = isProgress ? 0 : inVain + 1;
    steps.add(step);
    if (isBest) {
      best = value;
      bestStep = step;
    }
    return isBest;
  }

  /** Returns whether the model is evaluated after a step. */
  boolean isDue(long step) {
    return options.evalSteps() > 0 && step % options.evalSteps() == 0;
  }

  boolean has(long step) {
    return steps.contains(step);
  }

  /** Returns whether the run ends, because evaluations have not become better. */
  boolean isStopped() {
    return options.earlyStoppingPatience() > 0 && inVain >= options.earlyStoppingPatience();
  }

  /** Returns the step of the best evaluation, or -1 without any. */
  long bestStep() {
    return bestStep;
  }
}
