package org.threegate.checkpoint.adapter;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.weight.Weight;

/**
 * The weights that an adapter makes of a base. Each tensor of the adapter is the source of a
 * replaced weight, is used in an update, or is unmatched.
 *
 * @param byName changed and replaced weights; those that the base lacks too
 * @param unfit names of weights of the base whose shape no factors fit, with the factors' shape
 * @param uses tensors of the adapter that are parts of updates, with the weights that they update
 * @param unmatched tensors of the adapter that cannot be applied
 */
public record AdaptedWeights(
    Map<String, Weight> byName,
    Map<String, String> unfit,
    Map<String, List<String>> uses,
    Map<String, Unmatched> unmatched) {
  /**
   * Why a tensor cannot be applied.
   *
   * @param weight name of the weight that it would change
   * @param reason one phrase
   */
  public record Unmatched(String weight, String reason) {}

  /** Copies the maps; their order is kept. */
  public AdaptedWeights {
    byName = Collections.unmodifiableMap(new LinkedHashMap<>(byName));
    unfit = Collections.unmodifiableMap(new LinkedHashMap<>(unfit));
    uses = Collections.unmodifiableMap(new LinkedHashMap<>(uses));
    unmatched = Collections.unmodifiableMap(new LinkedHashMap<>(unmatched));
  }
}
