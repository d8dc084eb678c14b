package org.threegate.analysis.engine;

import java.util.List;
import org.threegate.analysis.mask.MaskBase;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.statistics.Accounting;

/**
 * The result of writing masks.
 *
 * @param matrices number of matrices in the file
 * @param base what identifies the weights that the masks were computed from
 * @param unmatched account of all stored tensors; those with a mask are the compared ones; {@code
 *     pairs()} is empty
 * @param excluded matrices and parts of tensors for which no mask is defined, with the reasons
 */
public record MaskOutcome(
    int matrices, MaskBase base, Pairing unmatched, List<Accounting.Note> excluded) {
  /** Copies the list. */
  public MaskOutcome {
    excluded = List.copyOf(excluded);
  }
}
