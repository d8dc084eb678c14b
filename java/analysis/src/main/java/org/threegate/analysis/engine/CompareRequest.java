package org.threegate.analysis.engine;

import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.checkpoint.DigestKind;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/**
 * A request to compare two checkpoints.
 *
 * @param base location of the checkpoint before training
 * @param tuned location of the checkpoint after training, or of an adapter
 * @param initialAdapter location of the adapter before training; allowed only if {@code tuned} is
 *     an adapter
 * @param selected names of the tensors to compare
 * @param digest what identifies both checkpoints
 * @param geometry geometry to measure for each matrix; empty: compute counts only
 * @param renames beginnings of names of the tuned checkpoint, and what stands there in the base
 * @param check called with the pairing before the comparison starts; may throw to refuse it
 * @param resumption where finished tensors are kept
 */
public record CompareRequest(
    String base,
    String tuned,
    Optional<String> initialAdapter,
    Predicate<String> selected,
    DigestKind digest,
    Optional<GeometryOptions> geometry,
    Map<String, String> renames,
    Consumer<Pairing> check,
    Resumption resumption) {
  /**
   * Refuses an initial adapter. Engines call this when {@code tuned} is not an adapter.
   *
   * @throws InvalidInputException if the request names an initial adapter
   */
  public void refuseInitialAdapter() {
    if (initialAdapter.isPresent()) {
      throw new InvalidInputException(
          tuned + ": is not an adapter", Remedy.LEAVE_OUT_INITIAL_ADAPTER);
    }
  }

  /**
   * {@return a builder of a request for all tensors, with digests and the default geometry}
   *
   * @param base location of the checkpoint before training
   * @param tuned location of the checkpoint after training, or of an adapter
   * @param resumption where finished tensors are kept
   */
  public static Builder builder(String base, String tuned, Resumption resumption) {
    return new Builder(base, tuned, resumption);
  }

  /** Builds a request. Values that are not set keep their defaults. */
  public static final class Builder {
    private final String base;
    private final String tuned;
    private final Resumption resumption;
    private Optional<String> initialAdapter = Optional.empty();
    private Predicate<String> selected = name -> true;
    private DigestKind digest = DigestKind.TENSORS;
    private Optional<GeometryOptions> geometry = Optional.of(GeometryOptions.DEFAULT);
    private Map<String, String> renames = Map.of();
    private Consumer<Pairing> check = pairing -> {};

    private Builder(String base, String tuned, Resumption resumption) {
      this.base = base;
      this.tuned = tuned;
      this.resumption = resumption;
    }

    /**
     * Sets the location of the adapter before training.
     *
     * @param location location of an adapter, which is refused if {@code tuned} is none
     * @return this builder
     */
    public Builder initialAdapter(String location) {
      this.initialAdapter = Optional.of(location);
      return this;
    }

    /**
     * Sets the names of the tensors to compare.
     *
     * @param names selects tensors by name; the default selects all
     * @return this builder
     */
    public Builder selected(Predicate<String> names) {
      this.selected = names;
      return this;
    }

    /**
     * Sets what identifies both checkpoints.
     *
     * @param wanted digests to compute; those of the tensors by default
     * @return this builder
     */
    public Builder digest(DigestKind wanted) {
      this.digest = wanted;
      return this;
    }

    /**
     * Sets the geometry to measure for each matrix.
     *
     * @param options geometry to measure
     * @return this builder
     */
    public Builder geometry(GeometryOptions options) {
      this.geometry = Optional.of(options);
      return this;
    }

    /**
     * Leaves the geometry out: only counts are computed.
     *
     * @return this builder
     */
    public Builder withoutGeometry() {
      this.geometry = Optional.empty();
      return this;
    }

    /**
     * Sets beginnings of names of the tuned checkpoint, and what stands there in the base.
     *
     * @param beginnings what the base has, by what the tuned checkpoint has
     * @return this builder
     */
    public Builder renames(Map<String, String> beginnings) {
      this.renames = Map.copyOf(beginnings);
      return this;
    }

    /**
     * Sets what may refuse the pairing before the comparison starts.
     *
     * @param refusal receives the pairing, and may throw an exception
     * @return this builder
     */
    public Builder check(Consumer<Pairing> refusal) {
      this.check = refusal;
      return this;
    }

    /** {@return the request} */
    public CompareRequest build() {
      return new CompareRequest(
          base, tuned, initialAdapter, selected, digest, geometry, renames, check, resumption);
    }
  }
}
