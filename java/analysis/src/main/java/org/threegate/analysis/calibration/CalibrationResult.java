package org.threegate.analysis.calibration;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.threegate.analysis.statistics.Proportion;
import org.threegate.analysis.statistics.Verdict;

/**
 * The verdicts on updates whose truth is known.
 *
 * @param matrices number of matrices that each update changed
 * @param layers number of layers that they come from
 * @param seeds number of updates of each kind
 * @param rows one row per kind of update, in a fixed order
 * @param skipped matrices that were left out, with the reason
 */
public record CalibrationResult(
    int matrices, int layers, int seeds, List<Row> rows, Map<String, String> skipped) {
  /** Copies the collections. */
  public CalibrationResult {
    rows = List.copyOf(rows);
    skipped = Collections.unmodifiableMap(new LinkedHashMap<>(skipped));
  }

  /**
   * The verdicts on one kind of update.
   *
   * @param update name of the kind
   * @param description what the update is
   * @param truth what is true of it
   * @param verdicts numbers of verdicts by claim, over seeds
   * @param causes trivial causes that were named, by identifier, with the number of seeds
   */
  public record Row(
      String update,
      String description,
      Truth truth,
      Map<String, Map<Verdict, Integer>> verdicts,
      Map<String, Integer> causes) {
    /** Copies the maps. */
    public Row {
      Map<String, Map<Verdict, Integer>> copy = new LinkedHashMap<>();
      verdicts.forEach((claim, counts) -> copy.put(claim, Map.copyOf(counts)));
      verdicts = Collections.unmodifiableMap(copy);
      causes = Collections.unmodifiableMap(new TreeMap<>(causes));
    }

    /** {@return the number of false verdicts among all; of planted effects none is counted} */
    public Proportion falseVerdicts() {
      long wrong = 0;
      long all = 0;
      if (truth.isNothing()) {
        for (Map<Verdict, Integer> ofClaim : verdicts.values()) {
          for (Map.Entry<Verdict, Integer> entry : ofClaim.entrySet()) {
            all += entry.getValue();
            wrong += entry.getKey().isDecided() ? entry.getValue() : 0;
          }
        }
      }
      return new Proportion(wrong, all);
    }

    /** {@return how many of the planted effects were found} */
    public Proportion found() {
      long right = 0;
      long all = 0;
      for (Map.Entry<String, Verdict> planted : truth.planted().entrySet()) {
        Map<Verdict, Integer> ofClaim = verdicts.getOrDefault(planted.getKey(), Map.of());
        right += ofClaim.getOrDefault(planted.getValue(), 0);
        all += ofClaim.values().stream().mapToLong(Integer::longValue).sum();
      }
      return new Proportion(right, all);
    }
  }

  /** {@return the false verdicts on all updates that know nothing} */
  public Proportion falseVerdicts() {
    return sum(rows.stream().map(Row::falseVerdicts).toList());
  }

  /** {@return the planted effects that were found} */
  public Proportion found() {
    return sum(rows.stream().map(Row::found).toList());
  }

  /**
   * {@return the false verdicts on one claim}
   *
   * @param claim identifier of the claim
   */
  public Proportion falseVerdicts(String claim) {
    return sum(
        rows.stream()
            .filter(row -> row.truth().isNothing())
            .map(
                row ->
                    new Row(
                            row.update(),
                            row.description(),
                            row.truth(),
                            Map.of(claim, row.verdicts().getOrDefault(claim, Map.of())),
                            row.causes())
                        .falseVerdicts())
            .toList());
  }

  /** {@return the identifiers of all claims, in the order of the first row} */
  public List<String> claims() {
    return rows.stream().flatMap(row -> row.verdicts().keySet().stream()).distinct().toList();
  }

  private static Proportion sum(List<Proportion> parts) {
    return new Proportion(
        parts.stream().mapToLong(Proportion::count).sum(),
        parts.stream().mapToLong(Proportion::trials).sum());
  }
}
