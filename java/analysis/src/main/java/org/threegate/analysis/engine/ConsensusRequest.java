package org.threegate.analysis.engine;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.pairing.SharedMatrices;

/**
 * A request to compare several runs from the same base.
 *
 * @param base location of the checkpoint that all runs started from
 * @param runs locations of the tuned checkpoints, at least two
 * @param selected names of the tensors to measure
 * @param steps training steps of the runs, if they are checkpoints of one run; else empty
 * @param geometry geometry to measure along a run
 * @param check called with the shared matrices before the measurement; may throw to refuse them
 */
public record ConsensusRequest(
    String base,
    List<String> runs,
    Predicate<String> selected,
    List<Double> steps,
    GeometryOptions geometry,
    Consumer<SharedMatrices> check) {
  /** Copies the lists. */
  public ConsensusRequest {
    runs = List.copyOf(runs);
    steps = List.copyOf(steps);
  }

  /**
   * {@return a builder of a request for all tensors of independent runs}
   *
   * @param base location of the checkpoint that all runs started from
   * @param runs locations of the tuned checkpoints, at least two
   */
  public static Builder builder(String base, List<String> runs) {
    return new Builder(base, runs);
  }

  /** {@return whether the runs are checkpoints of one run, so that their trajectory is measured} */
  public boolean isTrajectory() {
    return !steps.isEmpty();
  }

  /** {@return the training steps as an array} */
  public double[] stepNumbers() {
    return steps.stream().mapToDouble(Double::doubleValue).toArray();
  }

  /** Builds a request. Values that are not set keep their defaults. */
  public static final class Builder {
    private final String base;
    private final List<String> runs;
    private Predicate<String> selected = name -> true;
    private List<Double> steps = List.of();
    private GeometryOptions geometry = GeometryOptions.DEFAULT;
    private Consumer<SharedMatrices> check = shared -> {};

    private Builder(String base, List<String> runs) {
      this.base = base;
      this.runs = runs;
    }

    /**
     * Sets the names of the tensors to measure.
     *
     * @param names selects tensors by name; the default selects all
     * @return this builder
     */
    public Builder selected(Predicate<String> names) {
      this.selected = names;
      return this;
    }

    /**
     * Requests the trajectory of one run with checkpoints at these training steps.
     *
     * @param ofCheckpoints training step of each run, ascending and positive
     * @param options geometry to measure at each step
     * @return this builder
     */
    public Builder trajectory(List<Double> ofCheckpoints, GeometryOptions options) {
      this.steps = ofCheckpoints;
      this.geometry = options;
      return this;
    }

    /**
     * Sets what may refuse the checkpoints before the measurement starts.
     *
     * @param refusal receives the shared matrices, and may throw an exception
     * @return this builder
     */
    public Builder check(Consumer<SharedMatrices> refusal) {
      this.check = refusal;
      return this;
    }

    /** {@return the request} */
    public ConsensusRequest build() {
      return new ConsensusRequest(base, runs, selected, steps, geometry, check);
    }
  }
}
