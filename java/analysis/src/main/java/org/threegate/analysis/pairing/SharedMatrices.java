package org.threegate.analysis.pairing;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.run.InvalidInputException;

/**
 * The matrices that several checkpoints share with one base, and an account of all stored tensors.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint one = Checkpoint.open(context, Path.of("run-1"));
 *     Checkpoint two = Checkpoint.open(context, Path.of("run-2"))) {
 *   SharedMatrices shared = SharedMatrices.of(before, List.of(one, two), name -> true);
 *   System.out.println(shared.byName().keySet() + " " + shared.accounting().base().refused());
 * }
 * }</pre>
 *
 * @param byName for each matrix name, one pair per run, in the order of the runs
 * @param accounting where each stored tensor ended
 * @param matched pairs of names that differ by a prefix, as "name of the base = name of the run"
 * @param quantized names of the matrices that the base or a run alone stores in a quantized layout
 */
public record SharedMatrices(
    Map<String, List<WeightPair>> byName,
    Accounting.OfRuns accounting,
    List<String> matched,
    Set<String> quantized) {
  /** Copies the collections; their order is kept. */
  public SharedMatrices {
    byName = Collections.unmodifiableMap(new LinkedHashMap<>(byName));
    matched = List.copyOf(matched);
    quantized = Collections.unmodifiableSet(new LinkedHashSet<>(quantized));
  }

  /**
   * {@return this without its matrices} Pairs refer to mapped files; the rest stays valid after the
   * files are closed.
   */
  public SharedMatrices withoutPairs() {
    return new SharedMatrices(Map.of(), accounting, matched, quantized);
  }

  /** {@return the size of all matrices in their files, in bytes} */
  public long bytes() {
    return byName.values().stream().flatMap(List::stream).mapToLong(WeightPair::bytes).sum();
  }

  /**
   * Pairs the matrices of a base with those of runs.
   *
   * @param base checkpoint that all runs started from
   * @param runs tuned checkpoints
   * @param selected selects matrices by name
   * @return the matrices that all runs have
   * @throws InvalidInputException if there is none
   */
  public static SharedMatrices of(
      Checkpoint base, List<Checkpoint> runs, Predicate<String> selected) {
    List<Pairing> pairings = Pairing.shared(base, runs, selected);
    Map<String, List<WeightPair>> byName = new LinkedHashMap<>();
    Set<String> matched = new LinkedHashSet<>();
    Set<String> quantized = new LinkedHashSet<>();
    for (Pairing pairing : pairings) {
      matched.addAll(pairing.matched());
      for (WeightPair pair : pairing.pairs()) {
        byName.computeIfAbsent(pair.name(), name -> new ArrayList<>()).add(pair);
        if (pair.isQuantizedOnOneSide()) {
          quantized.add(pair.name());
        }
      }
    }
    if (byName.isEmpty()) {
      throw new InvalidInputException(
          base.path() + ": no matrix has the same shape in all of the runs");
    }
    Accounting.OfRuns accounting =
        new Accounting.OfRuns(
            pairings.get(0).accounting().base(),
            pairings.stream().map(pairing -> pairing.accounting().tuned()).toList());
    return new SharedMatrices(byName, accounting, List.copyOf(matched), quantized);
  }
}
