package org.threegate.analysis.engine;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.pairing.Pairing;

/**
 * What a comparison found.
 *
 * @param measured the tensors that were compared
 * @param unmatched names of what was not compared; it has no pairs
 * @param base what the base consists of
 * @param tuned what the tuned checkpoint, or the adapter, consists of
 * @param machines what measured
 * @param failures tensors that are missing in the outcome
 */
public record CompareOutcome(
    Comparison.Outcome measured,
    Pairing unmatched,
    Contents base,
    Contents tuned,
    Machines machines,
    List<Failure> failures) {
  /**
   * What a checkpoint consists of.
   *
   * @param location as reports show it
   * @param tensors number of tensors
   * @param parameters number of their elements
   * @param digest SHA-256 of the checkpoint; empty when not wanted or not known
   */
  public record Contents(String location, long tensors, long parameters, Optional<String> digest) {}

  /**
   * What measured.
   *
   * @param device {@code cpu} or {@code cuda}
   * @param binding name of the binding to native code
   * @param threads of all machines
   * @param simd instruction set of the kernels
   * @param blas library of matrix products
   */
  public record Machines(String device, String binding, int threads, String simd, String blas) {}
}
