package org.threegate.analysis.mask;

import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.pairing.TensorPair;

/**
 * Options for the masks of a checkpoint.
 *
 * @param kind kind of mask
 * @param geometry rank, share of entries, tolerance and seed; only the first rank and the first
 *     share are used
 */
public record MaskOptions(MaskKind kind, GeometryOptions geometry) {
  /** Returns the share of entries. */
  double alpha() {
    return geometry.alphas().get(0);
  }

  /** Returns the rank for one matrix. */
  int rank(long rows, long columns) {
    return geometry.ranksOf(Math.min(rows, columns)).get(0);
  }

  /** Returns the request for one matrix. */
  MaskKind.Request request(TensorPair pair) {
    return new MaskKind.Request(
        rank(pair.base().rows(), pair.base().columns()),
        alpha(),
        geometry.tolerance(),
        geometry.seedOf(pair.name()));
  }
}
