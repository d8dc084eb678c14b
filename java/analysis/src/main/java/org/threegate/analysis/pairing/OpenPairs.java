package org.threegate.analysis.pairing;

import java.util.ArrayList;
import java.util.List;
import org.threegate.kernel.Context;

/**
 * The pairs of one weight in several runs, open at the same time.
 *
 * @param pairs one pair per run
 */
public record OpenPairs(List<TensorPair> pairs) implements AutoCloseable {
  /** Copies the list. */
  public OpenPairs {
    pairs = List.copyOf(pairs);
  }

  /**
   * Opens pairs.
   *
   * @param context context that allocates memory for entries that are computed
   * @param shared one pair per run
   * @return the pairs, to be closed
   */
  public static OpenPairs of(Context context, List<WeightPair> shared) {
    List<TensorPair> opened = new ArrayList<>();
    try {
      for (WeightPair pair : shared) {
        opened.add(pair.open(context));
      }
      return new OpenPairs(opened);
    } catch (RuntimeException e) {
      opened.forEach(TensorPair::close);
      throw e;
    }
  }

  @Override
  public void close() {
    pairs.forEach(TensorPair::close);
  }
}
