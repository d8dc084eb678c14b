package org.threegate.rl.event;

import java.util.List;

/** Receives the events of a training run, like a callback in transformers. */
@FunctionalInterface
public interface TrainingObserver {
  void on(TrainingEvent event);

  /** Returns an observer that passes each event on to several others, in their order. */
  static TrainingObserver all(List<? extends TrainingObserver> observers) {
    List<TrainingObserver> all = List.copyOf(observers);
    return event -> all.forEach(observer -> observer.on(event));
  }
}
