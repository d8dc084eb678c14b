package org.threegate.report;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.threegate.analysis.calibration.CalibrationResult;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Proportion;
import org.threegate.analysis.statistics.Verdict;

/** The document of a calibration. */
record CalibrationJson(
    int schema,
    String threegate,
    List<String> command,
    String base,
    double elapsedSeconds,
    int matrices,
    int distinctLayers,
    int seeds,
    Rate falseVerdicts,
    Rate found,
    Map<String, Rate> falseByClaim,
    List<Update> updates,
    Map<String, String> skipped) {
  private static final int SCHEMA = 1;
  private static final double LEVEL = 0.95;

  record Rate(long count, long of, double share, double low, double high) {
    static Rate of(Proportion proportion) {
      ClusteredMean.Interval interval = proportion.interval(LEVEL);
      return new Rate(
          proportion.count(),
          proportion.trials(),
          proportion.value(),
          interval.low(),
          interval.high());
    }
  }

  record Update(
      String update,
      String description,
      Map<String, String> planted,
      Optional<Rate> falseVerdicts,
      Optional<Rate> found,
      Map<String, Map<String, Integer>> verdicts,
      Map<String, Integer> causes) {
    static Update of(CalibrationResult.Row row) {
      Map<String, String> planted = new TreeMap<>();
      row.truth().planted().forEach((claim, verdict) -> planted.put(claim, verdict.label()));
      Map<String, Map<String, Integer>> verdicts = new LinkedHashMap<>();
      row.verdicts().forEach((claim, counts) -> verdicts.put(claim, labelled(counts)));
      boolean nothing = row.truth().isNothing();
      return new Update(
          row.update(),
          row.description(),
          planted,
          nothing ? Optional.of(Rate.of(row.falseVerdicts())) : Optional.empty(),
          nothing ? Optional.empty() : Optional.of(Rate.of(row.found())),
          verdicts,
          row.causes());
    }

    private static Map<String, Integer> labelled(Map<Verdict, Integer> counts) {
      Map<String, Integer> labelled = new TreeMap<>();
      counts.forEach((verdict, count) -> labelled.put(verdict.label(), count));
      return labelled;
    }
  }

  static CalibrationJson of(CalibrationReport report) {
    CalibrationResult result = report.result();
    Map<String, Rate> byClaim = new LinkedHashMap<>();
    result.claims().forEach(claim -> byClaim.put(claim, Rate.of(result.falseVerdicts(claim))));
    return new CalibrationJson(
        SCHEMA,
        report.provenance().version(),
        report.provenance().command(),
        report.base(),
        report.provenance().seconds(),
        result.matrices(),
        result.layers(),
        result.seeds(),
        Rate.of(result.falseVerdicts()),
        Rate.of(result.found()),
        byClaim,
        result.rows().stream().map(Update::of).toList(),
        result.skipped());
  }
}
