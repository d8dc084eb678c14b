package org.threegate.analysis.compare;

import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Tensor;

/** Tells when the pages of a stored tensor are read for the last time. Parts share a tensor. */
final class PageUse {
  private final Map<Tensor, Integer> left = new HashMap<>();

  PageUse(Collection<WeightPair> pairs) {
    for (WeightPair pair : pairs) {
      distinct(pair).forEach(tensor -> left.merge(tensor, 1, Integer::sum));
    }
  }

  private static Collection<Tensor> distinct(WeightPair pair) {
    return new LinkedHashSet<>(pair.tensors());
  }

  /** Returns the tensors that no pair reads after this one, which is done. */
  List<Tensor> lastReadBy(WeightPair pair) {
    return distinct(pair).stream()
        .filter(tensor -> left.computeIfPresent(tensor, (key, n) -> n == 1 ? null : n - 1) == null)
        .toList();
  }
}
