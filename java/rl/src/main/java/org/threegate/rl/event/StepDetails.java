package org.threegate.rl.event;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What is known of a step besides its metrics.
 *
 * @param updates the metrics of each optimizer update of the step, in their order
 * @param completions the sampled completions; those of a prompt are adjacent
 * @param timings measurements that depend on the clock, by name: {@code step_time} and {@code
 *     time/…} in seconds, and {@code tokens_per_second}
 */
public record StepDetails(
    List<Map<String, Double>> updates,
    List<SampledCompletion> completions,
    Map<String, Double> timings) {
  /** Nothing. */
  public static final StepDetails NONE = new StepDetails(List.of(), List.of(), Map.of());

  /** Copies the parts. */
  public StepDetails {
    updates = List.copyOf(updates);
    completions = List.copyOf(completions);
    timings = Collections.unmodifiableMap(new LinkedHashMap<>(timings));
  }
}
