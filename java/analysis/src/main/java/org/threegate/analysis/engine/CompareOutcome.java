package org.threegate.analysis.engine;

import java.util.List;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.checkpoint.Identity;

/**
 * The result of a comparison.
 *
 * @param measured the tensors that were compared
 * @param unmatched names of tensors that were not compared; {@code pairs()} is empty
 * @param base contents of the base
 * @param tuned contents of the tuned checkpoint or adapter
 * @param machines machines that ran the measurement
 * @param failures tensors that could not be measured
 */
public record CompareOutcome(
    Comparison.Outcome measured,
    Pairing unmatched,
    Contents base,
    Contents tuned,
    Machines machines,
    List<Failure> failures) {
  /**
   * The contents of a checkpoint.
   *
   * @param location location as reports show it
   * @param tensors number of tensors
   * @param parameters total number of elements
   * @param identity digests of the checkpoint that were requested and are known
   */
  public record Contents(String location, long tensors, long parameters, Identity identity) {}

  /**
   * The machines that ran a measurement.
   *
   * @param device {@code cpu} or {@code cuda}
   * @param binding name of the binding to native code
   * @param threads number of threads, summed over machines
   * @param simd instruction set of the kernels
   * @param blas BLAS library for matrix products
   */
  public record Machines(String device, String binding, int threads, String simd, String blas) {}
}
