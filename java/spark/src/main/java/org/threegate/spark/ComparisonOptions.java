package org.threegate.spark;

import java.util.Optional;
import java.util.function.Predicate;
import org.threegate.analysis.geometry.GeometryOptions;

/**
 * What a comparison over Spark measures.
 *
 * <pre>{@code
 * ComparisonOptions attention =
 *     ComparisonOptions.DEFAULT.only(name -> name.contains("self_attn")).withoutGeometry();
 * }</pre>
 *
 * @param selected names of the tensors to compare; asked on the driver alone
 * @param geometry what to measure of each matrix; empty: nothing
 */
public record ComparisonOptions(Predicate<String> selected, Optional<GeometryOptions> geometry) {
  /** Every tensor, and the geometry that {@code threegate compare} measures. */
  public static final ComparisonOptions DEFAULT =
      new ComparisonOptions(name -> true, Optional.of(GeometryOptions.DEFAULT));

  /** The same for some tensors. */
  public ComparisonOptions only(Predicate<String> wanted) {
    return new ComparisonOptions(wanted, geometry);
  }

  /** The same with another geometry. */
  public ComparisonOptions withGeometry(GeometryOptions wanted) {
    return new ComparisonOptions(selected, Optional.of(wanted));
  }

  /** Counts alone. */
  public ComparisonOptions withoutGeometry() {
    return new ComparisonOptions(selected, Optional.empty());
  }
}
