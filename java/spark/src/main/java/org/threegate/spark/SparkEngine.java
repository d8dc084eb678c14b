package org.threegate.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.compare.PairMeasurement;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.engine.CompareOutcome;
import org.threegate.analysis.engine.CompareRequest;
import org.threegate.analysis.engine.ConsensusOutcome;
import org.threegate.analysis.engine.ConsensusRequest;
import org.threegate.analysis.engine.Engine;
import org.threegate.analysis.engine.Failure;
import org.threegate.analysis.engine.MaskOutcome;
import org.threegate.analysis.engine.MaskRequest;
import org.threegate.analysis.engine.Resumption;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.mask.MaskBase;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.mask.MaskWriter;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.SharedMatrices;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.Identity;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Control;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.run.Remedy;

/** Measures on a Spark cluster. Locations are paths or URIs of Hadoop file systems. */
final class SparkEngine implements Engine {
  private final JavaSparkContext spark;
  private final boolean owned;

  /**
   * Creates an engine.
   *
   * @param owned whether closing this engine stops the session
   */
  SparkEngine(SparkSession session, boolean owned) {
    this.spark = JavaSparkContext.fromSparkContext(session.sparkContext());
    this.owned = owned;
  }

  /** Returns the answers for a dataset. The plan is closed once the items are described. */
  JavaRDD<Answer> answers(
      String base,
      String tuned,
      Predicate<String> selected,
      Optional<GeometryOptions> geometry,
      List<Failure> failures)
      throws IOException {
    try (Plan plan = new Plan(spark);
        Control control = plan.control()) {
      Plan.Sides sides = plan.compare(base, tuned, Optional.empty(), selected, Map.of());
      UnitJob job = new UnitJob(spark, plan.planner(), Work.Compare.of(geometry));
      failures.addAll(plan.failures());
      return job.answers(
          job.reference(Progress.NONE, control),
          plan.units(sides.items(false, geometry, Set.of())));
    }
  }

  @Override
  public String named(String location) {
    return location;
  }

  @Override
  public CompareOutcome compare(CompareRequest request, Progress progress, Control control)
      throws IOException {
    if (request.digest() != DigestKind.TENSORS && request.digest() != DigestKind.NONE) {
      throw new InvalidInputException(
          "a cluster computes SHA-256 of the tensors only", Remedy.DIGEST_OF_TENSORS);
    }
    try (Plan plan = new Plan(spark)) {
      Plan.Sides sides =
          plan.compare(
              request.base(),
              request.tuned(),
              request.initialAdapter(),
              request.selected(),
              request.renames());
      if (!sides.isAdapter()) {
        request.refuseInitialAdapter();
      }
      request.check().accept(sides.pairing());
      UnitJob job = new UnitJob(spark, plan.planner(), Work.Compare.of(request.geometry()));
      Machine machine = job.reference(progress, control);
      Resumption resumption = request.resumption();
      try (Journal<Comparison.Finished> journal =
          Journal.open(
              resumption.journal(),
              Comparison.Finished.class,
              fingerprint(request, machine, plan),
              resumption.resume())) {
        Collected collected = new Collected(journal, sides.pairing(), plan.failures());
        plan.planner().known(collected.digests.keySet());
        List<Descriptions.Item> items =
            sides.items(
                request.digest().isOfTensors(), request.geometry(), collected.finished.keySet());
        resumable(() -> job.run(machine, plan.units(items), collected::add, progress, control));
        if (request.digest().isOfTensors() && !collected.failures.isEmpty()) {
          // These are tensors whose partner failed; repeated failures have already been reported.
          plan.planner().forget(collected.digests.keySet());
          List<Descriptions.Item> rest = new ArrayList<>(plan.digests(sides.base()));
          rest.addAll(plan.digests(sides.tuned()));
          job.run(
              machine,
              plan.units(rest),
              answer -> collected.digests.putAll(answer.digests()),
              Progress.NONE,
              control);
        }
        journal.delete();
        return outcome(request, sides, machine, collected);
      }
    }
  }

  private static String fingerprint(CompareRequest request, Machine machine, Plan plan) {
    return "spark "
        + machine.version()
        + " "
        + machine.simd()
        + plan.files()
        + " | "
        + request.resumption().selection()
        + " | "
        + request.digest()
        + " | "
        + request.geometry();
  }

  /** The results so far, of this run and of the interrupted runs that it continues. */
  private static final class Collected {
    private final Journal<Comparison.Finished> journal;
    private final Map<String, Comparison.Finished> finished;
    private final Map<String, String> digests = new HashMap<>();
    private final List<Failure> failures;

    Collected(Journal<Comparison.Finished> journal, Pairing pairing, List<Failure> failures) {
      this.journal = journal;
      this.finished = new HashMap<>(Comparison.finished(journal, pairing));
      this.failures = failures;
      finished.values().forEach(one -> digests.putAll(one.digests()));
    }

    void add(Answer answer) throws IOException {
      digests.putAll(answer.digests());
      if (!answer.failure().isEmpty()) {
        failures.add(Plan.failure(answer));
      } else if (answer.result().length > 0) {
        Comparison.Finished own = Work.decode(Comparison.Finished.class, answer.result());
        Comparison.Finished one =
            new Comparison.Finished(own.diff(), own.geometry(), answer.digests());
        // A task that Spark repeats answers again.
        if (finished.put(answer.name(), one) == null) {
          journal.add(one);
        }
      }
    }
  }

  private interface Run {
    void run() throws IOException;
  }

  /** Runs a job. If the cluster fails, the journal keeps what was finished. */
  private static void resumable(Run run) throws IOException {
    try {
      run.run();
    } catch (InvalidInputException e) {
      throw e.withRemedy(Remedy.RESUME);
    }
  }

  private CompareOutcome outcome(
      CompareRequest request, Plan.Sides sides, Machine machine, Collected collected) {
    List<TensorDiff> tensors = new ArrayList<>();
    Map<String, TensorGeometry> geometries = new LinkedHashMap<>();
    for (WeightPair pair : sides.pairing().pairs()) {
      Comparison.Finished own = collected.finished.get(pair.name());
      if (own != null) {
        tensors.add(own.diff());
        own.geometry().ifPresent(geometry -> geometries.put(pair.name(), geometry));
      }
    }
    Identity base = identity(request, sides.base().digest(collected.digests));
    Identity tuned = identity(request, sides.tuned().digest(collected.digests));
    return new CompareOutcome(
        new Comparison.Outcome(
            tensors,
            geometries,
            base,
            tuned,
            0,
            tensors.stream().mapToDouble(TensorDiff::seconds).sum()),
        sides.pairing().withoutPairs(),
        contents(request.base(), sides.base(), base),
        contents(request.tuned(), sides.tuned(), tuned),
        new CompareOutcome.Machines(
            isGpu() ? "cuda" : "cpu",
            machine.binding(),
            spark.defaultParallelism(),
            machine.simd(),
            machine.blas()),
        List.copyOf(collected.failures));
  }

  private static Identity identity(CompareRequest request, Optional<String> digest) {
    return digest.map(known -> Identity.of(request.digest(), known)).orElse(Identity.NONE);
  }

  private boolean isGpu() {
    return spark.getConf().getDouble("spark.task.resource.gpu.amount", 0) > 0;
  }

  private static CompareOutcome.Contents contents(
      String location, Plan.Side side, Identity identity) {
    Checkpoint checkpoint = side.checkpoint();
    return new CompareOutcome.Contents(
        location, checkpoint.tensors().size(), checkpoint.parameters(), identity);
  }

  @Override
  public ConsensusOutcome consensus(ConsensusRequest request, Progress progress, Control control)
      throws IOException {
    try (Plan plan = new Plan(spark)) {
      Plan.Side base = plan.open("base", request.base());
      List<Checkpoint> runs = new ArrayList<>();
      for (int i = 0; i < request.runs().size(); i++) {
        runs.add(plan.open("run-" + i, request.runs().get(i)).checkpoint());
      }
      SharedMatrices shared =
          translated(base, () -> SharedMatrices.of(base.checkpoint(), runs, request.selected()));
      request.check().accept(shared);
      Map<String, List<WeightPair>> matrices = shared.byName();
      Optional<GeometryOptions> geometry =
          request.isTrajectory() ? Optional.of(request.geometry()) : Optional.empty();
      List<Descriptions.Item> items = new ArrayList<>();
      matrices.forEach(
          (name, pairs) -> {
            Optional<WeightPair> unreadable =
                pairs.stream().filter(pair -> !plan.planner().isReadable(pair)).findFirst();
            if (unreadable.isPresent()) {
              plan.failures().add(Plan.unreadable(unreadable.get()));
              return;
            }
            double cost = (double) PairMeasurement.cost(pairs.get(0), geometry.isPresent());
            items.add(
                plan.planner()
                    .item(name, pairs, List.of(), geometry.isPresent(), pairs.size() * cost));
          });
      Map<String, Work.Agree.Agreement> found = new HashMap<>();
      UnitJob job =
          new UnitJob(
              spark,
              plan.planner(),
              new Work.Agree(request.stepNumbers(), Journal.encode(request.geometry())));
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
      List<Work.Agree.Agreement> inOrder =
          matrices.keySet().stream().filter(found::containsKey).map(found::get).toList();
      plan.failures().removeIf(failure -> !request.selected().test(failure.tensor()));
      return new ConsensusOutcome(
          inOrder.stream().map(Work.Agree.Agreement::tensor).toList(),
          inOrder.stream().flatMap(own -> own.trajectory().stream()).toList(),
          shared.withoutPairs(),
          List.copyOf(plan.failures()));
    }
  }

  /** Translates errors about local copies of headers to errors about the remote files. */
  private static <T> T translated(Plan.Side side, Supplier<T> reading) {
    try {
      return reading.get();
    } catch (InvalidInputException e) {
      throw side.model().translate(e);
    }
  }

  @Override
  public MaskOutcome mask(MaskRequest request, Progress progress, Control control)
      throws IOException {
    try (Plan plan = new Plan(spark)) {
      Plan.Side base = plan.open("base", request.base());
      refuse(plan.failures());
      Pairing matrices =
          translated(base, () -> MaskFile.matrices(base.checkpoint(), request.selected()));
      request.check().accept(matrices);
      List<Descriptions.Item> items = new ArrayList<>();
      for (WeightPair pair : matrices.pairs()) {
        if (!plan.planner().isReadable(pair)) {
          refuse(List.of(Plan.unreadable(pair)));
        }
        long cost = PairMeasurement.cost(pair, true);
        items.add(plan.planner().item(pair.name(), List.of(pair), pair.sources(), true, cost));
      }
      items.addAll(plan.digests(base, MaskBase.tensors(base.checkpoint(), matrices).values()));
      UnitJob job = new UnitJob(spark, plan.planner(), Work.Mask.of(request.options()));
      Map<String, String> digests = new HashMap<>();
      Map<String, Long> places = new HashMap<>();
      Set<String> zero = new HashSet<>();
      Set<String> names =
          matrices.pairs().stream().map(WeightPair::name).collect(Collectors.toSet());
      Path file = request.file().toAbsolutePath();
      // The metadata of the header are known only after all tensors have been read.
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
                append(spool, answer.result());
              } else if (names.contains(answer.name())) {
                zero.add(answer.name());
              }
            },
            progress,
            control);
        MaskBase identity = MaskBase.of(base.checkpoint(), matrices, base.own(digests));
        var excluded = MaskWriter.excluded(matrices, zero);
        new MaskWriter(request.options(), request.metadata(identity), file)
            .write(matrices, excluded, (name, out) -> copy(spool, places.get(name), out));
        Pairing masked = matrices.excluding(excluded);
        return new MaskOutcome(masked.pairs().size(), identity, masked.withoutPairs(), excluded);
      }
    }
  }

  private static void append(FileChannel to, byte[] mask) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(mask);
    while (bytes.hasRemaining()) {
      to.write(bytes, to.size());
    }
  }

  private static void copy(FileChannel from, long begin, ByteBuffer to) throws IOException {
    while (to.hasRemaining()) {
      if (from.read(to, begin + to.position()) < 0) {
        throw new IOException("some masks are missing");
      }
    }
  }

  /** Fails if any matrix failed: a mask file must cover all matrices. */
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
