package org.threegate.rl.train;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.threegate.rl.event.Decision;
import org.threegate.rl.event.TrainingCallback;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/** The callbacks of a run, and what they have decided. */
final class Callbacks {
  private static final String STOPPED = "stop_reason";
  private static final String RATE = "callback_learning_rate";
  private static final String STATE = "callback/";
  private static final String COUNT = "callbacks";

  private final List<TrainingCallback> all = new ArrayList<>();
  private Decision decided = Decision.GO_ON;

  void add(TrainingCallback callback) {
    all.add(callback);
  }

  /** Asks all callbacks. The first reason to stop counts, and the last learning rate. */
  void after(TrainingEvent event) {
    for (TrainingCallback callback : all) {
      Decision own = callback.after(event);
      decided =
          new Decision(
              decided.stopReason().or(own::stopReason),
              own.learningRate().isPresent() ? own.learningRate() : decided.learningRate());
    }
  }

  Optional<String> stopReason() {
    return decided.stopReason();
  }

  /** Returns the learning rate of later steps, where the run has another one. */
  double rate(double standard) {
    return decided.learningRate().orElse(standard);
  }

  /** Returns what a resumed run needs. */
  Map<String, String> numbers() {
    Map<String, String> numbers = new LinkedHashMap<>();
    decided.stopReason().ifPresent(reason -> numbers.put(STOPPED, reason));
    decided.learningRate().ifPresent(rate -> numbers.put(RATE, Double.toString(rate)));
    if (!all.isEmpty()) {
      numbers.put(COUNT, Integer.toString(all.size()));
    }
    for (int i = 0; i < all.size(); i++) {
      String prefix = STATE + i + "/";
      all.get(i).state().forEach((name, value) -> numbers.put(prefix + name, value));
    }
    return numbers;
  }

  /** Returns the step that restores {@link #numbers}, which it checks before. */
  Runnable restored(Path file, Map<String, String> metadata) {
    String count = metadata.getOrDefault(COUNT, "0");
    if (!count.equals(Integer.toString(all.size()))) {
      throw new InvalidInputException(
          file
              + ": the run had "
              + PrintableText.name(count)
              + " callbacks, and has "
              + all.size());
    }
    Optional<String> reason = Optional.ofNullable(metadata.get(STOPPED));
    Optional<String> rate = Optional.ofNullable(metadata.get(RATE));
    Decision saved;
    try {
      saved =
          new Decision(
              reason,
              rate.isPresent()
                  ? OptionalDouble.of(Double.parseDouble(rate.get()))
                  : OptionalDouble.empty());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          file + ": the decision of a callback in its metadata: " + e.getMessage(), e);
    }
    return () -> {
      decided = saved;
      for (int i = 0; i < all.size(); i++) {
        restore(file, all.get(i), part(metadata, STATE + i + "/"));
      }
    };
  }

  private static void restore(Path file, TrainingCallback callback, Map<String, String> state) {
    try {
      callback.restore(state);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          file + ": the state of a callback cannot be restored: " + e.getMessage(), e);
    }
  }

  private static Map<String, String> part(Map<String, String> metadata, String prefix) {
    Map<String, String> part = new LinkedHashMap<>();
    metadata.forEach(
        (name, value) -> {
          if (name.startsWith(prefix)) {
            part.put(name.substring(prefix.length()), value);
          }
        });
    return part;
  }
}
