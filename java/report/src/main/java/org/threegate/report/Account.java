package org.threegate.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.threegate.analysis.statistics.Accounting;

/**
 * Renders where the stored tensors of checkpoints ended.
 *
 * <pre>{@code
 * System.out.print(
 *     Account.text(consensusReport.coverage().base(), "were compared", "not compared", 80));
 * }</pre>
 */
public final class Account {
  /** Smallest part of the entries for which findings need no caveat. */
  private static final double NEARLY_ALL = 0.99;

  private static final int MOST_NAMES = 5;
  private static final int MOST_REASONS = 10;

  private Account() {}

  /** Returns the side of whose entries the smallest part is compared; the first one of several. */
  static Accounting.Side smallest(List<Accounting.Side> sides) {
    return sides.stream()
        .min(Comparator.comparingDouble(side -> side.entries().value()))
        .orElseThrow();
  }

  /**
   * {@return whether so much is compared that findings hold for the whole model}
   *
   * @param entries entries that are compared, of all entries
   */
  public static boolean isNearlyAll(Accounting.Share entries) {
    return entries.value() >= NEARLY_ALL;
  }

  /**
   * Returns what to keep in mind when reading findings; empty if nearly all was compared.
   *
   * @param done what happened to the entries, such as "compared"
   */
  static Optional<String> caveat(Accounting.Side side, long quantized, String done) {
    List<String> caveats = new ArrayList<>();
    if (!isNearlyAll(side.entries())) {
      caveats.add(
          String.format(
              Locale.ROOT,
              "Only %.3g %% of the entries were %s, so the findings hold for these alone.",
              100 * side.entries().value(),
              done));
    }
    if (quantized > 0) {
      caveats.add(
          String.format(
              Locale.ROOT,
              "%,d weights are quantized on one side only. Their difference is mostly quantization, so no finding is judged on them.",
              quantized));
    }
    return caveats.isEmpty() ? Optional.empty() : Optional.of(String.join(" ", caveats));
  }

  /** Returns one line, such as "2,189 of 7,680 entries in 1 of 4 tensors were compared". */
  static String line(Accounting.Share entries, Accounting.Share weights, String end) {
    return String.format(
        Locale.ROOT,
        "%,d of %,d entries in %,d of %,d tensors %s",
        entries.compared(),
        entries.all(),
        weights.compared(),
        weights.all(),
        end);
  }

  /**
   * Renders what became of the tensors of a checkpoint.
   *
   * @param side where each stored tensor ended
   * @param done what the compared tensors have, such as "have a mask"
   * @param undone what the others have, such as "no mask"
   * @param width columns of the terminal; sentences are wrapped to it
   * @return lines of text
   */
  public static String text(Accounting.Side side, String done, String undone, int width) {
    return text(side, List.of(), done, undone, width);
  }

  /**
   * Renders what became of the tensors of a checkpoint, and of parts of them.
   *
   * @param side where each stored tensor ended
   * @param excluded parts of tensors for which nothing is defined, with the reasons
   * @param done what the compared tensors have
   * @param undone what the others have
   * @param width columns of the terminal
   * @return lines of text
   */
  public static String text(
      Accounting.Side side, List<Accounting.Note> excluded, String done, String undone, int width) {
    TextLines out = new TextLines(width);
    out.sentence(4, "%s", line(side.entries(), side.weights(), done));
    missing(out, undone, side);
    Map<String, List<String>> parts = new LinkedHashMap<>();
    add(parts, "left out", without(excluded, side.leftOut()));
    parts.forEach((reason, names) -> out.sentence(4, "%s, %s: %s", undone, reason, few(names)));
    if (!side.notSelected().isEmpty()) {
      out.sentence(4, "%s, not selected: %s", undone, few(side.notSelected()));
    }
    return out.toString();
  }

  /** Adds the tensors of a run that are not compared, without those that the base lists, too. */
  static void missing(TextLines out, String who, Accounting.Side run, Accounting.Side base) {
    missing(
        out,
        who,
        new Accounting.Side(
            run.compared(),
            without(run.unmatched(), base.unmatched()),
            run.consumed(),
            without(run.refused(), base.refused()),
            without(run.leftOut(), base.leftOut()),
            run.unchanged(),
            run.notSelected(),
            run.weights(),
            run.entries()));
  }

  private static List<Accounting.Note> without(
      List<Accounting.Note> notes, List<Accounting.Note> named) {
    Set<String> names = named.stream().map(Accounting.Note::tensor).collect(Collectors.toSet());
    return notes.stream().filter(note -> !names.contains(note.tensor())).toList();
  }

  /**
   * Adds the tensors that are not compared, a line for each reason.
   *
   * @param who begin of each line
   */
  static void missing(TextLines out, String who, Accounting.Side side) {
    Map<String, List<String>> byReason = new LinkedHashMap<>();
    add(byReason, "unmatched", side.unmatched());
    add(byReason, "refused", side.refused());
    add(byReason, "left out", side.leftOut());
    byReason.entrySet().stream()
        .limit(MOST_REASONS)
        .forEach(
            entry -> out.sentence(4, "%s, %s: %s", who, entry.getKey(), few(entry.getValue())));
    long more = byReason.values().stream().skip(MOST_REASONS).mapToLong(List::size).sum();
    if (more > 0) {
      out.sentence(4, "%s: %,d more tensors for other reasons", who, more);
    }
  }

  /**
   * {@return the first names of a list, and how many there are besides}
   *
   * @param names names of tensors, which are not escaped
   */
  public static String few(List<String> names) {
    return names.stream().limit(MOST_NAMES).collect(Collectors.joining(", "))
        + (names.size() > MOST_NAMES ? " and " + (names.size() - MOST_NAMES) + " more" : "");
  }

  private static void add(
      Map<String, List<String>> byReason, String list, List<Accounting.Note> notes) {
    for (Accounting.Note note : notes) {
      byReason
          .computeIfAbsent(list + " (" + note.reason() + ")", reason -> new ArrayList<>())
          .add(note.tensor());
    }
  }
}
