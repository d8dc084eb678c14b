package org.threegate.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Predicate;
import org.apache.spark.api.java.JavaSparkContext;
import org.threegate.analysis.compare.PairMeasurement;
import org.threegate.analysis.engine.Failure;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.InvalidInputException;

/**
 * The plan of a measurement, made from headers only. It holds the checkpoints opened on the driver
 * and their pairs.
 */
final class Plan implements AutoCloseable {
  private static final String DIGEST = "digest of ";

  private final JavaSparkContext spark;
  private final Path scratch;
  private final Context context;
  private final Planner planner = new Planner();
  private final List<Runnable> opened = new ArrayList<>();
  private final List<Path> directories = new ArrayList<>();
  private final List<Failure> failures = new ArrayList<>();
  private final StringBuilder files = new StringBuilder();

  Plan(JavaSparkContext spark) {
    this.spark = spark;
    try {
      this.scratch = Files.createTempDirectory("threegate-plan");
    } catch (IOException e) {
      throw new InvalidInputException(
          System.getProperty("java.io.tmpdir") + ": cannot be written: " + e.getMessage(), e);
    }
    this.context = Context.open(Context.Device.CPU, 1);
  }

  /**
   * A checkpoint.
   *
   * @param name name in keys of digests
   * @param whole whether no tensor is missing
   */
  record Side(String name, RemoteModel model, Checkpoint checkpoint, boolean whole) {
    /** Returns the digest of the checkpoint; empty if the digest of a tensor is unknown. */
    Optional<String> digest(Map<String, String> digests) {
      Map<String, String> own = own(digests);
      return whole && own.size() == checkpoint.tensors().size()
          ? Optional.of(Digests.combine(checkpoint.tensors(), own))
          : Optional.empty();
    }

    /** Returns the digests of this checkpoint that are known, by name of the tensor. */
    Map<String, String> own(Map<String, String> digests) {
      Map<String, String> own = new HashMap<>();
      for (Tensor tensor : checkpoint.tensors().values()) {
        Optional.ofNullable(digests.get(name + ":" + tensor.name()))
            .ifPresent(value -> own.put(tensor.name(), value));
      }
      return own;
    }
  }

  /** Reads headers in the background. */
  private CompletableFuture<RemoteModel> start(String name, String location) {
    Path directory = scratch.resolve(name);
    directories.add(directory);
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return RemoteModel.read(spark.hadoopConfiguration(), location, directory);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  private RemoteModel await(CompletableFuture<RemoteModel> reading) throws IOException {
    try {
      RemoteModel model = reading.join();
      model.shards().values().forEach(file -> files.append(" | ").append(file));
      return model;
    } catch (CompletionException e) {
      if (e.getCause() instanceof UncheckedIOException failure) {
        throw failure.getCause();
      }
      throw e.getCause() instanceof RuntimeException failure ? failure : e;
    }
  }

  private RemoteModel read(String name, String location) throws IOException {
    return await(start(name, location));
  }

  /** Opens a checkpoint. Damaged parts are added to the failures. */
  Side open(String name, String location) throws IOException {
    return open(name, read(name, location));
  }

  private Side open(String name, RemoteModel model) throws IOException {
    RemoteCheckpoint remote = RemoteCheckpoint.open(context, model, spark.hadoopConfiguration());
    opened.add(0, remote::close);
    failures.addAll(remote.failures());
    planner.add(name, model, remote.checkpoint());
    return new Side(name, model, remote.checkpoint(), remote.failures().isEmpty());
  }

  /** Two checkpoints, or a checkpoint and an adapter, with their pairs. */
  final class Sides {
    private final Side base;
    private final Side tuned;
    private final Pairing pairing;
    private final boolean adapter;

    private Sides(Side base, Side tuned, Pairing pairing, boolean adapter) {
      this.base = base;
      this.tuned = tuned;
      this.pairing = pairing;
      this.adapter = adapter;
    }

    /** Returns whether the tuned side is an adapter. */
    boolean isAdapter() {
      return adapter;
    }

    Side base() {
      return base;
    }

    Side tuned() {
      return tuned;
    }

    Pairing pairing() {
      return pairing;
    }

    /**
     * Returns the items of a comparison, and of digests that no pair computes.
     *
     * @param finished names of finished tensors, which need no item
     */
    List<Descriptions.Item> items(
        boolean digest, Optional<GeometryOptions> geometry, Set<String> finished) {
      List<Descriptions.Item> items = new ArrayList<>();
      for (WeightPair pair : pairing.pairs()) {
        if (!planner.isReadable(pair)) {
          failures.add(unreadable(pair));
        } else if (!finished.contains(pair.name())) {
          items.add(
              planner.item(
                  pair.name(),
                  List.of(pair),
                  digest ? pair.sources() : List.of(),
                  geometry.isPresent() && pair.dimensions() >= 2,
                  PairMeasurement.cost(pair, geometry.isPresent())));
        }
      }
      if (digest) {
        items.addAll(digests(base));
        items.addAll(digests(tuned));
      }
      return items;
    }
  }

  /** Returns the failure of a pair that executors cannot read. */
  static Failure unreadable(WeightPair pair) {
    return new Failure(
        pair.name(),
        "it is stored as "
            + pair.stored().dtypeBase()
            + " and "
            + pair.stored().dtypeTuned()
            + ", and a cluster cannot compute it from what is stored; measure it on one machine");
  }

  /**
   * Pairs two checkpoints.
   *
   * @param tunedLocation location of a checkpoint or an adapter
   */
  Sides compare(
      String baseLocation,
      String tunedLocation,
      Optional<String> initialAdapter,
      Predicate<String> selected,
      Map<String, String> renames)
      throws IOException {
    CompletableFuture<RemoteModel> before = start("base", baseLocation);
    CompletableFuture<RemoteModel> after = start("tuned", tunedLocation);
    RemoteModel model;
    Side base;
    try {
      base = open("base", await(before));
    } finally {
      after
          .exceptionally(failure -> null)
          .join(); // it must not create files after this plan is closed
    }
    model = await(after);
    Side tuned;
    Pairing pairing;
    boolean isAdapter = Checkpoint.isAdapter(model.mirror());
    if (isAdapter) {
      Optional<Path> initial = Optional.empty();
      if (initialAdapter.isPresent()) {
        RemoteModel start = read("initial", initialAdapter.get());
        initial = Optional.of(start.mirror());
        addInitial(start);
      }
      try {
        Path mirror = model.mirror();
        Adapter adapter =
            initial
                .map(start -> Adapter.open(context, mirror, start))
                .orElseGet(() -> Adapter.open(context, mirror));
        opened.add(0, adapter::close);
        tuned = new Side("tuned", model, adapter.weights(), true);
        planner.add("tuned", model, adapter.weights());
        pairing = Pairing.of(base.checkpoint(), adapter, selected);
      } catch (InvalidInputException e) {
        throw model.translate(e);
      }
    } else {
      tuned = open("tuned", model);
      pairing = Pairing.of(base.checkpoint(), tuned.checkpoint(), selected, renames);
    }
    planner.paired(renames, isAdapter, pairing.pairs());
    Set<String> damaged = new HashSet<>();
    failures.forEach(failure -> damaged.add(failure.tensor()));
    failures.removeIf(failure -> !selected.test(failure.tensor()));
    return new Sides(base, tuned, pairing.without(damaged), isAdapter);
  }

  private void addInitial(RemoteModel model) throws IOException {
    Path weights =
        Files.isDirectory(model.mirror())
            ? model.mirror().resolve(Checkpoint.ADAPTER_WEIGHTS)
            : model.mirror();
    try {
      SafetensorsFile file = SafetensorsFile.open(context, weights);
      opened.add(0, file::close);
      if (!file.tensors().isEmpty()) {
        planner.addInitial(model, file);
      }
    } catch (InvalidInputException e) {
      throw model.translate(e);
    }
  }

  /** Returns items for tensors of a checkpoint whose digests no other item computes. */
  List<Descriptions.Item> digests(Side side) {
    return digests(side, side.checkpoint().tensors().values());
  }

  /** Returns items for those of some tensors whose digests no other item computes. */
  List<Descriptions.Item> digests(Side side, Collection<Tensor> tensors) {
    List<Descriptions.Item> items = new ArrayList<>();
    for (Tensor tensor : tensors) {
      String name = DIGEST + side.name() + ":" + tensor.name();
      Descriptions.Item item = planner.item(name, List.of(), List.of(tensor), false, 0);
      if (!item.digests().isEmpty()) {
        items.add(item);
      }
    }
    return items;
  }

  /** Returns the failure of an answer, under the name of the tensor. */
  static Failure failure(Answer answer) {
    String name = answer.name();
    return new Failure(
        name.startsWith(DIGEST) ? name.substring(name.indexOf(':') + 1) : name, answer.failure());
  }

  List<Descriptions.Unit> units(List<Descriptions.Item> items) {
    return planner.units(items, spark.defaultParallelism());
  }

  /** Returns a control for callers without their own. */
  Control control() {
    return Control.open(context);
  }

  Planner planner() {
    return planner;
  }

  /** Returns the failures. The list grows during the measurement. */
  List<Failure> failures() {
    return failures;
  }

  /** Returns a description of all files with sizes and modification times. */
  String files() {
    return files.toString();
  }

  @Override
  public void close() {
    opened.forEach(Runnable::run);
    context.close();
    try {
      for (Path directory : directories) {
        AtomicFiles.deleteDirectory(directory);
      }
      Files.deleteIfExists(scratch);
    } catch (IOException e) {
      // These are sparse copies in a temporary directory; leaving them behind is harmless.
      return;
    }
  }
}
