package org.threegate.rl.event;

import java.util.List;

/** Is told what happens; the trainer does not know what it does with it. */
@FunctionalInterface
public interface TrainingObserver {
  void on(TrainingEvent event);

  /** Tells several, in their order. */
  static TrainingObserver all(List<? extends TrainingObserver> observers) {
    List<TrainingObserver> all = List.copyOf(observers);
    return event -> all.forEach(observer -> observer.on(event));
  }
}
