package org.threegate.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.engine.CompareOutcome;
import org.threegate.analysis.engine.CompareRequest;
import org.threegate.analysis.engine.Failure;
import org.threegate.analysis.engine.Resumption;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;

/** Tests that faults of a real cluster leave results unchanged or are reported. */
@ExtendWith(NativeLeaks.class)
class FaultsTest {
  private static final GeometryOptions GEOMETRY = GeometryOptions.DEFAULT;
  private static final long PATIENCE_MILLIS = 120_000;

  @TempDir static Path shared;
  private static StandaloneCluster machines;
  private static Path base;
  private static Path tuned;
  private static String expected;

  @TempDir Path directory;

  @BeforeAll
  static void start() throws Exception {
    base = Models.write(shared.resolve("base"), 3, 160, 0, 7);
    tuned = Models.write(shared.resolve("tuned"), 3, 160, 2e-4, 7);
    machines = new StandaloneCluster(shared.resolve("home"));
    machines.work(Map.of());
    machines.work(Map.of());
    try (Context context = Context.open(Context.Device.CPU, 2);
        Control control = Control.open(context);
        Checkpoint left = Checkpoint.open(context, base);
        Checkpoint right = Checkpoint.open(context, tuned);
        Journal<Comparison.Finished> journal =
            Journal.open(shared.resolve("alone"), Comparison.Finished.class, "x", false)) {
      expected =
          bits(
              new Comparison(
                      context,
                      control,
                      left,
                      right,
                      new Comparison.Wanted(DigestKind.TENSORS, Optional.of(GEOMETRY)))
                  .run(Pairing.of(left, right, name -> true), journal, Progress.NONE));
    }
  }

  @AfterAll
  static void stop() throws InterruptedException {
    machines.stop();
  }

  /** Returns the results as JSON, without the times. */
  private static String bits(Comparison.Outcome outcome) throws IOException {
    return (Journal.encode(outcome.tensors())
            + Journal.encode(outcome.geometry())
            + outcome.baseIdentity()
            + outcome.tunedIdentity())
        .replaceAll("\"[a-zA-Z]*[sS]econds\":[^,}]*", "");
  }

  private static CompareOutcome compare(
      SparkSession spark,
      Path before,
      Path after,
      Path journal,
      boolean resume,
      Consumer<Pairing> paired,
      Progress progress)
      throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context)) {
      CompareRequest request =
          CompareRequest.builder(
                  before.toString(),
                  after.toString(),
                  new Resumption(journal, "threegate", "options", resume))
              .geometry(GEOMETRY)
              .check(paired)
              .build();
      return new SparkEngine(spark, false).compare(request, progress, control);
    }
  }

  private CompareOutcome compare(SparkSession spark, Progress progress) throws IOException {
    return compare(
        spark, base, tuned, directory.resolve("journal"), false, pairing -> {}, progress);
  }

  @Test
  void anExecutorThatIsKilledIsMissedByNobody() throws IOException {
    List<ProcessHandle> killed = new ArrayList<>();
    AtomicInteger answers = new AtomicInteger();
    try (SparkSession spark = machines.session(Map.of())) {
      CompareOutcome compared =
          compare(
              spark,
              (name, done, total) -> {
                if (answers.incrementAndGet() == 4) {
                  ProcessHandle one = machines.executors().get(0);
                  one.destroyForcibly(); // SIGKILL
                  killed.add(one);
                }
              });
      assertThat(killed).hasSize(1);
      assertThat(killed.get(0).isAlive()).isFalse();
      assertThat(compared.failures()).isEmpty();
      assertThat(bits(compared.measured())).isEqualTo(expected);
    }
  }

  /** Delays the first attempt at one tensor, so that Spark starts a second one. */
  private record Slow(String name, Work work) implements Work {
    @Override
    public byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException {
      try {
        // A speculative attempt runs in another executor while this one sleeps.
        if (pairs.get(0).name().equals(name) && SLOW.getAndSet(false)) {
          for (int i = 0; i < 600 && !control.isCancelled(); i++) {
            Thread.sleep(50);
          }
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      return work.of(context, pairs, control);
    }
  }

  private static final AtomicBoolean SLOW = new AtomicBoolean(true);

  @Test
  void whatRunsTwiceCountsOnce() throws IOException {
    Map<String, String> settings =
        Map.of(
            "spark.speculation", "true",
            "spark.speculation.interval", "10ms",
            "spark.speculation.multiplier", "1",
            "spark.speculation.quantile", "0.5");
    AtomicInteger speculative = new AtomicInteger();
    try (SparkSession spark = machines.session(settings)) {
      spark
          .sparkContext()
          .addSparkListener(
              new SparkListener() {
                @Override
                public void onTaskStart(SparkListenerTaskStart start) {
                  speculative.addAndGet(start.taskInfo().speculative() ? 1 : 0);
                }
              });
      Work work = Work.Compare.of(Optional.of(GEOMETRY));
      Map<String, Answer> plain = run(spark, work, false);
      String slow = "model.layers.0.self_attn.q_proj.weight";
      Map<String, Answer> twice = run(spark, new Slow(slow, work), false);
      assertThat(speculative.get()).isPositive();
      assertThat(twice.keySet()).isEqualTo(plain.keySet());
      for (String name : plain.keySet()) {
        assertThat(twice.get(name).failure()).isEmpty();
        assertThat(bits(twice.get(name))).isEqualTo(bits(plain.get(name)));
      }
    }
  }

  private static String bits(Answer answer) throws IOException {
    return Journal.encode(Work.decode(Comparison.Finished.class, answer.result()))
        .replaceAll("\"[a-zA-Z]*[sS]econds\":[^,}]*", "");
  }

  /**
   * Returns the answers by tensor. Fails if an answer arrives twice.
   *
   * @param together whether one task measures all tensors
   */
  private static Map<String, Answer> run(SparkSession spark, Work work, boolean together)
      throws IOException {
    Map<String, Answer> answers = new HashMap<>();
    JavaSparkContext own = JavaSparkContext.fromSparkContext(spark.sparkContext());
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Plan plan = new Plan(own)) {
      Plan.Sides sides =
          plan.compare(base.toString(), tuned.toString(), Optional.empty(), name -> true, Map.of());
      List<Descriptions.Unit> units = plan.units(sides.items(false, Optional.empty(), Set.of()));
      if (together) {
        Map<Integer, Descriptions.Source> files = new HashMap<>();
        List<Descriptions.Item> items = new ArrayList<>();
        for (Descriptions.Unit unit : units) {
          files.putAll(unit.files());
          items.addAll(unit.items());
        }
        units = List.of(new Descriptions.Unit(files, items, false));
      }
      UnitJob job = new UnitJob(own, plan.planner(), work);
      job.run(
          job.reference(Progress.NONE, control),
          units,
          answer -> assertThat(answers.put(answer.name(), answer)).isNull(),
          Progress.NONE,
          control);
    }
    return answers;
  }

  /** The program of the driver that a test kills. */
  public static final class Driver {
    private Driver() {}

    public static void main(String[] arguments) throws IOException {
      SparkSession spark =
          SparkSession.builder()
              .master(arguments[0])
              .config("spark.ui.enabled", "false")
              .config("spark.driver.host", "127.0.0.1")
              .config("spark.driver.bindAddress", "127.0.0.1")
              .config("spark.executor.memory", "512m")
              .config("spark.executor.extraClassPath", StandaloneCluster.directories())
              .config("spark.executor.extraJavaOptions", StandaloneCluster.inherited())
              .getOrCreate();
      compare(
          spark,
          Path.of(arguments[1]),
          Path.of(arguments[2]),
          Path.of(arguments[3]),
          false,
          pairing -> {},
          Progress.NONE);
    }
  }

  @Test
  void aDriverThatDiedLeavesWhatWasFinished() throws Exception {
    Path journal = directory.resolve("journal");
    Process driver =
        machines.start(
            Map.of(),
            Driver.class.getName(),
            machines.master(),
            base.toString(),
            tuned.toString(),
            journal.toString());
    long end = System.currentTimeMillis() + PATIENCE_MILLIS;
    while (driver.isAlive()
        && System.currentTimeMillis() < end
        && (!Files.exists(journal) || Files.readAllLines(journal).size() < 6)) {
      Thread.sleep(20);
    }
    assertThat(driver.isAlive()).isTrue();
    driver.destroyForcibly().waitFor();
    // The journal also has a title, and its last line may be cut off.
    int finished = Files.readAllLines(journal).size() - 2;
    assertThat(finished).isPositive();
    List<String> measured = new ArrayList<>();
    try (SparkSession spark = machines.session(Map.of())) {
      CompareOutcome compared =
          compare(
              spark,
              base,
              tuned,
              journal,
              true,
              pairing -> {},
              (name, done, total) -> {
                if (!name.equals("waiting for executors")) {
                  measured.add(name);
                }
              });
      assertThat(bits(compared.measured())).isEqualTo(expected);
      int pairs = compared.measured().tensors().size();
      // A task that Spark repeats reports its tensors again.
      assertThat(measured.stream().filter(name -> !name.isEmpty()).distinct().count())
          .isLessThanOrEqualTo(pairs - finished);
      assertThat(journal).doesNotExist();
      // The journal of a run with other options must not be used.
      Files.writeString(journal, "spark of something else\n");
      assertThatThrownBy(
              () -> compare(spark, base, tuned, journal, true, pairing -> {}, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("was of other files or with other options");
    }
  }

  @Test
  void aShardThatIsLostMeanwhileCostsItsTensorsAlone() throws IOException {
    Path copy = Models.write(directory.resolve("copy"), 3, 160, 2e-4, 7);
    try (SparkSession spark = machines.session(Map.of())) {
      CompareOutcome compared =
          compare(
              spark,
              base,
              copy,
              directory.resolve("journal"),
              false,
              pairing -> delete(copy.resolve(Models.shard(1))),
              Progress.NONE);
      List<String> lost = compared.failures().stream().map(Failure::tensor).toList();
      assertThat(lost).contains("model.layers.0.input_layernorm.weight").doesNotHaveDuplicates();
      assertThat(compared.failures())
          .allSatisfy(
              failure ->
                  assertThat(failure.reason()).contains("FileNotFoundException", Models.shard(1)));
      assertThat(compared.measured().tensors())
          .isNotEmpty()
          .noneMatch(tensor -> lost.contains(tensor.name()));
      assertThat(compared.measured().baseIdentity().sha256()).isPresent();
      assertThat(compared.measured().tunedIdentity().sha256()).isEmpty();
    }
  }

  private static void delete(Path file) {
    try {
      Files.delete(file);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Ends the executor whenever it measures one tensor. */
  private record Deadly(String name, Work work) implements Work {
    @Override
    public byte[] of(Context context, List<TensorPair> pairs, Control control) throws IOException {
      if (pairs.get(0).name().equals(name)) {
        Runtime.getRuntime().halt(137); // as the kernel does when memory runs out
      }
      return work.of(context, pairs, control);
    }
  }

  @Test
  void aTensorThatExecutorsDieOfIsGivenUpAndTheOthersGoOn() throws IOException {
    String deadly = "model.layers.1.input_layernorm.weight";
    try (SparkSession spark = machines.session(Map.of("spark.task.maxFailures", "2"))) {
      Work work = new Deadly(deadly, Work.Compare.of(Optional.empty()));
      Map<String, Answer> answers = run(spark, work, true);
      assertThat(answers).hasSizeGreaterThan(10);
      answers.forEach(
          (name, answer) -> {
            if (name.equals(deadly)) {
              assertThat(answer.failure()).startsWith("failed after 2 attempts: executor ");
            } else {
              assertThat(answer.failure()).isEmpty();
            }
          });
    }
  }

  @Test
  void executorsWithoutTheNativeLibraryAreNamed() throws IOException {
    String options =
        StandaloneCluster.inherited() + " -Dthreegate.library.path=" + directory.toString();
    try (SparkSession spark =
        machines.session(Map.of("spark.executor.extraJavaOptions", options.strip()))) {
      assertThatThrownBy(() -> compare(spark, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageMatching(
              "executor \\d+ \\(127\\.0\\.0\\.\\d\\): cannot load the native library: .*"
                  + "the directory has no libthreegate\\.so\\.1.*");
    }
  }

  @Test
  void executorsThatNoWorkerHasRoomForAreSaidInALine() throws IOException {
    Map<String, String> settings =
        Map.of("spark.executor.memory", "999g", "spark.threegate.executorTimeout", "1s");
    try (SparkSession spark = machines.session(settings)) {
      assertThatThrownBy(() -> compare(spark, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessage(
              machines.master()
                  + ": no executor started within 1 s; read the logs of its workers, and compare"
                  + " spark.executor.memory and spark.executor.cores with what they have"
                  + " (spark.threegate.executorTimeout sets the time to wait)");
    }
  }

  @Test
  void aClusterThatGivesUpStartingExecutorsIsSaidInALine() throws IOException {
    // The master gives up after ten executors for which a worker finds no JVM.
    Map<String, String> settings =
        Map.of("spark.executorEnv.JAVA_HOME", directory.resolve("none").toString());
    try (SparkSession spark = machines.session(settings)) {
      assertThatThrownBy(() -> compare(spark, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageStartingWith(machines.master() + ": no executor started (")
          .hasMessageNotContaining("\n");
    }
  }

  @Test
  void executorsWithOtherInstructionsAreNamed() throws Exception {
    Process odd = machines.work(Map.of("THREEGATE_SIMD", "scalar"));
    try (SparkSession spark =
        machines.session(
            Map.of(
                "spark.scheduler.minRegisteredResourcesRatio", "1.0",
                "spark.scheduler.maxRegisteredResourcesWaitingTime", "120s",
                "spark.cores.max", "3"))) {
      assertThatThrownBy(() -> compare(spark, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageMatching(
              "executor \\d+ \\(127\\.0\\.0\\.\\d\\): its processor runs \\S+ kernels, that of"
                  + " executor \\d+ \\(127\\.0\\.0\\.\\d\\) \\S+, whose last bits differ; .*THREEGATE_SIMD.*");
    } finally {
      odd.descendants().forEach(ProcessHandle::destroyForcibly);
      odd.destroyForcibly().waitFor();
    }
  }
}
