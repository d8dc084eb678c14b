package org.threegate.analysis.calibration;

import java.util.Map;
import org.threegate.analysis.statistics.Verdict;

/**
 * What is true of an update.
 *
 * @param planted verdicts that have to be found, by the identifier of the claim; empty if the
 *     update knows nothing, so that every verdict for or against a claim is false
 */
public record Truth(Map<String, Verdict> planted) {
  /** Nothing is true of the update. */
  public static final Truth NOTHING = new Truth(Map.of());

  /** Copies the map. */
  public Truth {
    planted = Map.copyOf(planted);
  }

  /** {@return whether the update knows nothing} */
  public boolean isNothing() {
    return planted.isEmpty();
  }
}
