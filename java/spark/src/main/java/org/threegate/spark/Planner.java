package org.threegate.spark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.weight.ScaleGrid;
import org.threegate.checkpoint.weight.Values;
import org.threegate.kernel.Matrix;

/**
 * Describes pairs for executors and distributes them over tasks. The most expensive items come
 * first, each in its own task. Small items share tasks, so that all tasks finish at about the same
 * time.
 */
final class Planner {
  /** Approximate number of tasks per core. */
  private static final int TASKS_A_CORE = 32;

  /**
   * Largest cost of a task, about ten seconds of one core. Short tasks let a growing cluster use
   * new executors.
   */
  private static final double MOST_COST = 2e11;

  private static final long MOST_BYTES = 1L << 30;
  private static final int MOST_ITEMS = 512;

  /**
   * Native memory in bytes per weight in addition to the operands: float32 copies, an update,
   * singular vectors.
   */
  private static final long WORKSPACE_A_WEIGHT = 24;

  /** Largest size of a computed entry, in bytes. */
  private static final long COMPUTED_BYTES = Double.BYTES;

  private static final String BASE = "base";
  private static final String BIAS = ".bias";

  private final List<Descriptions.Source> files = new ArrayList<>();
  private final Map<NativeBuffer, Integer> fileOf = new IdentityHashMap<>();
  private final Map<NativeBuffer, String> models = new IdentityHashMap<>();
  private final Set<String> digested = new HashSet<>();
  private final Map<String, Map<String, String>> texts = new LinkedHashMap<>();
  private final Map<String, String> renames = new HashMap<>();
  private boolean adapter;
  private final Map<String, List<Tensor>> tensorsOf = new HashMap<>();
  private final Map<String, Tensor> initial = new HashMap<>();
  private Optional<Map<String, String>> initialTexts = Optional.empty();
  private boolean sent = true; // whether texts are short enough for that

  /**
   * Registers the files of a checkpoint.
   *
   * @param name name of the checkpoint in keys of digests
   */
  void add(String name, RemoteModel model, Checkpoint checkpoint) throws IOException {
    Optional<Map<String, String>> own = model.texts();
    texts.put(name, own.orElse(Map.of()));
    sent &= own.isPresent();
    Map<String, Integer> indexes = new HashMap<>();
    for (Tensor tensor : checkpoint.tensors().values()) {
      NativeBuffer buffer = tensor.file().buffer();
      String file = tensor.file().path().getFileName().toString();
      int index =
          indexes.computeIfAbsent(
              file,
              shard -> {
                files.add(model.shards().get(shard));
                return files.size() - 1;
              });
      fileOf.put(buffer, index);
      models.put(buffer, name);
    }
  }

  /**
   * Says how the tuned side is paired with the base.
   *
   * @param beginnings beginnings of names of the tuned checkpoint, and what stands there in the
   *     base
   * @param ofAdapter whether it is an adapter
   * @param pairs all pairs
   */
  void paired(Map<String, String> beginnings, boolean ofAdapter, List<WeightPair> pairs) {
    renames.putAll(beginnings);
    adapter = ofAdapter;
    if (ofAdapter) {
      pairs.forEach(pair -> tensorsOf.put(pair.name(), pair.tensors()));
    }
  }

  /** Registers the file of the adapter from before training. */
  void addInitial(RemoteModel model, SafetensorsFile weights) throws IOException {
    Optional<Map<String, String>> own = model.texts();
    sent &= own.isPresent();
    initialTexts = own;
    files.add(model.shards().get(weights.path().getFileName().toString()));
    fileOf.put(weights.tensors().get(0).file().buffer(), files.size() - 1);
    weights.tensors().forEach(tensor -> initial.put(tensor.name(), tensor));
  }

  /** Marks digests as known, so that no item computes them. */
  void known(Set<String> keys) {
    digested.addAll(keys);
  }

  /** Keeps only these digests as known; items compute all others again. */
  void forget(Set<String> known) {
    digested.retainAll(known);
  }

  /**
   * Describes what is measured of one tensor.
   *
   * @param sources tensors whose digests are requested, unless another item computes them
   */
  Descriptions.Item item(
      String name, List<WeightPair> pairs, List<Tensor> sources, boolean wide, double cost) {
    boolean plain = pairs.stream().allMatch(Planner::isPlain);
    List<Descriptions.Pair> described = plain ? pairs.stream().map(this::pair).toList() : List.of();
    Optional<Descriptions.Computed> computed =
        plain ? Optional.empty() : Optional.of(computed(pairs));
    List<Descriptions.Digested> digests = new ArrayList<>();
    for (Tensor tensor : sources) {
      NativeBuffer buffer = tensor.file().buffer();
      if (fileOf.containsKey(buffer)) {
        String key = models.get(buffer) + ":" + tensor.name();
        if (digested.add(key)) {
          digests.add(
              new Descriptions.Digested(key, fileOf.get(buffer), tensor.offset(), tensor.bytes()));
        }
      }
    }
    Set<Descriptions.Stored> stored = new HashSet<>();
    long weights = 0;
    for (Descriptions.Pair pair : described) {
      stored.addAll(pair.matrices());
      weights = Math.max(weights, pair.base().values().rows() * pair.base().values().columns());
    }
    long fetched = stored.stream().mapToLong(Descriptions.Stored::bytes).sum();
    if (computed.isPresent()) {
      weights = computed.get().entries();
      long excerpts = computed.get().parts().stream().mapToLong(Descriptions.Part::bytes).sum();
      fetched = excerpts + COMPUTED_BYTES * 2 * weights * pairs.size();
    }
    long bytes = fetched + (wide ? WORKSPACE_A_WEIGHT * weights : weights);
    double reading = fetched + digests.stream().mapToLong(Descriptions.Digested::bytes).sum();
    return new Descriptions.Item(
        name, described, computed, digests, bytes, Math.max(cost, reading));
  }

  private Descriptions.Pair pair(WeightPair pair) {
    return new Descriptions.Pair(
        pair.name(),
        pair.layer(),
        pair.kind(),
        pair.stored(),
        weights(pair.base()),
        weights(pair.tuned()),
        pair.heads());
  }

  /**
   * Returns whether executors can read the pair. Long descriptions are not sent with each matrix.
   */
  boolean isReadable(WeightPair pair) {
    return isPlain(pair)
        || sent && pair.tensors().stream().allMatch(one -> fileOf.containsKey(one.file().buffer()));
  }

  /** Returns whether kernels read both sides as they are stored, with scales or factors. */
  private static boolean isPlain(WeightPair pair) {
    return isPlain(pair.base()) && isPlain(pair.tuned());
  }

  private static boolean isPlain(Values values) {
    if (values instanceof Values.Adapted adapted) {
      return isPlain(adapted.base());
    }
    if (values instanceof Values.Selected selected) {
      return isPlain(selected.whole());
    }
    return values instanceof Values.Stored || values instanceof Values.Scaled;
  }

  /** Describes the stored tensors of pairs whose entries are computed. */
  private Descriptions.Computed computed(List<WeightPair> pairs) {
    WeightPair first = pairs.get(0);
    Optional<Expert> expert = Expert.of(first);
    List<Descriptions.Excerpt> tuned = new ArrayList<>();
    Map<String, Map<String, Descriptions.Part>> parts = new LinkedHashMap<>();
    texts.keySet().forEach(model -> parts.put(model, new LinkedHashMap<>()));
    for (WeightPair pair : pairs) {
      List<Tensor> tensors = new ArrayList<>(pair.tensors());
      // Some adapters change a bias as they change the weight beside it.
      if (pair.name().endsWith(BIAS)) {
        String stem = pair.name().substring(0, pair.name().length() - BIAS.length());
        tensors.addAll(tensorsOf.getOrDefault(stem + ".weight", List.of()));
      }
      for (Tensor tensor : tensors) {
        parts.get(models.get(tensor.file().buffer())).put(tensor.name(), part(tensor, expert));
      }
    }
    parts.forEach(
        (model, own) -> {
          if (!model.equals(BASE)) {
            tuned.add(new Descriptions.Excerpt(texts.get(model), List.copyOf(own.values())));
          }
        });
    return new Descriptions.Computed(
        expert.map(own -> own.weight() + "[0]" + own.part()).orElse(first.name()),
        new Descriptions.Excerpt(texts.get(BASE), List.copyOf(parts.get(BASE).values())),
        tuned,
        initialTexts.map(
            own ->
                new Descriptions.Excerpt(
                    own,
                    tuned.get(0).parts().stream()
                        .filter(part -> initial.containsKey(part.name()))
                        .map(part -> part(initial.get(part.name()), Optional.empty()))
                        .toList())),
        renames,
        adapter,
        first.rows() * first.columns());
  }

  private Descriptions.Part part(Tensor tensor, Optional<Expert> expert) {
    int file = fileOf.get(tensor.file().buffer());
    List<Long> shape = tensor.shape();
    if (expert.isEmpty() || shape.isEmpty() || shape.get(0) != expert.get().count()) {
      return new Descriptions.Part(tensor.name(), tensor.type(), shape, file, tensor.offset());
    }
    List<Long> one = new ArrayList<>(shape);
    one.set(0, 1L);
    long begin = tensor.bytes() / shape.get(0) * expert.get().index();
    return new Descriptions.Part(tensor.name(), tensor.type(), one, file, tensor.offset() + begin);
  }

  /**
   * One of the experts in a weight of three dimensions. Its codes and scales are one part of those
   * that are stored, so that no executor reads the others.
   */
  private record Expert(String weight, long index, long count, String part) {
    private static final Pattern NAME =
        Pattern.compile("(.*)\\[(\\d+)\\]((?:\\[\\w+\\])?)", Pattern.DOTALL);

    /** Returns the expert; empty if the codes do not belong to several experts. */
    static Optional<Expert> of(WeightPair pair) {
      Matcher name = NAME.matcher(pair.name());
      List<Long> shape = pair.tensors().get(0).shape();
      boolean fits =
          name.matches()
              && pair.kind().isExpert()
              && pair.stored().dimensions() == 2
              && shape.size() >= 3
              && pair.tensors().stream()
                  .allMatch(one -> one.elements() == 1 || one.shape().get(0).equals(shape.get(0)));
      return fits
          ? Optional.of(
              new Expert(name.group(1), Long.parseLong(name.group(2)), shape.get(0), name.group(3)))
          : Optional.empty();
    }
  }

  private Descriptions.Weights weights(Values values) {
    if (values instanceof Values.Selected selected) {
      Descriptions.Weights whole = weights(selected.whole());
      return new Descriptions.Weights(
          whole.values(),
          whole.scale(),
          whole.products(),
          Optional.of(new Descriptions.Selected(selected.kept(), selected.across())));
    }
    if (values instanceof Values.Adapted adapted) {
      Descriptions.Weights base = weights(adapted.base());
      List<Descriptions.Product> products =
          adapted.terms().stream()
              .map(
                  term ->
                      new Descriptions.Product(
                          stored(term.left()), stored(term.right()), term.scale()))
              .toList();
      return new Descriptions.Weights(base.values(), base.scale(), products, Optional.empty());
    }
    if (values instanceof Values.Scaled scaled) {
      ScaleGrid grid = scaled.grid();
      long blocks = scaled.rows() == 0 ? 0 : grid.rowOf(scaled.rows() - 1) + 1;
      Descriptions.Stored scales =
          stored(grid.buffer(), grid.offset(), grid.type(), blocks, grid.columns());
      return new Descriptions.Weights(
          stored(scaled.codes()),
          Optional.of(
              new Descriptions.Scale(
                  scales, grid.blockRows(), grid.blockColumns(), grid.period(), grid.factor())),
          List.of(),
          Optional.empty());
    }
    if (values instanceof Values.Stored plain) {
      return new Descriptions.Weights(
          stored(plain.operand().values()), Optional.empty(), List.of(), Optional.empty());
    }
    throw new IllegalArgumentException("entries that are computed cannot be described");
  }

  private Descriptions.Stored stored(Matrix matrix) {
    return stored(
        matrix.buffer(),
        matrix.offset(),
        TensorType.valueOf(matrix.dtype().name()),
        matrix.rows(),
        matrix.columns());
  }

  private Descriptions.Stored stored(
      NativeBuffer buffer, long offset, TensorType type, long rows, long columns) {
    Integer file = fileOf.get(buffer);
    Optional<byte[]> values = Optional.empty();
    if (file == null) {
      // Not as stored in a file: a factor of an adapter that is transposed or derived.
      long bytes = rows * columns * type.bits() / Byte.SIZE;
      values = Optional.of(buffer.getBytes(offset, bytes));
    }
    return new Descriptions.Stored(
        file == null ? -1 : file, file == null ? 0 : offset, type, rows, columns, values);
  }

  /** Distributes items over tasks. */
  List<Descriptions.Unit> units(List<Descriptions.Item> items, int cores) {
    List<Descriptions.Item> sorted = new ArrayList<>(items);
    sorted.sort(Comparator.comparingDouble(item -> -item.cost()));
    double total = items.stream().mapToDouble(Descriptions.Item::cost).sum();
    double share = Math.min(MOST_COST, total / ((double) TASKS_A_CORE * Math.max(1, cores)));
    List<Descriptions.Unit> units = new ArrayList<>();
    List<Descriptions.Item> together = new ArrayList<>();
    double cost = 0;
    long bytes = 0;
    for (Descriptions.Item item : sorted) {
      together.add(item);
      cost += item.cost();
      bytes += item.bytes();
      if (cost >= share || bytes >= MOST_BYTES || together.size() == MOST_ITEMS) {
        units.add(unit(together, false));
        together.clear();
        cost = 0;
        bytes = 0;
      }
    }
    if (!together.isEmpty()) {
      units.add(unit(together, false));
    }
    return units;
  }

  /** Splits a unit into units with one item each, which run alone in their executor. */
  List<Descriptions.Unit> split(Descriptions.Unit unit) {
    return unit.items().stream().map(item -> unit(List.of(item), true)).toList();
  }

  private Descriptions.Unit unit(List<Descriptions.Item> items, boolean alone) {
    Map<Integer, Descriptions.Source> used = new TreeMap<>();
    for (Descriptions.Item item : items) {
      for (Descriptions.Pair pair : item.pairs()) {
        for (Descriptions.Stored stored : pair.matrices()) {
          if (stored.values().isEmpty()) {
            used.put(stored.file(), files.get(stored.file()));
          }
        }
      }
      item.computed()
          .ifPresent(
              own -> own.parts().forEach(part -> used.put(part.file(), files.get(part.file()))));
      item.digests().forEach(one -> used.put(one.file(), files.get(one.file())));
    }
    return new Descriptions.Unit(used, List.copyOf(items), alone);
  }
}
