package org.threegate.analysis.statistics;

import java.util.List;
import java.util.TreeSet;

/**
 * Where each stored tensor of two checkpoints ended. A tensor is in exactly one list of its side.
 *
 * @param base the tensors of the base
 * @param tuned the tensors of the tuned checkpoint or adapter
 */
public record Accounting(Side base, Side tuned) {
  /**
   * A tensor and the reason why it is in its list.
   *
   * @param tensor name of the stored tensor
   * @param reason one phrase, such as "I32 holds no floating-point numbers"
   */
  public record Note(String tensor, String reason) {}

  /**
   * The tensors of one side.
   *
   * @param compared names of the tensors whose entries are compared
   * @param unmatched tensors without a counterpart
   * @param consumed tensors that only help to read others, and copies that are counted once
   * @param refused tensors in a layout that is not understood
   * @param leftOut tensors that the measurement does not cover, such as vectors where only matrices
   *     are measured
   * @param unchanged tensors that an adapter leaves as they are
   * @param notSelected names of tensors that the caller did not select
   * @param weights weights of the model: how many, and how many of them are compared
   * @param entries entries of these weights: how many, and how many of them are compared
   */
  public record Side(
      List<String> compared,
      List<Note> unmatched,
      List<Note> consumed,
      List<Note> refused,
      List<Note> leftOut,
      List<String> unchanged,
      List<String> notSelected,
      Share weights,
      Share entries) {
    /** Copies the lists. */
    public Side {
      compared = List.copyOf(compared);
      unmatched = List.copyOf(unmatched);
      consumed = List.copyOf(consumed);
      refused = List.copyOf(refused);
      leftOut = List.copyOf(leftOut);
      unchanged = List.copyOf(unchanged);
      notSelected = List.copyOf(notSelected);
    }

    /** {@return the number of tensors in all lists} */
    public int tensors() {
      return compared.size()
          + unmatched.size()
          + consumed.size()
          + refused.size()
          + leftOut.size()
          + unchanged.size()
          + notSelected.size();
    }

    /** {@return the names in all lists, in alphabetical order} */
    public List<String> names() {
      TreeSet<String> names = new TreeSet<>(compared);
      unmatched.forEach(note -> names.add(note.tensor()));
      consumed.forEach(note -> names.add(note.tensor()));
      refused.forEach(note -> names.add(note.tensor()));
      leftOut.forEach(note -> names.add(note.tensor()));
      names.addAll(unchanged);
      names.addAll(notSelected);
      return List.copyOf(names);
    }
  }

  /**
   * Where each stored tensor of several checkpoints ended. A tensor is compared if all checkpoints
   * have it.
   *
   * @param base the tensors of the base
   * @param runs the tensors of each tuned checkpoint
   */
  public record OfRuns(Side base, List<Side> runs) {
    /** Copies the list. */
    public OfRuns {
      runs = List.copyOf(runs);
    }
  }

  /**
   * A part of a whole.
   *
   * @param compared size of the part
   * @param all size of the whole
   */
  public record Share(long compared, long all) {
    /** {@return the part of the whole, from 0 to 1; 1 if there is nothing} */
    public double value() {
      return all == 0 ? 1 : (double) compared / all;
    }
  }

  /** {@return the part of the entries that is compared, on the side where it is smaller} */
  public Share coverage() {
    return base.entries().value() <= tuned.entries().value() ? base.entries() : tuned.entries();
  }
}
