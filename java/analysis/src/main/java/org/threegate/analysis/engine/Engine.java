package org.threegate.analysis.engine;

import java.io.IOException;
import java.util.Map;
import org.threegate.kernel.Control;
import org.threegate.run.Progress;

/**
 * Measures checkpoints on this machine ({@link LocalEngine}) or on a cluster. All engines run the
 * same code for each tensor, so their results are bitwise identical.
 *
 * <p>Progress is reported per tensor. If the control is cancelled, the measurement throws {@link
 * org.threegate.run.CancelledException}.
 */
public interface Engine extends AutoCloseable {
  /**
   * Opens engines that run on a cluster. Providers are found through {@link
   * java.util.ServiceLoader}.
   */
  interface Provider {
    /**
     * Opens an engine.
     *
     * @param master address of the cluster; empty: the cluster that this program was submitted to
     * @param settings settings of the cluster by name
     * @return the engine, which the caller closes
     */
    Engine open(String master, Map<String, String> settings);
  }

  /**
   * {@return the form of a location that reports show}
   *
   * @param location location of a checkpoint, as a request has it
   */
  String named(String location);

  /**
   * Compares two checkpoints.
   *
   * @param request checkpoints and options
   * @param progress receives the progress, tensor by tensor
   * @param control cancels the comparison
   * @return the measured tensors, and those that were not compared
   * @throws org.threegate.run.InvalidInputException if they cannot be compared
   * @throws IOException if a file cannot be read or written
   */
  CompareOutcome compare(CompareRequest request, Progress progress, Control control)
      throws IOException;

  /**
   * Compares several runs from the same base.
   *
   * @param request checkpoints and options
   * @param progress receives the progress, tensor by tensor
   * @param control cancels the measurement
   * @return the agreement of the runs in each matrix
   * @throws org.threegate.run.InvalidInputException if they share no matrix
   * @throws IOException if a file cannot be read
   */
  ConsensusOutcome consensus(ConsensusRequest request, Progress progress, Control control)
      throws IOException;

  /**
   * Writes the masks of all selected matrices of a checkpoint to one file. No file is written if
   * any mask fails.
   *
   * @param request checkpoint, options and output file
   * @param progress receives the progress, tensor by tensor
   * @param control cancels the computation
   * @return the number of matrices and the digest of the checkpoint
   * @throws org.threegate.run.InvalidInputException if no matrix is selected or a matrix cannot be
   *     masked
   * @throws IOException if a file cannot be read or written
   */
  MaskOutcome mask(MaskRequest request, Progress progress, Control control) throws IOException;

  @Override
  void close();
}
