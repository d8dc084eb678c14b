package org.threegate.rl.event;

/** Is told what happens; the trainer does not know what it does with it. */
@FunctionalInterface
public interface TrainingObserver {
  void on(TrainingEvent event);
}
