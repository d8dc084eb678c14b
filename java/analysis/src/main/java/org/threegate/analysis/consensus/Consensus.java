package org.threegate.analysis.consensus;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.pairing.OpenPairs;
import org.threegate.analysis.pairing.SharedMatrices;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.Correlation;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Judge;
import org.threegate.analysis.statistics.MagnitudeBins;
import org.threegate.analysis.statistics.MagnitudeMatched;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.ChangeModel;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MagnitudeOverlaps;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Measures whether runs from the same base change the same weights (arXiv 2511.08567, section 2.2).
 * The agreement is compared with two null models: one that knows the densities of the changes, and
 * one that also knows the magnitudes of the weights.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint one = Checkpoint.open(context, Path.of("run-1"));
 *     Checkpoint two = Checkpoint.open(context, Path.of("run-2"))) {
 *   for (TensorConsensus tensor :
 *       Consensus.of(context, before, List.of(one, two), name -> true, Progress.NONE, control)) {
 *     System.out.println(tensor.name() + " " + tensor.agreement().jaccard());
 *   }
 * }
 * }</pre>
 */
public final class Consensus {
  private Consensus() {}

  /**
   * Compares two or more runs with the same base.
   *
   * @param context context that runs the kernels
   * @param base checkpoint that all runs started from
   * @param runs tuned checkpoints, at least two
   * @param selected selects matrices by name
   * @param progress receives the bytes of the matrices that are done
   * @param control cancels the measurement
   * @return one result per matrix that all runs share with the base
   */
  public static List<TensorConsensus> of(
      Context context,
      Checkpoint base,
      List<Checkpoint> runs,
      Predicate<String> selected,
      Progress progress,
      Control control) {
    List<TensorConsensus> tensors =
        of(context, SharedMatrices.of(base, runs, selected), progress, control);
    base.check();
    runs.forEach(Checkpoint::check);
    return tensors;
  }

  /**
   * Compares two or more runs in the matrices that they share.
   *
   * @param context context that runs the kernels
   * @param shared matrices of open checkpoints
   * @param progress receives the bytes of the matrices that are done
   * @param control cancels the measurement
   * @return one result per matrix
   */
  public static List<TensorConsensus> of(
      Context context, SharedMatrices shared, Progress progress, Control control) {
    long total = shared.bytes();
    long done = 0;
    List<TensorConsensus> tensors = new ArrayList<>();
    for (List<WeightPair> pairs : shared.byName().values()) {
      progress.at(pairs.get(0).name(), done, total);
      try (OpenPairs opened = OpenPairs.of(context, pairs)) {
        tensors.add(of(context, opened.pairs(), control));
      }
      done += pairs.stream().mapToLong(WeightPair::bytes).sum();
    }
    progress.at("", total, total);
    return List.copyOf(tensors);
  }

  private static Mask mask(Context context, TensorPair pair, Control control) {
    Bf16Diff.Profiles profiles = Bf16Diff.Profiles.MASK;
    Bf16Diff.Result diff =
        Bf16Diff.compare(context, new Bf16Diff.Pair(pair.base(), pair.tuned(), profiles), control);
    return diff.mask().orElseThrow();
  }

  /**
   * Compares the runs in one matrix.
   *
   * @param context context that runs the kernels
   * @param pairs pairs with the same base, one per run
   * @param control cancels the measurement
   * @return the agreement of the runs
   */
  public static TensorConsensus of(Context context, List<TensorPair> pairs, Control control) {
    TensorPair first = pairs.get(0);
    Operand base = first.base();
    List<Mask> masks = pairs.stream().map(pair -> mask(context, pair, control)).toList();
    Magnitudes magnitudes = Magnitudes.of(context, base, masks);
    MaskSets.Overlaps overlaps = MaskSets.overlaps(context, masks);
    Bands bands = bands(context, base, masks, magnitudes);
    ChangeMap map = ChangeMap.of(masks);
    boolean transposed = first.transposed();
    return new TensorConsensus(
        first.name(),
        first.layer(),
        first.kind().label(),
        transposed ? List.of(base.columns(), base.rows()) : List.of(base.rows(), base.columns()),
        new TensorConsensus.Overlap(
            IntStream.range(0, masks.size()).mapToLong(i -> overlaps.common(i, i)).toArray(),
            magnitudes.agreements(masks),
            overlaps.memberships(),
            magnitudes.changedByRuns(),
            conditional(context, base, masks, magnitudes.bins(), overlaps)),
        new TensorConsensus.Places(
            transposed ? map.transposed() : map,
            heads(context, first, masks),
            transposed ? bands.columns() : bands.rows(),
            transposed ? bands.rows() : bands.columns()));
  }

  /** Tests the runs of each pair against each other, given rows, columns and magnitudes. */
  private static Optional<TensorConsensus.Conditional> conditional(
      Context context,
      Operand base,
      List<Mask> masks,
      MagnitudeBins bins,
      MaskSets.Overlaps overlaps) {
    double excess = 0;
    double sum = 0;
    double error = 0;
    int tests = 0;
    for (int i = 0; i < masks.size(); i++) {
      int own = i;
      List<Mask> others =
          IntStream.range(0, masks.size())
              .filter(other -> other != own)
              .mapToObj(masks::get)
              .toList();
      ChangeModel model = ChangeModel.ofRanges(base, masks.get(i), bins.ends());
      ChangeModel.Fit fit = model.fit(context);
      if (!fit.convergence().converged()) {
        return Optional.empty();
      }
      for (ChangeModel.Score score : model.score(context, fit, others)) {
        if (!score.convergence().converged() || !(score.information() > 0)) {
          return Optional.empty();
        }
        excess += score.score();
        sum += score.logOdds();
        error += score.logOddsError();
        tests++;
      }
    }
    double common = 0;
    for (int i = 0; i < masks.size(); i++) {
      for (int j = i + 1; j < masks.size(); j++) {
        common += overlaps.common(i, j);
      }
    }
    // Each pair is tested in both directions, which see the same common entries.
    return tests == 0
        ? Optional.empty()
        : Optional.of(
            new TensorConsensus.Conditional(common - excess / 2, sum / tests, error / tests));
  }

  /** Counts of entries and changes by the magnitude of the base, which the null models share. */
  private record Magnitudes(MagnitudeOverlaps.Result counts, MagnitudeBins bins) {
    static Magnitudes of(Context context, Operand base, List<Mask> masks) {
      MagnitudeOverlaps.Result counts = MagnitudeOverlaps.of(context, base, masks);
      return new Magnitudes(
          counts, MagnitudeBins.of(counts.codes(), counts.all(), MagnitudeHistogram.CODES));
    }

    private long[] entries() {
      return bins.sums(counts.codes(), counts.all());
    }

    private List<long[]> changes() {
      int[] codes = counts.codes();
      return IntStream.range(0, counts.masks())
          .mapToObj(run -> bins.sums(codes, counts.common(run, run)))
          .toList();
    }

    /** Returns the agreement of each pair of runs. */
    List<Agreement> agreements(List<Mask> masks) {
      long[] entries = entries();
      List<long[]> changes = changes();
      List<Agreement> agreements = new ArrayList<>();
      for (int i = 0; i < masks.size(); i++) {
        for (int j = i + 1; j < masks.size(); j++) {
          MagnitudeMatched matched =
              MagnitudeMatched.ofBins(
                  entries,
                  changes.get(i),
                  changes.get(j),
                  Arrays.stream(counts.common(i, j)).sum());
          agreements.add(
              new Agreement(
                  masks.get(i).rows() * masks.get(i).columns(),
                  masks.get(i).count(),
                  masks.get(j).count(),
                  matched.observed(),
                  matched.expected(),
                  matched.sd() * matched.sd()));
        }
      }
      return agreements;
    }

    double[] changedByRuns() {
      return bins.changedByBins(entries(), changes());
    }

    /** Returns the share of changes at the magnitude of each code, for one run. */
    double[] shares(int run) {
      return bins.shares(counts.codes(), counts.all(), counts.common(run, run));
    }
  }

  private static double[] doubles(long[] counts) {
    return Arrays.stream(counts).asDoubleStream().toArray();
  }

  /** Similarity of the row profiles and of the column profiles. */
  record Bands(TensorConsensus.Bands rows, TensorConsensus.Bands columns) {}

  /**
   * Computes the similarity of row and column profiles, before and after subtracting the counts
   * expected from the magnitudes of the weights.
   */
  static Bands bands(Context context, Operand base, List<Mask> masks) {
    return bands(context, base, masks, Magnitudes.of(context, base, masks));
  }

  private static Bands bands(
      Context context, Operand base, List<Mask> masks, Magnitudes magnitudes) {
    List<MagnitudeHistogram.Profile> expected =
        MagnitudeHistogram.profiles(
            context,
            base,
            magnitudes.counts().codes(),
            IntStream.range(0, masks.size()).mapToObj(magnitudes::shares).toList());
    return new Bands(
        bands(
            masks.stream().map(mask -> doubles(mask.rowCounts())).toList(),
            expected.stream().map(MagnitudeHistogram.Profile::rows).toList()),
        bands(
            masks.stream().map(mask -> doubles(mask.columnCounts())).toList(),
            expected.stream().map(MagnitudeHistogram.Profile::columns).toList()));
  }

  private static TensorConsensus.Bands bands(List<double[]> counts, List<double[]> expected) {
    int length = counts.get(0).length;
    List<double[]> rest = new ArrayList<>();
    List<Double> magnitude = new ArrayList<>();
    for (int run = 0; run < counts.size(); run++) {
      double[] difference = new double[length];
      for (int i = 0; i < length; i++) {
        difference[i] = counts.get(run)[i] - expected.get(run)[i];
      }
      rest.add(difference);
      magnitude.add(Correlation.of(counts.get(run), expected.get(run)));
    }
    return new TensorConsensus.Bands(
        meanCorrelation(counts),
        meanCorrelation(rest),
        meanOfDefined(magnitude),
        Correlation.nullSd(length));
  }

  private static double meanCorrelation(List<double[]> profiles) {
    List<Double> correlations = new ArrayList<>();
    for (int i = 0; i < profiles.size(); i++) {
      for (int j = i + 1; j < profiles.size(); j++) {
        correlations.add(Correlation.of(profiles.get(i), profiles.get(j)));
      }
    }
    return meanOfDefined(correlations);
  }

  /** Returns the mean of the values that are finite; NaN if there are none. */
  private static double meanOfDefined(List<Double> values) {
    return values.stream()
        .mapToDouble(Double::doubleValue)
        .filter(Double::isFinite)
        .average()
        .orElse(Double.NaN);
  }

  private static List<TensorConsensus.Head> heads(
      Context context, TensorPair pair, List<Mask> masks) {
    if (pair.base().blockScale().isPresent()) {
      return List.of();
    }
    List<TensorConsensus.Head> heads = new ArrayList<>();
    for (Architecture.Head head : pair.heads()) {
      boolean byRow = head.onRows() != pair.transposed();
      long rowBegin = byRow ? head.begin() : 0;
      long rowEnd = byRow ? head.end() : pair.base().rows();
      long columnBegin = byRow ? 0 : head.begin();
      long columnEnd = byRow ? pair.base().columns() : head.end();
      Operand part = pair.base().slice(rowBegin, rowEnd, columnBegin, columnEnd);
      List<Mask> parts =
          masks.stream().map(mask -> mask.slice(rowBegin, rowEnd, columnBegin, columnEnd)).toList();
      Agreement sum = Agreement.NONE;
      for (Agreement pairOfRuns : Magnitudes.of(context, part, parts).agreements(parts)) {
        sum = sum.plus(pairOfRuns);
      }
      heads.add(new TensorConsensus.Head(head.part().label(), head.index(), sum));
    }
    return List.copyOf(heads);
  }

  /**
   * Computes the agreement of two runs whose bases differ, for example because one was rotated.
   * Entries are compared by position. Under the null, the probability that a run changes an entry
   * is that of entries of similar magnitude in its own base. Both bases must be stored in bf16.
   *
   * @param context context that runs the kernels
   * @param base base of the first run
   * @param run tuned checkpoint of the first run
   * @param otherBase base of the second run
   * @param otherRun tuned checkpoint of the second run
   * @param selected selects matrices by name
   * @param control cancels the measurement
   * @return agreement by matrix name
   */
  public static Map<String, Agreement> across(
      Context context,
      Checkpoint base,
      Checkpoint run,
      Checkpoint otherBase,
      Checkpoint otherRun,
      Predicate<String> selected,
      Control control) {
    Map<String, List<WeightPair>> first = SharedMatrices.of(base, List.of(run), selected).byName();
    Map<String, List<WeightPair>> second =
        SharedMatrices.of(otherBase, List.of(otherRun), selected).byName();
    Map<String, Agreement> agreements = new LinkedHashMap<>();
    for (String name : first.keySet()) {
      if (second.containsKey(name)) {
        try (TensorPair one = first.get(name).get(0).open(context);
            TensorPair other = second.get(name).get(0).open(context)) {
          agreements.put(name, across(context, one, other, control));
        }
      }
    }
    return agreements;
  }

  private static Agreement across(
      Context context, TensorPair one, TensorPair other, Control control) {
    Mask first = mask(context, one, control);
    Mask second = mask(context, other, control);
    if (first.rows() != second.rows() || first.columns() != second.columns()) {
      throw new InvalidInputException(one.name() + ": has different shapes in the two bases");
    }
    double[] chances = chances(context, one, first);
    double[] others = chances(context, other, second);
    long common = 0;
    double expected = 0;
    double variance = 0;
    for (long i = 0; i < first.rows(); i++) {
      short[] own = row(one, i);
      short[] theirs = row(other, i);
      for (int j = 0; j < first.columns(); j++) {
        common += first.contains(i, j) && second.contains(i, j) ? 1 : 0;
        double both = chances[code(own[j])] * others[code(theirs[j])];
        expected += both;
        variance += both * (1 - both);
      }
    }
    return new Agreement(
        first.rows() * first.columns(), first.count(), second.count(), common, expected, variance);
  }

  /** Returns the probability of a change, indexed by bf16 magnitude code. */
  private static double[] chances(Context context, TensorPair pair, Mask mask) {
    if (!pair.base().isStoredAs(Dtype.BF16)) {
      throw new InvalidInputException(pair.name() + ": the base must be stored in bf16");
    }
    MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, pair.base(), mask, mask);
    return MagnitudeBins.of(counts.all()).shares(counts.all(), counts.first());
  }

  private static short[] row(TensorPair pair, long row) {
    Matrix values = pair.base().values();
    return values
        .buffer()
        .getShorts(values.offset() + 2 * row * values.rowStride(), values.columns());
  }

  private static int code(short entry) {
    return entry & (MagnitudeHistogram.CODES - 1);
  }

  /**
   * Judges whether the runs agree more than densities and weight magnitudes explain, with the
   * default smallest effect of interest.
   *
   * @param tensors agreement of the runs in each matrix
   * @return one finding per claim
   */
  public static List<Finding> judge(List<TensorConsensus> tensors) {
    return judge(tensors, Set.of(), SmallestEffect.DEFAULT);
  }

  /**
   * Judges whether the runs agree more than densities and weight magnitudes explain.
   *
   * @param tensors agreement of the runs in each matrix
   * @param quantized names of matrices to leave out, because their difference is mostly
   *     quantization
   * @param smallest smallest effects of interest
   * @return one finding per claim
   */
  public static List<Finding> judge(
      List<TensorConsensus> tensors, Set<String> quantized, SmallestEffect smallest) {
    List<Claim.Test> tests = new ArrayList<>();
    int unfitted = 0;
    for (TensorConsensus tensor : tensors) {
      Agreement agreement = tensor.agreement();
      if (agreement.first() > 0 && agreement.second() > 0 && !quantized.contains(tensor.name())) {
        // Without this null model, rates of rows and columns would pass for agreement.
        if (tensor.againstModel().isEmpty()) {
          unfitted++;
          continue;
        }
        Against density = agreement.againstIndependent();
        tests.add(
            new Claim.Test(
                tensor.name(),
                Claim.Place.of(tensor.kind(), tensor.name()),
                agreement.jaccard(),
                Optional.of(density),
                Stream.concat(
                        Stream.of(density, agreement.againstMagnitude()),
                        tensor.againstModel().stream())
                    .toList(),
                agreement.first() + agreement.second()));
      }
    }
    return Judge.findings(
        List.of(
            new Claim(
                "runs-agree",
                "The runs change the same weights",
                new Claim.Measure("Jaccard index of two runs", "", SmallestEffect.Scale.ODDS_RATIO),
                1,
                tests,
                excluded(tensors.size(), quantized.size(), unfitted))),
        smallest);
  }

  private static String excluded(int all, int quantized, int unfitted) {
    List<String> parts = new ArrayList<>();
    if (quantized > 0) {
      parts.add(quantized + " of " + all + " matrices are quantized on one side only");
    }
    if (unfitted > 0) {
      parts.add(
          unfitted + " of " + all + " matrices have no fit of the null model row-column-magnitude");
    }
    return String.join("; ", parts);
  }
}
