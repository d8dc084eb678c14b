package org.threegate.rl.observe;

import java.time.Duration;

/**
 * How long to wait for the server.
 *
 * @param first for each answer before training begins
 * @param last for the last metrics, when the observer is closed
 * @param retry between two attempts; it doubles with each of them up to 64 times
 */
record MlflowPatience(Duration first, Duration last, Duration retry) {
  static final MlflowPatience DEFAULT =
      new MlflowPatience(Duration.ofSeconds(30), Duration.ofSeconds(30), Duration.ofSeconds(1));
}
