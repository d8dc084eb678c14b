package org.threegate.analysis.pairing;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Ranges;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.adapter.AdaptedWeights;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.checkpoint.weight.Weights;
import org.threegate.run.InvalidInputException;

/**
 * The weights that two checkpoints share, paired for comparison, and an account of all stored
 * tensors.
 *
 * @param pairs pairs in the order of the base's files
 * @param names names of weights that are not compared
 * @param matched pairs of names that differ by a prefix, as "name of the base = name of the tuned"
 * @param accounting where each stored tensor ended
 */
public record Pairing(
    List<WeightPair> pairs, Unpaired names, List<String> matched, Accounting accounting) {
  private static final int MOST_EXPERTS = 1 << 16; // compared one by one
  private static final int COMPARED_ENTRIES = 1 << 20;
  private static final Function<Weight, Optional<String>> ALL = weight -> Optional.empty();
  private static final Function<Weight, Optional<String>> MATRICES = Pairing::whyNotMatrix;

  /** Embeddings of positions, which no output head is tied to. */
  private static final Pattern POSITIONS =
      Pattern.compile("(^|\\.)(wpe|embed_positions|position_embeddings)\\.");

  /**
   * Names of weights that are not compared.
   *
   * @param onlyInBase selected names that only the base has
   * @param onlyInTuned selected names that only the tuned checkpoint has
   * @param shapeMismatch selected names whose shapes differ, with both shapes
   * @param notCompared selected tensors that are refused, with the reason
   * @param untouched for an adapter: names of base tensors that it does not change
   */
  public record Unpaired(
      List<String> onlyInBase,
      List<String> onlyInTuned,
      List<String> shapeMismatch,
      List<String> notCompared,
      List<String> untouched) {}

  /** Copies the lists. */
  public Pairing {
    pairs = List.copyOf(pairs);
    matched = List.copyOf(matched);
  }

  /**
   * Pairs two checkpoints.
   *
   * @param base checkpoint before training
   * @param tuned checkpoint after training
   * @param selected selects tensors by name
   * @return the pairs, and the tensors that cannot be paired
   */
  public static Pairing of(Checkpoint base, Checkpoint tuned, Predicate<String> selected) {
    return of(base, tuned, selected, Map.of());
  }

  /**
   * Pairs two checkpoints whose names differ.
   *
   * @param base checkpoint before training
   * @param tuned checkpoint after training
   * @param selected names to compare
   * @param renames beginnings of names of the tuned checkpoint, and what stands there in the base
   * @return the pairs, and an account of all stored tensors
   * @throws InvalidInputException if two names are the same after renaming
   */
  public static Pairing of(
      Checkpoint base, Checkpoint tuned, Predicate<String> selected, Map<String, String> renames) {
    return new Builder(base, selected, true, ALL).withCheckpoint(tuned, renames);
  }

  /**
   * Pairs two checkpoints, and leaves fused matrices whole.
   *
   * @param base checkpoint before training
   * @param tuned checkpoint after training
   * @param selected names to compare
   * @param leftOut returns why a weight is not compared, given its name; empty if it is
   * @return the pairs, under the names of the stored tensors
   */
  public static Pairing whole(
      Checkpoint base,
      Checkpoint tuned,
      Predicate<String> selected,
      Function<String, Optional<String>> leftOut) {
    return new Builder(base, selected, false, weight -> leftOut.apply(weight.name()))
        .withCheckpoint(tuned, Map.of());
  }

  /**
   * Pairs a checkpoint with itself, to measure its matrices.
   *
   * @param checkpoint checkpoint with matrices
   * @param selected selects tensors by name
   * @return one pair for each matrix; vectors are left out
   */
  public static Pairing matrices(Checkpoint checkpoint, Predicate<String> selected) {
    return new Builder(checkpoint, selected, true, MATRICES).withCheckpoint(checkpoint, Map.of());
  }

  /**
   * Pairs several checkpoints with one base. Only what all of them have is compared.
   *
   * @param base checkpoint before training
   * @param runs tuned checkpoints
   * @param selected selects tensors by name
   * @return for each run, pairs of the same names and shapes in the same order; vectors are left
   *     out
   */
  public static List<Pairing> shared(
      Checkpoint base, List<Checkpoint> runs, Predicate<String> selected) {
    List<Builder> builders = new ArrayList<>();
    List<Account> accounts = new ArrayList<>();
    List<Found> found = new ArrayList<>();
    for (Checkpoint run : runs) {
      Builder builder = new Builder(base, selected, true, MATRICES);
      Account account = new Account(Weights.of(run));
      builder.match(run, Map.of(), account);
      String number = "run " + (builders.size() + 1) + ": ";
      builder.before.unmatched.replaceAll(
          note -> new Accounting.Note(note.tensor(), number + note.reason()));
      builders.add(builder);
      accounts.add(account);
      found.add(builder.found());
    }
    for (int i = 0; i < runs.size(); i++) {
      for (int j = 0; j < runs.size(); j++) {
        if (i != j) {
          builders.get(i).keep(found.get(j), "run " + (j + 1), accounts.get(i));
        }
      }
    }
    List<Pairing> pairings = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      pairings.add(builders.get(i).pairing(accounts.get(i), runs.get(i)));
    }
    return List.copyOf(pairings);
  }

  /**
   * Pairs a checkpoint with the result of applying an adapter to it.
   *
   * @param base checkpoint that the adapter belongs to
   * @param adapter an open adapter
   * @param selected selects tensors by name
   * @return the pairs, and the tensors that cannot be paired
   */
  public static Pairing of(Checkpoint base, Adapter adapter, Predicate<String> selected) {
    return new Builder(base, selected, true, ALL).withAdapter(adapter);
  }

  /**
   * {@return this pairing without its pairs} Pairs refer to mapped files; the rest stays valid
   * after the files are closed.
   */
  public Pairing withoutPairs() {
    return new Pairing(List.of(), names, matched, accounting);
  }

  /**
   * {@return this pairing without names that a damaged file made unmatched}
   *
   * @param damaged names of tensors in damaged files
   */
  public Pairing without(Set<String> damaged) {
    Unpaired left =
        new Unpaired(
            names.onlyInBase().stream().filter(name -> !damaged.contains(name)).toList(),
            names.onlyInTuned().stream().filter(name -> !damaged.contains(name)).toList(),
            names.shapeMismatch(),
            names.notCompared(),
            names.untouched());
    return new Pairing(pairs, left, matched, accounting);
  }

  /**
   * {@return this pairing without some pairs} A stored tensor of which no pair is left moves to the
   * tensors that are left out.
   *
   * @param excluded names of the pairs, with the reasons
   */
  public Pairing excluding(List<Accounting.Note> excluded) {
    Map<String, String> reasons = new HashMap<>();
    excluded.forEach(note -> reasons.put(note.tensor(), note.reason()));
    List<WeightPair> kept =
        pairs.stream().filter(pair -> !reasons.containsKey(pair.name())).toList();
    Set<String> used = new HashSet<>();
    kept.forEach(pair -> pair.tensors().forEach(tensor -> used.add(tensor.name())));
    Map<String, String> gone = new HashMap<>();
    long entries = 0;
    for (WeightPair pair : pairs) {
      String reason = reasons.get(pair.name());
      if (reason != null) {
        entries += pair.rows() * pair.columns();
        pair.tensors().stream()
            .map(Tensor::name)
            .filter(name -> !used.contains(name))
            .forEach(name -> gone.put(name, reason));
      }
    }
    return new Pairing(
        kept,
        names,
        matched,
        new Accounting(
            excluding(accounting.base(), gone, entries),
            excluding(accounting.tuned(), gone, entries)));
  }

  private static Accounting.Side excluding(
      Accounting.Side side, Map<String, String> gone, long entries) {
    List<Accounting.Note> leftOut = new ArrayList<>(side.leftOut());
    List<String> compared = new ArrayList<>();
    for (String name : side.compared()) {
      if (gone.containsKey(name)) {
        leftOut.add(new Accounting.Note(name, gone.get(name)));
      } else {
        compared.add(name);
      }
    }
    long weights = side.compared().size() - compared.size();
    return new Accounting.Side(
        compared,
        side.unmatched(),
        side.consumed(),
        side.refused(),
        leftOut,
        side.unchanged(),
        side.notSelected(),
        new Accounting.Share(side.weights().compared() - weights, side.weights().all()),
        new Accounting.Share(side.entries().compared() - entries, side.entries().all()));
  }

  private static Optional<String> whyNotMatrix(Weight weight) {
    if (weight.elements() == 0) {
      return Optional.of("it has no entries");
    }
    return weight.shape().size() >= 2 ? Optional.empty() : Optional.of("it is not a matrix");
  }

  private static Weight firstRows(Weight weight, long rows) {
    return new Weight(
        weight.name(),
        List.of(rows, weight.shape().get(1)),
        weight.storedAs(),
        weight.entries().rows(0, rows),
        weight.sources());
  }

  /** The lists of one side while they grow. */
  private static final class Account {
    private final Weights weights;
    private final List<String> compared = new ArrayList<>();
    private final List<Accounting.Note> unmatched = new ArrayList<>();
    private final List<Accounting.Note> consumed = new ArrayList<>();
    private final List<Accounting.Note> refused = new ArrayList<>();
    private final List<Accounting.Note> leftOut = new ArrayList<>();
    private final List<String> unchanged = new ArrayList<>();
    private final List<String> notSelected = new ArrayList<>();
    private final Set<String> factors = new HashSet<>();
    private long weightsCompared;
    private long weightsAll;
    private long entriesCompared;
    private long entriesAll;

    Account(Weights weights) {
      this.weights = weights;
      weights.consumed().forEach((name, use) -> consumed.add(new Accounting.Note(name, use)));
      weights.refused().forEach((name, why) -> refused.add(new Accounting.Note(name, why)));
    }

    private static String stored(Weight weight) {
      return weight.sources().get(0).name();
    }

    private void count(Weight weight, long entries) {
      weightsAll++;
      entriesAll += weight.elements();
      weightsCompared += entries > 0 || weight.elements() == 0 ? 1 : 0;
      entriesCompared += entries;
    }

    /** Lists a tensor as a part of an update; without a phrase, as one of no selected weight. */
    void uses(String tensor, String use) {
      factors.add(tensor);
      if (use.isEmpty()) {
        notSelected.add(tensor);
      } else {
        consumed.add(new Accounting.Note(tensor, use));
      }
    }

    void compared(Weight weight, long entries) {
      if (!factors.contains(stored(weight))) { // factors are listed, but their product counts
        compared.add(stored(weight));
      }
      count(weight, entries);
    }

    void unmatched(Weight weight, String reason) {
      if (!factors.contains(stored(weight))) {
        unmatched.add(new Accounting.Note(stored(weight), reason));
      }
      count(weight, 0);
    }

    void leftOut(Weight weight, String reason) {
      leftOut.add(new Accounting.Note(stored(weight), reason));
      count(weight, 0);
    }

    void consumed(Weight weight, String use) {
      consumed.add(new Accounting.Note(stored(weight), use));
    }

    void unchanged(Weight weight) {
      unchanged.add(stored(weight));
      count(weight, weight.elements());
    }

    void notSelected(Weight weight) {
      if (!factors.contains(stored(weight))) {
        notSelected.add(stored(weight));
      }
    }

    /** Counts refused tensors as entries that are not compared. */
    Accounting.Side side(Checkpoint checkpoint, Predicate<String> selected) {
      for (Accounting.Note note : List.copyOf(refused)) {
        if (selected.test(note.tensor())) {
          weightsAll++;
          entriesAll += checkpoint.tensors().get(note.tensor()).elements();
        }
      }
      return new Accounting.Side(
          compared,
          unmatched,
          consumed,
          refused,
          leftOut,
          unchanged,
          notSelected,
          new Accounting.Share(weightsCompared, weightsAll),
          new Accounting.Share(entriesCompared, entriesAll));
    }
  }

  /**
   * Two weights that match.
   *
   * @param inBase whether the base has the first under its own name, and not as a tied copy
   * @param rows number of rows that both have
   */
  private record Match(Weight one, Weight other, boolean inBase, long rows) {
    static final long ALL_ROWS = Long.MAX_VALUE;

    /** Returns the entries of a weight that are compared. */
    long entries(Weight weight) {
      return first(weight).elements();
    }

    Weight first(Weight weight) {
      return rows == ALL_ROWS || weight.shape().get(0) <= rows ? weight : firstRows(weight, rows);
    }
  }

  /**
   * What a run has of the base, before other runs are looked at.
   *
   * @param rows number of rows that match, by the name of the weight
   * @param missing reasons by the name of the stored tensor of the base
   */
  private record Found(Map<String, Long> rows, Map<String, String> missing) {}

  private static final class Builder {
    private final Checkpoint base;
    private final Predicate<String> selected;
    private final boolean split;
    private final Function<Weight, Optional<String>> leftOut;
    private final Architecture architecture;
    private final Account before;
    private final List<Match> matches = new ArrayList<>();
    private final List<WeightPair> pairs = new ArrayList<>();
    private final List<String> onlyInBase = new ArrayList<>();
    private final List<String> onlyInTuned = new ArrayList<>();
    private final List<String> shapeMismatch = new ArrayList<>();
    private final List<String> untouched = new ArrayList<>();
    private final List<String> matched = new ArrayList<>();

    /**
     * Prepares a pairing.
     *
     * @param split whether fused matrices are split
     * @param leftOut returns why a weight that matches is not compared; empty if it is
     */
    Builder(
        Checkpoint base,
        Predicate<String> selected,
        boolean split,
        Function<Weight, Optional<String>> leftOut) {
      this.base = base;
      this.selected = selected;
      this.split = split;
      this.leftOut = leftOut;
      this.architecture = new Architecture(base.config().orElse(ModelConfig.UNKNOWN));
      this.before = new Account(Weights.of(base));
    }

    Pairing withCheckpoint(Checkpoint tuned, Map<String, String> renames) {
      Account after = new Account(Weights.of(tuned));
      match(tuned, renames, after);
      return pairing(after, tuned);
    }

    /** Finds the weights that match, and lists the others. */
    void match(Checkpoint tuned, Map<String, String> renames, Account after) {
      Map<String, Weight> left = new LinkedHashMap<>(before.weights.byName());
      Map<String, Weight> right = withoutWrappers(left, renamed(after.weights.byName(), renames));
      tiedCopy(base, left).ifPresent(copy -> setAside(before, left, copy));
      tiedCopy(tuned, right).ifPresent(copy -> setAside(after, right, copy));
      Set<String> names = new LinkedHashSet<>(left.keySet());
      names.addAll(right.keySet());
      for (String name : names) {
        Weight one = left.get(name);
        Weight other = right.get(name);
        if (!selected.test(name)) {
          Optional.ofNullable(one).ifPresent(before::notSelected);
          Optional.ofNullable(other).ifPresent(after::notSelected);
        } else if (one == null) {
          pairWithEmbedding(left, other, after);
        } else if (other == null) {
          onlyInBase.add(name);
          before.unmatched(one, "the tuned checkpoint has no such weight");
        } else {
          match(one, other, after);
        }
      }
    }

    /** Matches two weights of one name, or lists them if their shapes differ. */
    private void match(Weight one, Weight other, Account after) {
      if (one.shape().equals(other.shape())) {
        Optional<String> reason = leftOut.apply(one);
        if (reason.isPresent()) {
          before.leftOut(one, reason.get());
          after.leftOut(other, reason.get());
          return;
        }
        matches.add(new Match(one, other, true, Match.ALL_ROWS));
        return;
      }
      TensorKind kind = architecture.kind(one.name(), one.shape().size());
      boolean vocabulary =
          (kind == TensorKind.EMBED || kind == TensorKind.LM_HEAD)
              && one.shape().size() == 2
              && other.shape().size() == 2
              && one.shape().get(1).equals(other.shape().get(1))
              && Math.min(one.shape().get(0), other.shape().get(0)) > 0;
      String shapes = one.shape() + " " + other.shape();
      shapeMismatch.add(one.name() + " " + shapes);
      if (!vocabulary) {
        before.unmatched(one, "shape " + one.shape() + " against " + other.shape());
        after.unmatched(other, "shape " + other.shape() + " against " + one.shape());
        return;
      }
      // A vocabulary that grew or was padded keeps its first rows.
      long rows = Math.min(one.shape().get(0), other.shape().get(0));
      matches.add(new Match(one, other, true, rows));
    }

    Found found() {
      Map<String, Long> rows = new HashMap<>();
      matches.forEach(match -> rows.put(match.one().name(), match.rows()));
      Map<String, String> missing = new HashMap<>();
      before.unmatched.forEach(note -> missing.put(note.tensor(), note.reason()));
      return new Found(rows, missing);
    }

    /** Keeps the matches that another run has, too, and lists the others. */
    void keep(Found other, String run, Account after) {
      List<Match> all = List.copyOf(matches);
      matches.clear();
      for (Match match : all) {
        long rows = other.rows().getOrDefault(match.one().name(), 0L);
        if (rows > 0) {
          long both = Math.min(rows, match.rows());
          matches.add(new Match(match.one(), match.other(), match.inBase(), both));
          continue;
        }
        String reason =
            match.inBase()
                ? other.missing().getOrDefault(Account.stored(match.one()), run + " leaves it out")
                : run + ": its output head is that of the base";
        after.unmatched(match.other(), reason);
        if (match.inBase()) {
          before.unmatched(match.one(), reason);
        }
      }
    }

    /** Makes pairs of the weights that match, in the order in which they were found. */
    private void pairMatches(Account after) {
      for (Match match : matches) {
        add(match.first(match.one()), match.first(match.other()));
        if (match.inBase()) {
          before.compared(match.one(), match.entries(match.one()));
        }
        after.compared(match.other(), match.entries(match.other()));
      }
    }

    /** {@return weights under names that begin as the caller wants. The first rename counts} */
    private Map<String, Weight> renamed(Map<String, Weight> weights, Map<String, String> renames) {
      Map<String, Weight> renamed = new LinkedHashMap<>();
      weights.forEach(
          (name, weight) -> {
            String own =
                renames.entrySet().stream()
                    .filter(rename -> name.startsWith(rename.getKey()))
                    .findFirst()
                    .map(rename -> rename.getValue() + name.substring(rename.getKey().length()))
                    .orElse(name);
            if (renamed.putIfAbsent(own, weight) != null) {
              throw new InvalidInputException(
                  "two tensors of the tuned checkpoint are named " + own + " after renaming");
            }
            if (!own.equals(name)) {
              matched.add(own + " = " + name);
            }
          });
      return renamed;
    }

    /** {@return the weights of the tuned checkpoint under the names of the base} */
    private Map<String, Weight> withoutWrappers(
        Map<String, Weight> left, Map<String, Weight> tuned) {
      Set<String> onlyLeft = new LinkedHashSet<>(left.keySet());
      onlyLeft.removeAll(tuned.keySet());
      Set<String> onlyRight = new LinkedHashSet<>(tuned.keySet());
      onlyRight.removeAll(left.keySet());
      Map<String, String> names = Names.match(onlyLeft, onlyRight);
      Map<String, Weight> renamed = new LinkedHashMap<>();
      tuned.forEach(
          (name, weight) -> {
            String own = names.getOrDefault(name, name);
            if (!own.equals(name)) {
              matched.add(own + " = " + name);
            }
            renamed.put(own, weight);
          });
      return renamed;
    }

    private static void setAside(Account account, Map<String, Weight> weights, Weight copy) {
      weights.values().remove(copy);
      account.consumed(copy, "tied copy of the embedding");
    }

    /** {@return the output head if it is stored beside the embedding with the same bytes} */
    private Optional<Weight> tiedCopy(Checkpoint checkpoint, Map<String, Weight> weights) {
      boolean separate = embeddings(checkpoint) == ModelConfig.Embeddings.SEPARATE;
      Optional<Weight> head = find(weights, TensorKind.LM_HEAD);
      Optional<Weight> embedding = embedding(weights);
      return head.filter(
          own -> !separate && embedding.isPresent() && sameBytes(own, embedding.get()));
    }

    private static ModelConfig.Embeddings embeddings(Checkpoint checkpoint) {
      return checkpoint.config().orElse(ModelConfig.UNKNOWN).embeddings();
    }

    /** Returns whether the output head of the base is its embedding. */
    private boolean isTied(Map<String, Weight> left) {
      return embeddings(base).areTied(find(left, TensorKind.LM_HEAD).isPresent());
    }

    private Optional<Weight> find(Map<String, Weight> weights, TensorKind kind) {
      return weights.values().stream()
          .filter(weight -> weight.shape().size() == 2 && weight.isPlain())
          .filter(weight -> architecture.kind(weight.name(), 2) == kind)
          .filter(weight -> !POSITIONS.matcher(weight.name()).find())
          .findFirst();
    }

    /** {@return the embedding of the tokens, which an output head may be tied to} */
    private Optional<Weight> embedding(Map<String, Weight> weights) {
      return find(weights, TensorKind.EMBED);
    }

    private static boolean sameBytes(Weight one, Weight other) {
      if (!one.storedAs().equals(other.storedAs()) || !one.shape().equals(other.shape())) {
        return false;
      }
      for (long at = 0; at < one.elements(); at += COMPARED_ENTRIES) {
        int count = (int) Math.min(COMPARED_ENTRIES, one.elements() - at);
        if (!Arrays.equals(one.stored(at, count), other.stored(at, count))) {
          return false;
        }
      }
      return true;
    }

    /**
     * Lists a weight that only the tuned checkpoint has. An output head whose base is tied came
     * from the embedding, and is compared with that.
     */
    private void pairWithEmbedding(Map<String, Weight> left, Weight other, Account after) {
      boolean head =
          architecture.kind(other.name(), other.shape().size()) == TensorKind.LM_HEAD
              && isTied(left);
      Optional<Weight> embedding = embedding(left).filter(own -> own.shape().equals(other.shape()));
      if (head && embedding.isPresent()) {
        Weight from = embedding.get();
        Weight named =
            new Weight(other.name(), from.shape(), from.storedAs(), from.entries(), from.sources());
        matches.add(new Match(named, other, false, Match.ALL_ROWS));
        matched.add(from.name() + " = " + other.name());
        return;
      }
      onlyInTuned.add(other.name());
      after.unmatched(other, "the base has no such weight");
    }

    Pairing withAdapter(Adapter adapter) {
      Account after = new Account(new Weights(Map.of(), Map.of(), Map.of()));
      Map<String, Weight> left = underNames(before.weights.byName(), adapter.names());
      tiedCopy(base, left).ifPresent(copy -> setAside(before, left, copy));
      AdaptedWeights tuned =
          withMergedHead(
              left,
              adapter.applyTo(
                  withTiedHead(left, adapter), base.config().orElse(ModelConfig.UNKNOWN)));
      account(adapter, tuned, left, after);
      left.forEach(
          (name, weight) -> {
            Optional<Weight> other = Optional.ofNullable(tuned.byName().get(name));
            String factors = tuned.unfit().getOrDefault(name, "");
            if (!selected.test(weight.name())) {
              before.notSelected(weight);
              other.ifPresent(after::notSelected);
            } else if (!factors.isEmpty()) {
              shapeMismatch.add(weight.name() + " " + weight.shape() + " " + factors);
              String reason = "shape " + weight.shape() + " against factors of " + factors;
              before.unmatched(weight, reason);
              other.ifPresent(replacement -> after.unmatched(replacement, reason));
            } else if (other.isPresent()) {
              match(weight, other.get(), after);
            } else {
              untouched.add(weight.name());
              before.unchanged(weight);
            }
          });
      tuned
          .byName()
          .forEach(
              (name, other) -> {
                if (!left.containsKey(name) && selected.test(name)) {
                  pairWithEmbedding(left, other, after);
                } else if (!left.containsKey(name)) {
                  after.notSelected(other);
                }
              });
      return pairing(after, adapter.weights());
    }

    /** Returns weights of the base under the names that an adapter has for them. */
    private Map<String, Weight> underNames(Map<String, Weight> weights, Set<String> names) {
      Set<String> onlyLeft = new LinkedHashSet<>(weights.keySet());
      onlyLeft.removeAll(names);
      Set<String> onlyRight = new LinkedHashSet<>(names);
      onlyRight.removeAll(weights.keySet());
      Map<String, String> byBase = new HashMap<>();
      Names.match(onlyLeft, onlyRight).forEach((own, name) -> byBase.put(name, own));
      Map<String, Weight> named = new LinkedHashMap<>();
      weights.forEach(
          (name, weight) -> {
            if (byBase.containsKey(name)) {
              matched.add(name + " = " + byBase.get(name));
            }
            named.put(byBase.getOrDefault(name, name), weight);
          });
      return named;
    }

    /** Adds the output head that a tied base has in its embedding, if an adapter changes it. */
    private Map<String, Weight> withTiedHead(Map<String, Weight> left, Adapter adapter) {
      Map<String, Weight> all = new LinkedHashMap<>(left);
      boolean tied = isTied(left);
      for (String name : adapter.names()) {
        if (tied && architecture.kind(name, 2) == TensorKind.LM_HEAD) {
          embedding(left).ifPresent(embedding -> all.putIfAbsent(name, embedding));
        }
      }
      return all;
    }

    /**
     * Returns weights in which an update of a tied head is one of the embedding: both are one
     * parameter, so that PEFT changes both when it merges the adapter.
     */
    private AdaptedWeights withMergedHead(Map<String, Weight> left, AdaptedWeights tuned) {
      Map<String, Weight> weights = new LinkedHashMap<>(tuned.byName());
      Map<String, List<String>> uses = new LinkedHashMap<>(tuned.uses());
      boolean tied = isTied(left);
      Optional<Weight> embedding = embedding(left).filter(own -> tied);
      for (String head : tuned.byName().keySet()) {
        boolean updated = tuned.uses().values().stream().anyMatch(names -> names.contains(head));
        if (embedding.isEmpty()
            || left.containsKey(head)
            || !updated
            || architecture.kind(head, 2) != TensorKind.LM_HEAD) {
          continue;
        }
        String name =
            left.entrySet().stream()
                .filter(own -> own.getValue() == embedding.get())
                .map(Map.Entry::getKey)
                .findFirst()
                .orElseThrow();
        Weight own = weights.remove(head);
        if (weights.containsKey(name)) {
          throw new InvalidInputException(
              "the adapter changes "
                  + head
                  + " and "
                  + name
                  + ", which are one parameter of "
                  + base.path()
                  + "; merge the adapter with PEFT, and compare the merged model");
        }
        weights.put(
            name, new Weight(name, own.shape(), own.storedAs(), own.entries(), own.sources()));
        uses.replaceAll(
            (tensor, names) -> names.stream().map(old -> old.equals(head) ? name : old).toList());
        matched.add(name + " = " + head);
      }
      return new AdaptedWeights(weights, tuned.unfit(), uses, tuned.unmatched());
    }

    /** Lists the tensors of an adapter that are parts of updates, or cannot be applied. */
    private void account(
        Adapter adapter, AdaptedWeights tuned, Map<String, Weight> left, Account after) {
      for (String tensor : adapter.weights().tensors().keySet()) {
        List<String> updated = tuned.uses().getOrDefault(tensor, List.of());
        Optional<AdaptedWeights.Unmatched> why = Optional.ofNullable(tuned.unmatched().get(tensor));
        if (!updated.isEmpty()) {
          List<String> names =
              updated.stream()
                  .map(name -> left.containsKey(name) ? left.get(name).name() : name)
                  .filter(selected)
                  .toList();
          String others = names.size() < 2 ? "" : " and " + (names.size() - 1) + " more";
          after.uses(tensor, names.isEmpty() ? "" : "factor of " + names.get(0) + others);
        } else if (why.isPresent() && !selected.test(why.get().weight())) {
          after.uses(tensor, "");
        } else if (why.isPresent()) {
          after.unmatched.add(new Accounting.Note(tensor, why.get().reason()));
          if (!left.containsKey(why.get().weight()) && !onlyInTuned.contains(why.get().weight())) {
            onlyInTuned.add(why.get().weight());
          }
        }
      }
    }

    private void add(Weight one, Weight other) {
      List<Tensor> sources = new ArrayList<>(one.sources());
      sources.addAll(other.sources());
      List<Long> shape = one.shape();
      TensorKind kind = architecture.kind(one.name(), shape.size());
      OptionalLong experts = architecture.experts(one.name(), shape);
      boolean slices =
          experts.isPresent() && one.elements() > 0 && experts.getAsLong() <= MOST_EXPERTS;
      TensorPair.Stored stored =
          new TensorPair.Stored(
              one.storedAs(),
              other.storedAs(),
              slices ? 2 : shape.size(),
              (slices || shape.size() == 2) && architecture.isTransposed(one.name(), shape));
      if (!slices) {
        add(
            new Whole(one.name(), OptionalLong.empty(), kind, stored),
            one.entries(),
            other.entries(),
            sources,
            sources);
        return;
      }
      long rows = one.entries().rows() / experts.getAsLong();
      for (long e = 0; e < experts.getAsLong(); e++) {
        add(
            new Whole(one.name(), OptionalLong.of(e), kind, stored),
            one.entries().rows(e * rows, (e + 1) * rows),
            other.entries().rows(e * rows, (e + 1) * rows),
            e == 0 ? sources : List.of(),
            sources);
      }
    }

    /**
     * A matrix or a vector that may have parts.
     *
     * @param expert number of an expert
     */
    private record Whole(
        String weight, OptionalLong expert, TensorKind kind, TensorPair.Stored stored) {
      String name() {
        return weight + (expert.isPresent() ? "[" + expert.getAsLong() + "]" : "");
      }

      /**
       * Returns where a part lies in the weight. The rows of an expert follow those of the one
       * before.
       *
       * @param size rows of an expert
       */
      WeightPair.Place place(Ranges rows, Ranges columns, long size) {
        return new WeightPair.Place(
            weight,
            new Ranges(
                rows.begin() + expert.orElse(0) * size, rows.length(), rows.step(), rows.count()),
            columns);
      }

      /** Returns whether outputs are columns as stored. So are those of vectors and biases. */
      boolean outputsAreColumns() {
        return stored.transposed() || stored.dimensions() < 2 || kind == TensorKind.BIAS;
      }
    }

    private void add(
        Whole whole, Values left, Values right, List<Tensor> sources, List<Tensor> tensors) {
      boolean across = whole.outputsAreColumns();
      long outputs = across ? left.columns() : left.rows();
      long inputs = across ? left.rows() : left.columns();
      boolean none = whole.stored().dimensions() > 2 || left.rows() == 0 || left.columns() == 0;
      List<Architecture.Part> parts =
          none || !split
              ? List.of()
              : architecture.parts(whole.weight(), whole.kind(), outputs, inputs);
      if (parts.isEmpty()) {
        boolean part = whole.expert().isPresent();
        pairs.add(
            new WeightPair(
                whole.name(),
                architecture.layer(whole.weight()),
                whole.kind(),
                whole.stored(),
                left,
                right,
                whole.stored().dimensions() < 2
                    ? List.of()
                    : architecture.heads(whole.weight(), whole.kind(), outputs, inputs),
                part
                    ? Optional.of(
                        whole.place(
                            Ranges.of(0, left.rows()), Ranges.of(0, left.columns()), left.rows()))
                    : Optional.empty(),
                sources,
                tensors));
        return;
      }
      for (Architecture.Part part : parts) {
        Ranges rows = across ? Ranges.of(0, left.rows()) : part.outputs();
        Ranges columns = across ? part.outputs() : Ranges.of(0, left.columns());
        pairs.add(
            new WeightPair(
                whole.name() + "[" + part.label() + "]",
                architecture.layer(whole.weight()),
                part.kind(),
                whole.stored(),
                left.part(rows, columns),
                right.part(rows, columns),
                part.heads(),
                Optional.of(whole.place(rows, columns, left.rows())),
                part == parts.get(0) ? sources : List.of(),
                tensors));
      }
    }

    private Pairing pairing(Account after, Checkpoint tuned) {
      pairMatches(after);
      List<String> notCompared = new ArrayList<>();
      for (Account account : List.of(before, after)) {
        for (Accounting.Note note : account.refused) {
          String line = note.tensor() + " " + note.reason();
          if (selected.test(note.tensor()) && !notCompared.contains(line)) {
            notCompared.add(line);
          }
        }
      }
      return new Pairing(
          pairs,
          new Unpaired(
              List.copyOf(onlyInBase),
              List.copyOf(onlyInTuned),
              List.copyOf(shapeMismatch),
              notCompared,
              List.copyOf(untouched)),
          matched,
          new Accounting(before.side(base, selected), after.side(tuned, selected)));
    }
  }
}
