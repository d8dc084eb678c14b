package org.threegate.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.Overlap;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/**
 * The scalars of {@code report.json} as columns of a table. Each row is a tensor. Values that are
 * null in the document are empty in the table.
 *
 * <pre>{@code
 * for (TensorDiff tensor : report.tensors()) {
 *   System.out.println(TensorTable.row(tensor));
 * }
 * }</pre>
 */
public final class TensorTable {
  private static final Map<String, Function<MaskMeasure, Overlap>> OVERLAPS = overlaps();
  private static final List<Column> ALL = build();

  /** A tensor with the measures of its geometry at the first rank. */
  private record Row(
      TensorDiff diff,
      Optional<SpectrumMeasure> spectrum,
      Optional<MaskMeasure> mask,
      Supplier<Optional<RatioProfile>> rows,
      Supplier<Optional<RatioProfile>> columns) {
    static Row of(TensorDiff diff, Optional<TensorGeometry> geometry) {
      return new Row(
          diff,
          geometry.flatMap(measured -> measured.spectra().stream().findFirst()),
          geometry.flatMap(measured -> measured.masks().stream().findFirst()),
          diff::rowProfile,
          diff::columnProfile);
    }

    /** Returns the same row with its profiles computed. Several columns show each. */
    Row profiled() {
      Optional<RatioProfile> ofRows = rows.get();
      Optional<RatioProfile> ofColumns = columns.get();
      return new Row(diff, spectrum, mask, () -> ofRows, () -> ofColumns);
    }
  }

  /** The type of the values of a column. */
  public enum Type {
    /** Strings. */
    TEXT,
    /** Whole numbers. */
    COUNT,
    /** Floating-point numbers. */
    REAL
  }

  /** A column: its name, its type and the value of each tensor. */
  public static final class Column {
    private final String name;
    private final Type type;
    private final Function<Row, Optional<Object>> value;

    private Column(String name, Type type, Function<Row, Optional<Object>> value) {
      this.name = name;
      this.type = type;
      this.value = value;
    }

    /** {@return the flattened path of the value in {@code report.json}} */
    public String name() {
      return name;
    }

    /** {@return the type of the values} */
    public Type type() {
      return type;
    }

    /**
     * Returns the value of a tensor without geometry.
     *
     * @param diff diff of the tensor
     * @return a {@code String}, {@code Long} or {@code Double}; empty where nothing was measured
     *     and where the number is not finite
     */
    public Optional<Object> of(TensorDiff diff) {
      return value.apply(Row.of(diff, Optional.empty()));
    }

    /**
     * {@return the value of a tensor with geometry, as the other overload does}
     *
     * @param diff diff of the tensor
     * @param geometry geometry of the same tensor
     */
    public Optional<Object> of(TensorDiff diff, TensorGeometry geometry) {
      return value.apply(Row.of(diff, Optional.of(geometry)));
    }

    private static Column text(String name, Function<TensorDiff, String> value) {
      return new Column(name, Type.TEXT, row -> Optional.of(value.apply(row.diff())));
    }

    private static Column count(String name, ToLongFunction<Totals> value) {
      return new Column(
          name, Type.COUNT, row -> Optional.of(value.applyAsLong(row.diff().totals())));
    }

    private static Column real(String name, ToDoubleFunction<Totals> value) {
      return new Column(name, Type.REAL, row -> finite(value.applyAsDouble(row.diff().totals())));
    }

    private static Column ratio(
        String name,
        Function<Row, Supplier<Optional<RatioProfile>>> profile,
        ToDoubleFunction<RatioProfile> value) {
      return new Column(
          name,
          Type.REAL,
          row -> profile.apply(row).get().flatMap(p -> finite(value.applyAsDouble(p))));
    }

    private static Column spectrum(String name, ToDoubleFunction<SpectrumMeasure> value) {
      return new Column(
          name,
          Type.REAL,
          row -> row.spectrum().flatMap(measure -> finite(value.applyAsDouble(measure))));
    }

    private static Column mask(String name, ToDoubleFunction<MaskMeasure> value) {
      return new Column(
          name,
          Type.REAL,
          row -> row.mask().flatMap(measure -> finite(value.applyAsDouble(measure))));
    }

    private static Optional<Object> finite(double value) {
      return Double.isFinite(value) ? Optional.of(value) : Optional.empty();
    }
  }

  private static Map<String, Function<MaskMeasure, Overlap>> overlaps() {
    Map<String, Function<MaskMeasure, Overlap>> parts = new LinkedHashMap<>();
    parts.put("principal", MaskMeasure::principal);
    parts.put("principalComplement", MaskMeasure::principalComplement);
    parts.put("low", MaskMeasure::low);
    parts.put("principalNotLow", MaskMeasure::principalNotLow);
    parts.put("safe", MaskMeasure::safe);
    return parts;
  }

  private static List<Column> build() {
    List<Column> columns = new ArrayList<>();
    columns.add(Column.text("name", TensorDiff::name));
    columns.add(
        new Column(
            "layer",
            Type.COUNT,
            row ->
                row.diff().layer().isPresent()
                    ? Optional.of((long) row.diff().layer().getAsInt())
                    : Optional.empty()));
    columns.add(Column.text("kind", TensorDiff::kind));
    columns.add(Column.text("dtypeBase", TensorDiff::dtypeBase));
    columns.add(Column.text("dtypeTuned", TensorDiff::dtypeTuned));
    columns.add(Column.text("shape", tensor -> tensor.shape().toString()));
    columns.add(Column.count("total", totals -> totals.counts().total()));
    columns.add(Column.count("changed", totals -> totals.counts().changed()));
    columns.add(Column.count("changedBits", totals -> totals.counts().changedBits()));
    columns.add(Column.count("changedStored", totals -> totals.counts().changedStored()));
    columns.add(Column.count("hidden", totals -> totals.counts().hidden()));
    columns.add(Column.count("nonFinite", totals -> totals.counts().nonFinite()));
    columns.add(Column.count("signFlips", totals -> totals.counts().signFlips()));
    columns.add(Column.real("sparsity", Totals::sparsity));
    columns.add(Column.real("frobenius", Totals::frobenius));
    columns.add(Column.real("relativeFrobenius", Totals::relativeFrobenius));
    columns.add(Column.real("maxAbs", totals -> totals.sums().maxAbs()));
    columns.add(Column.real("cosine", Totals::cosine));
    columns.add(Column.real("cosineNullSd", Totals::cosineNullSd));
    profile(columns, "rowRatio", Row::rows);
    profile(columns, "columnRatio", Row::columns);
    spectra(columns);
    for (Map.Entry<String, Function<MaskMeasure, Overlap>> part : OVERLAPS.entrySet()) {
      Function<MaskMeasure, Overlap> overlap = part.getValue();
      String name = part.getKey();
      columns.add(Column.mask(name + "Density", mask -> overlap.apply(mask).density()));
      columns.add(Column.mask(name + "Overlap", mask -> overlap.apply(mask).overlap()));
      columns.add(
          Column.mask(name + "MagnitudeBaseline", mask -> overlap.apply(mask).magnitudeBaseline()));
      columns.add(Column.mask(name + "MagnitudeZ", mask -> overlap.apply(mask).magnitudeZ()));
    }
    return List.copyOf(columns);
  }

  private static void spectra(List<Column> columns) {
    columns.add(Column.spectrum("rank", measure -> measure.geometry().rank()));
    columns.add(Column.spectrum("nss", measure -> measure.geometry().nss()));
    drawn(columns, "nss", NullDraws::nss, Geometry::nss);
    columns.add(Column.spectrum("rSpec", measure -> measure.geometry().rSpec()));
    drawn(columns, "rSpec", NullDraws::rSpec, Geometry::rSpec);
    columns.add(Column.spectrum("angleUMax", measure -> Geometry.max(measure.geometry().angleU())));
    columns.add(
        Column.spectrum("angleUMean", measure -> Geometry.mean(measure.geometry().angleU())));
    columns.add(Column.spectrum("angleVMax", measure -> Geometry.max(measure.geometry().angleV())));
    columns.add(
        Column.spectrum("angleVMean", measure -> Geometry.mean(measure.geometry().angleV())));
    drawn(columns, "angleUMax", NullDraws::angleU, geometry -> Geometry.max(geometry.angleU()));
    columns.add(Column.spectrum("gap", measure -> measure.geometry().gap()));
    columns.add(
        Column.spectrum("deltaSpectralNorm", measure -> measure.geometry().deltaSpectralNorm()));
    columns.add(
        Column.spectrum("gapLimited", measure -> measure.geometry().isGapLimited() ? 1 : 0));
    columns.add(
        Column.spectrum("principalEnergy", measure -> measure.geometry().principalEnergy()));
    drawn(columns, "principalEnergy", NullDraws::principalEnergy, Geometry::principalEnergy);
    columns.add(Column.spectrum("stableRank", measure -> measure.geometry().stableRank()));
    columns.add(Column.spectrum("effectiveRank", measure -> measure.geometry().effectiveRank()));
    columns.add(Column.spectrum("residualBase", measure -> measure.geometry().residualBase()));
    columns.add(Column.spectrum("residualTuned", measure -> measure.geometry().residualTuned()));
  }

  /** Adds mean, standard deviation and z of the norm-matched null. */
  private static void drawn(
      List<Column> columns,
      String name,
      Function<NullDraws, double[]> draws,
      ToDoubleFunction<Geometry> observed) {
    Function<SpectrumMeasure, NullEstimate> estimate =
        measure ->
            measure
                .draws(NullModel.NORM_MATCHED)
                .map(drawn -> drawn.estimate(draws.apply(drawn)))
                .orElse(NullEstimate.analytic("none", Double.NaN, Double.NaN));
    columns.add(Column.spectrum(name + "NullMean", measure -> estimate.apply(measure).mean()));
    columns.add(Column.spectrum(name + "NullSd", measure -> estimate.apply(measure).sd()));
    columns.add(
        Column.spectrum(
            name + "NullZ",
            measure -> estimate.apply(measure).z(observed.applyAsDouble(measure.geometry()))));
  }

  private static void profile(
      List<Column> columns, String name, Function<Row, Supplier<Optional<RatioProfile>>> profile) {
    columns.add(Column.ratio(name + "Mean", profile, RatioProfile::mean));
    columns.add(Column.ratio(name + "Sd", profile, RatioProfile::sd));
    columns.add(Column.ratio(name + "Max", profile, RatioProfile::max));
    columns.add(Column.ratio(name + "NullSd", profile, RatioProfile::nullSd));
    columns.add(Column.ratio(name + "DispersionZ", profile, RatioProfile::dispersionZ));
  }

  private TensorTable() {}

  /** {@return all columns in order} */
  public static List<Column> columns() {
    return ALL;
  }

  /**
   * Returns the values of one tensor without geometry, for all columns. This is faster than to ask
   * each column.
   *
   * @param diff diff of the tensor
   * @return the values in the order of {@link #columns()}, each as {@link Column#of(TensorDiff)}
   *     has it
   */
  public static List<Optional<Object>> row(TensorDiff diff) {
    return values(Row.of(diff, Optional.empty()));
  }

  /**
   * {@return the values of one tensor with geometry, as the other overload does}
   *
   * @param diff diff of the tensor
   * @param geometry geometry of the same tensor
   */
  public static List<Optional<Object>> row(TensorDiff diff, TensorGeometry geometry) {
    return values(Row.of(diff, Optional.of(geometry)));
  }

  private static List<Optional<Object>> values(Row of) {
    Row row = of.profiled();
    return ALL.stream().map(column -> column.value.apply(row)).toList();
  }
}
