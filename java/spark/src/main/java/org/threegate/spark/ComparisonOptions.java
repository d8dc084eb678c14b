package org.threegate.spark;

import java.util.Optional;
import java.util.function.Predicate;
import org.threegate.analysis.geometry.GeometryOptions;

/**
 * Options of a comparison on Spark.
 *
 * <pre>{@code
 * ComparisonOptions attention =
 *     ComparisonOptions.DEFAULT.only(name -> name.contains("self_attn")).withoutGeometry();
 * }</pre>
 *
 * @param selected selects the tensors to compare by name; evaluated only on the driver
 * @param geometry geometry to measure for each matrix; empty: none
 */
public record ComparisonOptions(Predicate<String> selected, Optional<GeometryOptions> geometry) {
  /** Default options: every tensor, and the geometry that {@code threegate compare} measures. */
  public static final ComparisonOptions DEFAULT =
      new ComparisonOptions(name -> true, Optional.of(GeometryOptions.DEFAULT));

  /**
   * {@return these options with another selection of tensors}
   *
   * @param wanted selects tensors by name
   */
  public ComparisonOptions only(Predicate<String> wanted) {
    return new ComparisonOptions(wanted, geometry);
  }

  /**
   * {@return these options with another geometry}
   *
   * @param wanted geometry to measure for each matrix
   */
  public ComparisonOptions withGeometry(GeometryOptions wanted) {
    return new ComparisonOptions(selected, Optional.of(wanted));
  }

  /** {@return these options without geometry, so that only changes are counted} */
  public ComparisonOptions withoutGeometry() {
    return new ComparisonOptions(selected, Optional.empty());
  }
}
