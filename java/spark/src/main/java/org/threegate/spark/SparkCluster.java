package org.threegate.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.compare.PairMeasurement;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.engine.Cluster;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Control;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/** A Spark cluster as machines that measure together. */
final class SparkCluster implements Cluster {
  private final JavaSparkContext spark;
  private final boolean owned;

  /**
   * @param owned whether the session ends with this
   */
  SparkCluster(SparkSession session, boolean owned) {
    this.spark = JavaSparkContext.fromSparkContext(session.sparkContext());
    this.owned = owned;
  }

  /** A dataset's answers; the plan is open as long as it takes to describe it. */
  JavaRDD<Answer> answers(
      String base,
      String tuned,
      Predicate<String> selected,
      Optional<GeometryOptions> geometry,
      List<Failure> failures)
      throws IOException {
    try (Plan plan = new Plan(spark);
        Control control = plan.control()) {
      Plan.Sides sides = plan.compare(base, tuned, Optional.empty(), selected);
      UnitJob job = new UnitJob(spark, plan.planner(), Work.Compare.of(geometry));
      failures.addAll(plan.failures());
      return job.answers(
          job.reference(Progress.NONE, control),
          plan.units(sides.items(false, geometry, Set.of())));
    }
  }

  @Override
  public Compared compare(
      String base,
      String tuned,
      Optional<String> initialAdapter,
      Predicate<String> selected,
      boolean digest,
      Optional<GeometryOptions> geometry,
      Consumer<Pairing> paired,
      Keeping keeping,
      Progress progress,
      Control control)
      throws IOException {
    try (Plan plan = new Plan(spark)) {
      Plan.Sides sides = plan.compare(base, tuned, initialAdapter, selected);
      paired.accept(sides.pairing());
      UnitJob job = new UnitJob(spark, plan.planner(), Work.Compare.of(geometry));
      Machine machine = job.reference(progress, control);
      Map<String, String> digests = new HashMap<>();
      Map<String, Comparison.Finished> finished = new HashMap<>();
      List<Failure> failures = plan.failures();
      try (Journal<Comparison.Finished> journal =
          Journal.open(
              keeping.journal(),
              Comparison.Finished.class,
              "spark "
                  + machine.version()
                  + " "
                  + machine.simd()
                  + plan.files()
                  + " | "
                  + keeping.options(),
              keeping.resume())) {
        finished.putAll(Comparison.finished(journal, sides.pairing()));
        finished.values().forEach(one -> digests.putAll(one.digests()));
        plan.planner().known(digests.keySet());
        List<Descriptions.Item> items = sides.items(digest, geometry, finished.keySet());
        resumable(
            () ->
                job.run(
                    machine,
                    plan.units(items),
                    answer -> {
                      digests.putAll(answer.digests());
                      if (!answer.failure().isEmpty()) {
                        failures.add(Plan.failure(answer));
                      } else if (answer.result().length > 0) {
                        Comparison.Finished own =
                            Work.decode(Comparison.Finished.class, answer.result());
                        Comparison.Finished one =
                            new Comparison.Finished(own.diff(), own.geometry(), answer.digests());
                        finished.put(answer.name(), one);
                        journal.add(one);
                      }
                    },
                    progress,
                    control));
        if (digest && !failures.isEmpty()) {
          // Of tensors whose partner failed; what fails again has been reported.
          plan.planner().forget(digests.keySet());
          List<Descriptions.Item> rest = new ArrayList<>(plan.digests(sides.base()));
          rest.addAll(plan.digests(sides.tuned()));
          job.run(
              machine,
              plan.units(rest),
              answer -> digests.putAll(answer.digests()),
              Progress.NONE,
              control);
        }
        journal.delete();
      }
      return compared(sides, machine, finished, digests, failures);
    }
  }

  private interface Run {
    void run() throws IOException;
  }

  /** What was finished is kept when the cluster cannot go on. */
  private static void resumable(Run run) throws IOException {
    try {
      run.run();
    } catch (InvalidInputException e) {
      throw new InvalidInputException(
          e.getMessage() + "; the same command with --resume goes on", e);
    }
  }

  private Compared compared(
      Plan.Sides sides,
      Machine machine,
      Map<String, Comparison.Finished> finished,
      Map<String, String> digests,
      List<Failure> failures) {
    List<TensorDiff> tensors = new ArrayList<>();
    Map<String, TensorGeometry> geometries = new LinkedHashMap<>();
    Pairing pairing = sides.pairing();
    for (TensorPair pair : pairing.pairs()) {
      Comparison.Finished own = finished.get(pair.name());
      if (own != null) {
        tensors.add(own.diff());
        own.geometry().ifPresent(geometry -> geometries.put(pair.name(), geometry));
      }
    }
    Optional<String> baseDigest = sides.base().digest(digests);
    Optional<String> tunedDigest = sides.tuned().digest(digests);
    return new Compared(
        new Comparison.Outcome(
            tensors,
            geometries,
            baseDigest,
            tunedDigest,
            0,
            tensors.stream().mapToDouble(TensorDiff::seconds).sum()),
        new Pairing(
            List.of(),
            pairing.onlyInBase(),
            pairing.onlyInTuned(),
            pairing.shapeMismatch(),
            pairing.notCompared(),
            pairing.untouched()),
        contents(sides.base(), baseDigest),
        contents(sides.tuned(), tunedDigest),
        new Machines(
            isGpu() ? "cuda" : "cpu",
            machine.binding(),
            spark.defaultParallelism(),
            machine.simd(),
            machine.blas()),
        List.copyOf(failures));
  }

  private boolean isGpu() {
    return spark.getConf().getDouble("spark.task.resource.gpu.amount", 0) > 0;
  }

  private static Contents contents(Plan.Side side, Optional<String> digest) {
    Checkpoint checkpoint = side.checkpoint();
    return new Contents(checkpoint.tensors().size(), checkpoint.parameters(), digest);
  }

  @Override
  public Agreed consensus(
      String base,
      List<String> runs,
      Predicate<String> selected,
      double[] steps,
      GeometryOptions options,
      Progress progress,
      Control control)
      throws IOException {
    try (Plan plan = new Plan(spark)) {
      Plan.Side before = plan.open("base", base);
      List<Checkpoint> after = new ArrayList<>();
      for (int i = 0; i < runs.size(); i++) {
        after.add(plan.open("run-" + i, runs.get(i)).checkpoint());
      }
      Map<String, List<TensorPair>> matrices;
      try {
        matrices = Consensus.pairs(before.checkpoint(), after, selected);
      } catch (InvalidInputException e) {
        throw before.model().translate(e);
      }
      boolean wide = steps.length > 0;
      List<Descriptions.Item> items = new ArrayList<>();
      matrices.forEach(
          (name, pairs) ->
              items.add(
                  plan.planner()
                      .item(
                          name,
                          pairs,
                          List.of(),
                          wide,
                          pairs.size()
                              * (double)
                                  PairMeasurement.cost(
                                      pairs.get(0),
                                      wide ? Optional.of(options) : Optional.empty()))));
      Map<String, Work.Agree.Agreement> found = new HashMap<>();
      UnitJob job =
          new UnitJob(spark, plan.planner(), new Work.Agree(steps, Journal.encode(options)));
      job.run(
          job.reference(progress, control),
          plan.units(items),
          answer -> {
            if (answer.failure().isEmpty()) {
              found.put(answer.name(), Work.decode(Work.Agree.Agreement.class, answer.result()));
            } else {
              plan.failures().add(Plan.failure(answer));
            }
          },
          progress,
          control);
      List<TensorConsensus> tensors = new ArrayList<>();
      List<TensorTrajectory> ways = new ArrayList<>();
      for (String name : matrices.keySet()) {
        Optional.ofNullable(found.get(name))
            .ifPresent(
                own -> {
                  tensors.add(own.tensor());
                  own.way().ifPresent(ways::add);
                });
      }
      plan.failures().removeIf(failure -> !selected.test(failure.tensor()));
      return new Agreed(tensors, ways, List.copyOf(plan.failures()));
    }
  }

  @Override
  public void mask(
      String base,
      Predicate<String> selected,
      MaskKind kind,
      GeometryOptions options,
      Function<String, Map<String, String>> provenance,
      Path file,
      Progress progress,
      Control control)
      throws IOException {
    try (Plan plan = new Plan(spark)) {
      Plan.Side checkpoint = plan.open("base", base);
      refuse(plan.failures());
      List<TensorPair> matrices;
      try {
        matrices = MaskFile.matrices(checkpoint.checkpoint(), selected);
      } catch (InvalidInputException e) {
        throw checkpoint.model().translate(e);
      }
      List<Descriptions.Item> items = new ArrayList<>();
      for (TensorPair pair : matrices) {
        items.add(
            plan.planner()
                .item(
                    pair.name(),
                    List.of(pair),
                    pair.sources(),
                    true,
                    PairMeasurement.cost(pair, Optional.of(options))));
      }
      items.addAll(plan.digests(checkpoint));
      UnitJob job =
          new UnitJob(spark, plan.planner(), new Work.Mask(kind, Journal.encode(options)));
      Map<String, String> digests = new HashMap<>();
      Map<String, Long> places = new HashMap<>();
      // What the header says of the checkpoint is known when all of it has been read.
      try (OutputLock held = OutputLock.of(file);
          FileChannel spool = AtomicFiles.scratch(held.output())) {
        job.run(
            job.reference(progress, control),
            plan.units(items),
            answer -> {
              if (!answer.failure().isEmpty()) {
                refuse(List.of(Plan.failure(answer)));
              }
              digests.putAll(answer.digests());
              if (answer.result().length > 0) {
                places.put(answer.name(), spool.size());
                ByteBuffer bytes = ByteBuffer.wrap(answer.result());
                while (bytes.hasRemaining()) {
                  spool.write(bytes, spool.size());
                }
              }
            },
            progress,
            control);
        MaskFile.write(
            matrices,
            kind,
            options,
            provenance.apply(checkpoint.digest(digests).orElseThrow()),
            file,
            (name, out) -> copy(spool, places.get(name), out));
      }
    }
  }

  private static void copy(FileChannel from, long begin, ByteBuffer to) throws IOException {
    while (to.hasRemaining()) {
      if (from.read(to, begin + to.position()) < 0) {
        throw new IOException("the masks have become fewer");
      }
    }
  }

  /** A mask is of all matrices. */
  private static void refuse(List<Failure> failures) {
    if (!failures.isEmpty()) {
      Failure first = failures.get(0);
      throw new InvalidInputException(
          "tensor \"" + first.tensor() + "\": " + first.reason() + "; no mask was written");
    }
  }

  @Override
  public void close() {
    if (owned) {
      spark.stop();
    }
  }
}
