package org.threegate.report;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import org.threegate.analysis.compare.Cause;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.Identity;

/**
 * A comparison, ready to be rendered.
 *
 * @param run how it was made
 * @param base the checkpoint before training
 * @param tuned the checkpoint after training
 * @param unmatched names of what was not compared
 * @param coverage where each stored tensor ended
 * @param tensors one diff for each pair
 * @param geometry of the update of each matrix, by name of the tensor; empty when not wanted
 * @param findings judged on it
 */
public record ComparisonReport(
    Run run,
    Source base,
    Source tuned,
    Unmatched unmatched,
    Coverage coverage,
    List<TensorDiff> tensors,
    Map<String, TensorGeometry> geometry,
    List<Finding> findings) {
  /** Title of the matrices that means and findings leave out. */
  static final String LEFT_OUT = "left out of means and findings";

  /** Title of the matrices of which not all singular values are computed. */
  static final String LEADING_ONLY = "without NSS, rSpec and effective rank";

  /**
   * How a comparison was made.
   *
   * @param version of the program
   * @param command the options after defaults, enough to repeat the run
   * @param backend what ran
   * @param seed of everything random
   * @param seconds wall-clock time
   * @param peakRssBytes the most memory that the process had
   */
  public record Run(
      String version,
      List<String> command,
      Backend backend,
      long seed,
      Seconds seconds,
      long peakRssBytes) {}

  /** {@return the trivial causes of the update; what is left out of findings does not count} */
  public List<Cause> causes() {
    Map<String, TensorGeometry> judged = new LinkedHashMap<>();
    tensors.stream()
        .filter(tensor -> geometry.containsKey(tensor.name()) && !tensor.isQuantizedOnOneSide())
        .forEach(tensor -> judged.put(tensor.name(), geometry.get(tensor.name())));
    return Cause.of(judged.values());
  }

  /** {@return the version of Threegate} */
  public String version() {
    return run.version();
  }

  /** {@return the options after defaults, enough to repeat the run} */
  public List<String> command() {
    return run.command();
  }

  /** {@return what ran the kernels} */
  public Backend backend() {
    return run.backend();
  }

  /** {@return the seed of everything random} */
  public long seed() {
    return run.seed();
  }

  /** {@return the wall-clock time of the run} */
  public Seconds seconds() {
    return run.seconds();
  }

  /** {@return the largest resident memory of the process, in bytes} */
  public long peakRssBytes() {
    return run.peakRssBytes();
  }

  /**
   * What ran the kernels.
   *
   * @param device {@code cpu} or {@code cuda}
   * @param binding name of the binding to native code
   * @param threads number of threads, summed over machines
   * @param simd instruction set of the kernels
   * @param blas BLAS library for matrix products
   */
  public record Backend(String device, String binding, int threads, String simd, String blas) {}

  /**
   * A checkpoint or adapter that was compared.
   *
   * @param path path as it was given
   * @param identity digests of its contents
   * @param tensors number of tensors
   * @param parameters total number of elements
   */
  public record Source(
      String path, @JsonUnwrapped Identity identity, long tensors, long parameters) {}

  /**
   * Wall-clock seconds.
   *
   * @param read time spent waiting for digests and geometries
   * @param diff time spent in the kernel that counts changes
   * @param total time from start to end
   */
  public record Seconds(double read, double diff, double total) {}

  /**
   * Median and largest of a measure over matrices.
   *
   * @param median the median; the mean of both middle values for an even number of matrices
   * @param max the largest value
   */
  public record Extent(double median, double max) {
    static Optional<Extent> of(DoubleStream values) {
      double[] sorted = values.filter(Double::isFinite).sorted().toArray();
      int count = sorted.length;
      return count == 0
          ? Optional.empty()
          : Optional.of(
              new Extent((sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[count - 1]));
    }
  }

  /**
   * Names of tensors that could not be compared.
   *
   * @param onlyInBase names that only the base has
   * @param onlyInTuned names that only the tuned checkpoint has
   * @param shapeMismatch names whose shapes differ, with both shapes
   * @param notCompared names whose dtype is not floating-point
   * @param untouchedByAdapter names of base tensors that the adapter does not change
   */
  public record Unmatched(
      List<String> onlyInBase,
      List<String> onlyInTuned,
      List<String> shapeMismatch,
      List<String> notCompared,
      List<String> untouchedByAdapter) {}

  /**
   * How much of the models was compared.
   *
   * @param entries entries of the selected weights, on the side where a smaller part is compared
   * @param weights selected weights of that side
   * @param caveat what to keep in mind when reading the findings; empty if nearly all was compared
   * @param matched pairs of names that differ by a prefix, as "name of the base = name of the
   *     tuned"
   * @param base where each stored tensor of the base ended
   * @param tuned where each stored tensor of the tuned checkpoint ended
   */
  public record Coverage(
      Accounting.Share entries,
      Accounting.Share weights,
      Optional<String> caveat,
      List<String> matched,
      Accounting.Side base,
      Accounting.Side tuned) {
    /**
     * Describes a pairing.
     *
     * @param accounting where each stored tensor ended
     * @param matched pairs of names that differ by a prefix
     * @param quantized number of weights that only one side stores in a quantized layout
     * @return how much was compared, with a caveat if one is needed
     */
    public static Coverage of(Accounting accounting, List<String> matched, long quantized) {
      Accounting.Side side = Account.smallest(List.of(accounting.base(), accounting.tuned()));
      return new Coverage(
          side.entries(),
          side.weights(),
          Account.caveat(side, quantized, "compared"),
          matched,
          accounting.base(),
          accounting.tuned());
    }

    /** {@return one line, such as "2,189 of 7,680 entries in 1 of 4 tensors were compared"} */
    public String line() {
      return Account.line(entries, weights, "were compared");
    }
  }

  /** {@return counts and sums over all tensors} */
  public Totals totals() {
    return tensors.stream().map(TensorDiff::totals).reduce(Totals.ZERO, Totals::plus);
  }

  /** What was measured of a tensor's geometry. */
  Optional<TensorGeometry> geometryOf(TensorDiff tensor) {
    return Optional.ofNullable(geometry.get(tensor.name()));
  }

  /** The first measure of each matrix that has one. */
  List<SpectrumMeasure> spectra() {
    return geometry.values().stream()
        .filter(measured -> !measured.spectra().isEmpty())
        .map(measured -> measured.spectra().get(0))
        .toList();
  }

  /**
   * {@return the matrices that means and findings leave out, with the reason; unchanged matrices
   * are last}
   */
  public List<Accounting.Note> excluded() {
    List<Accounting.Note> excluded = notes(TensorGeometry::spectrumOmitted);
    excluded.sort(Comparator.comparing(note -> note.reason().equals(TensorGeometry.UNCHANGED)));
    return excluded;
  }

  private List<Accounting.Note> notes(Function<TensorGeometry, Optional<String>> reasons) {
    List<Accounting.Note> notes = new ArrayList<>();
    geometry.forEach(
        (name, measured) ->
            reasons
                .apply(measured)
                .ifPresent(reason -> notes.add(new Accounting.Note(name, reason))));
    return notes;
  }

  /** Returns lists of matrices of which something is missing, with the reasons, by title. */
  Map<String, List<String>> omissions() {
    Map<String, List<String>> omissions = new LinkedHashMap<>();
    omissions.put(LEFT_OUT, texts(excluded()));
    omissions.put(LEADING_ONLY, texts(notes(TensorGeometry::wholeSpectrumOmitted)));
    return omissions;
  }

  private static List<String> texts(List<Accounting.Note> notes) {
    return notes.stream().map(note -> note.tensor() + " (" + note.reason() + ")").toList();
  }

  /** {@return the spectral drift over matrices; empty if none was measured} */
  public Optional<Extent> nss() {
    return Extent.of(spectra().stream().mapToDouble(measure -> measure.geometry().nss()));
  }

  /**
   * {@return the largest principal angle over matrices that are not gap-limited, in degrees; empty
   * if there are none}
   */
  public Optional<Extent> largestAngle() {
    return Extent.of(
        spectra().stream()
            .filter(measure -> !measure.geometry().isGapLimited())
            .mapToDouble(
                measure ->
                    Math.toDegrees(
                        Math.max(
                            Geometry.max(measure.geometry().angleU()),
                            Geometry.max(measure.geometry().angleV())))));
  }

  /** {@return the number of matrices whose angles say nothing about the update} */
  public long gapLimited() {
    return spectra().stream().filter(measure -> measure.geometry().isGapLimited()).count();
  }

  /** {@return counts and sums by kind, in the order of first appearance} */
  public Map<String, Totals> byKind() {
    return group(TensorDiff::kind);
  }

  /** {@return counts and sums by layer; tensors without a layer are under "-" at the end} */
  public Map<String, Totals> byLayer() {
    List<TensorDiff> sorted = new ArrayList<>(tensors);
    sorted.sort(Comparator.comparingInt(tensor -> tensor.layer().orElse(Integer.MAX_VALUE)));
    return group(
        sorted,
        tensor -> tensor.layer().isPresent() ? Integer.toString(tensor.layer().getAsInt()) : "-");
  }

  private Map<String, Totals> group(Function<TensorDiff, String> key) {
    return group(tensors, key);
  }

  private static Map<String, Totals> group(
      List<TensorDiff> tensors, Function<TensorDiff, String> key) {
    Map<String, Totals> groups = new LinkedHashMap<>();
    tensors.forEach(tensor -> groups.merge(key.apply(tensor), tensor.totals(), Totals::plus));
    return groups;
  }
}
