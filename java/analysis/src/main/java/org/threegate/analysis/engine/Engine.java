package org.threegate.analysis.engine;

import java.io.IOException;
import java.util.Map;
import org.threegate.kernel.Control;
import org.threegate.run.Progress;

/**
 * Measures checkpoints, on this machine ({@link LocalEngine}) or on a cluster. Every engine
 * measures a tensor by the same code, so the results have the same bits.
 *
 * <p>Progress is reported tensor by tensor. A cancelled control ends a measurement with {@link
 * org.threegate.run.CancelledException}.
 */
public interface Engine extends AutoCloseable {
  /** Opens engines of a cluster. It is found through {@link java.util.ServiceLoader}. */
  interface Provider {
    /**
     * Opens an engine.
     *
     * @param master address of the cluster; empty: the one that this program was submitted to
     * @param settings of the cluster, by name
     */
    Engine open(String master, Map<String, String> settings);
  }

  /** Returns a location as reports show it. */
  String named(String location);

  /**
   * Compares two checkpoints.
   *
   * @throws org.threegate.run.InvalidInputException when they cannot be compared
   */
  CompareOutcome compare(CompareRequest request, Progress progress, Control control)
      throws IOException;

  /**
   * Measures what several runs from one base have in common.
   *
   * @throws org.threegate.run.InvalidInputException when they share no matrix
   */
  ConsensusOutcome consensus(ConsensusRequest request, Progress progress, Control control)
      throws IOException;

  /**
   * Writes masks of all selected matrices of a checkpoint, or none.
   *
   * @throws org.threegate.run.InvalidInputException when there is no matrix, or one cannot be
   *     masked
   */
  MaskOutcome mask(MaskRequest request, Progress progress, Control control) throws IOException;

  @Override
  void close();
}
