package org.threegate.rl.event;

import java.util.List;

/** Receives the events of a training run, like a callback in transformers. */
@FunctionalInterface
public interface TrainingObserver {
  /**
   * Receives an event. It is called by the thread that trains, which waits for the return.
   *
   * @param event the event
   */
  void on(TrainingEvent event);

  /**
   * {@return an observer that passes each event on to several others, in their order}
   *
   * @param observers the observers, in the order of their calls
   */
  static TrainingObserver all(List<? extends TrainingObserver> observers) {
    List<TrainingObserver> all = List.copyOf(observers);
    return event -> all.forEach(observer -> observer.on(event));
  }
}
