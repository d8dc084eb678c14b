package org.threegate.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.security.AccessControlException;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.Trajectory;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.engine.CompareOutcome;
import org.threegate.analysis.engine.CompareRequest;
import org.threegate.analysis.engine.ConsensusOutcome;
import org.threegate.analysis.engine.ConsensusRequest;
import org.threegate.analysis.engine.Engine;
import org.threegate.analysis.engine.LocalEngine;
import org.threegate.analysis.engine.MaskOutcome;
import org.threegate.analysis.engine.MaskRequest;
import org.threegate.analysis.engine.Resumption;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.mask.MaskBase;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.analysis.mask.MaskOptions;
import org.threegate.analysis.mask.MaskWriter;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.report.TensorTable;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.DocumentedProgram;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.SharedData;

/** Tests that Spark gives the same results as one machine, bit for bit. */
@ExtendWith(NativeLeaks.class)
class ThreegateSparkTest {
  private static final Predicate<String> ALL = name -> true;
  private static final Path ADAPTERS = Path.of("../checkpoint/src/test/resources/adapters");
  private static final GeometryOptions GEOMETRY = GeometryOptions.DEFAULT;

  @TempDir static Path shared;
  private static SparkSession spark;
  private static Path base;
  private static Path tuned;
  private static Path later;

  @TempDir Path directory;

  @BeforeAll
  static void start() throws IOException {
    base = Models.write(shared.resolve("base"), 2, 48, 0, 7);
    tuned = Models.write(shared.resolve("tuned"), 2, 48, 2e-4, 7);
    later = Models.write(shared.resolve("later"), 2, 48, 4e-4, 7);
    spark =
        SparkSession.builder()
            .master("local[4]")
            .appName("threegate")
            .config("spark.task.cpus", "2")
            .config("spark.hadoop.fs.denied.impl", Denied.class.getName())
            .config("spark.hadoop.fs.remote.impl", Remote.class.getName())
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .getOrCreate();
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  /** Frees the memory that executors keep between tasks, because here they run in this JVM. */
  @AfterEach
  void freeArenas() {
    UnitRun.freeArenas();
  }

  private static Engine cluster() {
    return new SparkEngine(spark, false);
  }

  private CompareRequest.Builder request(String before, String after) {
    return CompareRequest.builder(
        before, after, new Resumption(directory.resolve("journal"), "threegate", "options", false));
  }

  private CompareOutcome compare(Path before, Path after, Optional<GeometryOptions> geometry)
      throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context)) {
      CompareRequest.Builder request =
          request(before.toString(), after.toString()).withoutGeometry();
      geometry.ifPresent(request::geometry);
      return cluster().compare(request.build(), Progress.NONE, control);
    }
  }

  private Comparison.Outcome alone(Path before, Path after, Optional<GeometryOptions> geometry)
      throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 2);
        Control control = Control.open(context);
        Checkpoint left = Checkpoint.open(context, before);
        Journal<Comparison.Finished> journal =
            Journal.open(directory.resolve("alone"), Comparison.Finished.class, "x", false)) {
      if (Checkpoint.isAdapter(after)) {
        try (Adapter adapter = Adapter.open(context, after)) {
          return new Comparison(
                  context,
                  control,
                  left,
                  adapter.weights(),
                  new Comparison.Wanted(DigestKind.TENSORS, geometry))
              .run(Pairing.of(left, adapter, ALL), journal, Progress.NONE);
        }
      }
      try (Checkpoint right = Checkpoint.open(context, after)) {
        return new Comparison(
                context, control, left, right, new Comparison.Wanted(DigestKind.TENSORS, geometry))
            .run(Pairing.of(left, right, ALL), journal, Progress.NONE);
      }
    }
  }

  /** Returns the results as JSON, without the times. */
  private static String bits(Object... found) throws IOException {
    StringBuilder all = new StringBuilder();
    for (Object one : found) {
      all.append(Journal.encode(one)).append('\n');
    }
    return all.toString().replaceAll("\"[a-zA-Z]*[sS]econds\":[^,}]*", "");
  }

  private static String bits(Comparison.Outcome outcome) throws IOException {
    return bits(
        outcome.tensors(), outcome.geometry(), outcome.baseIdentity(), outcome.tunedIdentity());
  }

  private void assertSame(Path before, Path after, Optional<GeometryOptions> geometry)
      throws IOException {
    CompareOutcome compared = compare(before, after, geometry);
    assertThat(compared.failures()).isEmpty();
    assertThat(bits(compared.measured())).isEqualTo(bits(alone(before, after, geometry)));
  }

  @Test
  void aClusterFindsWhatOneMachineFinds() throws IOException {
    assertSame(base, tuned, Optional.of(GEOMETRY));
    assertSame(base, tuned, Optional.empty());
    // A single shard can be named as a file.
    assertSame(base.resolve(Models.shard(1)), tuned.resolve(Models.shard(1)), Optional.empty());
  }

  /** The local copies have holes, which would make any head a copy of the embedding. */
  @Test
  void aHeadThatWasUntiedIsNoCopyOfTheEmbedding() throws IOException {
    byte[] entries = new byte[16 * 8 * 4];
    new Random(3).nextBytes(entries);
    for (int i = 3; i < entries.length; i += 4) {
      entries[i] = 0x3d;
    }
    List<Path> models = new ArrayList<>();
    for (int differing : new int[] {0, 1, 2}) {
      byte[] head = entries.clone();
      head[head.length - 8] ^= (byte) differing;
      Path model = Files.createDirectories(directory.resolve("tied-" + differing));
      Files.writeString(
          model.resolve("config.json"), "{\"model_type\":\"llama\",\"tie_word_embeddings\":true}");
      new SafetensorsWriter()
          .tensor("lm_head.weight", TensorType.F32, List.of(16L, 8L), head)
          .tensor("model.embed_tokens.weight", TensorType.F32, List.of(16L, 8L), entries)
          .write(model.resolve("model.safetensors"));
      models.add(model);
    }
    assertThat(compare(models.get(0), models.get(0), Optional.empty()).measured().tensors())
        .extracting(TensorDiff::name)
        .containsExactly("model.embed_tokens.weight");
    assertThat(compare(models.get(1), models.get(2), Optional.empty()).measured().tensors())
        .extracting(TensorDiff::name)
        .contains("lm_head.weight");
    assertSame(models.get(1), models.get(2), Optional.empty());
  }

  @Test
  void soItDoesOfRealCheckpoints() throws IOException {
    assertSame(
        SharedData.require("base"), SharedData.require("rlvr-add-50-steps"), Optional.of(GEOMETRY));
  }

  @Test
  void anAdaptersUpdateIsTheSame() throws IOException {
    assertSame(base, Models.adapter(directory.resolve("adapter"), 48), Optional.of(GEOMETRY));
  }

  @Test
  void rowsAreThoseOfTheParquetFile() throws IOException {
    Dataset<Row> rows =
        ThreegateSpark.compare(spark, base.toString(), tuned.toString(), ComparisonOptions.DEFAULT);
    try {
      assertThat(rows.schema()).isEqualTo(ThreegateSpark.schema());
      Path file = directory.resolve("rows");
      rows.write().parquet(file.toString());
      Comparison.Outcome alone = alone(base, tuned, Optional.of(GEOMETRY));
      Map<String, Row> byName = new HashMap<>();
      for (Row row : spark.read().parquet(file.toString()).collectAsList()) {
        byName.put(row.getAs("name"), row);
      }
      assertThat(byName).hasSize(alone.tensors().size());
      for (TensorDiff tensor : alone.tensors()) {
        Row row = byName.get(tensor.name());
        for (TensorTable.Column column : TensorTable.columns()) {
          assertThat(row.<Object>getAs(column.name()))
              .as(tensor.name() + " " + column.name())
              .isEqualTo(
                  Optional.ofNullable(alone.geometry().get(tensor.name()))
                      .map(geometry -> column.of(tensor, geometry))
                      .orElseGet(() -> column.of(tensor))
                      .orElse(null));
        }
        assertThat(row.isNullAt(row.fieldIndex(ThreegateSpark.ERROR))).isTrue();
      }
    } finally {
      rows.unpersist();
    }
  }

  @Test
  void theProgramOfTheDocumentationRuns() throws Exception {
    String printed =
        DocumentedProgram.run(
            "docs/spark.md",
            directory,
            base.toString(),
            directory.resolve("table").toString(),
            tuned.toString(),
            later.toString());
    assertThat(printed.lines().filter(line -> line.contains("|q_proj"))).hasSize(2);
    assertThat(printed).contains("avg(nssNullMean)", later.toString());
  }

  @Test
  void aJobOfOnesOwnGoesOnWithTheRows() throws IOException {
    Dataset<Row> tensors =
        ThreegateSpark.compare(
            spark,
            base.toString(),
            tuned.toString(),
            ComparisonOptions.DEFAULT.only(name -> name.endsWith("proj.weight")).withoutGeometry());
    try {
      List<Row> kinds =
          tensors.groupBy("kind").sum("changed", "total").orderBy("kind").collectAsList();
      assertThat(kinds.stream().map(row -> row.getString(0)).toList())
          .containsExactly("down_proj", "o_proj", "q_proj");
      assertThat(kinds).allSatisfy(row -> assertThat(row.getLong(1)).isPositive());
    } finally {
      tensors.unpersist();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bias-all",
        "conv1d",
        "dora",
        "dora-pissa",
        "embedding",
        "experts-down",
        "ia3",
        "loha",
        "lokr",
        "oft",
        "pissa",
        "resized-embedding",
        "tokens",
        "vera",
        "whole-modules"
      })
  void computedUpdatesOfAdaptersAreThoseOfOneMachine(String name) throws IOException {
    Path adapter = ADAPTERS.resolve("cases").resolve(name);
    String before =
        ADAPTERS
            .resolve("bases")
            .resolve(Files.readString(adapter.resolve("base.txt")).trim())
            .toString();
    CompareRequest.Builder request = request(before, adapter.toString()).withoutGeometry();
    if (Files.exists(adapter.resolve("initial"))) {
      request.initialAdapter(adapter.resolve("initial").toString());
    }
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context)) {
      CompareOutcome many = cluster().compare(request.build(), Progress.NONE, control);
      CompareOutcome one =
          new LocalEngine(context).compare(request.build(), Progress.NONE, control);
      assertThat(many.failures()).isEmpty();
      assertThat(many.measured().tensors()).isNotEmpty();
      assertThat(bits(many.measured().tensors())).isEqualTo(bits(one.measured().tensors()));
      assertThat(many.unmatched()).isEqualTo(one.unmatched());
    }
  }

  @Test
  void aClusterRefusesDigestsThatItDoesNotCompute() throws IOException {
    Path stored = ADAPTERS.resolve("bases");
    for (DigestKind kind : List.of(DigestKind.SHA256, DigestKind.BLAKE3)) {
      CompareRequest request = request(stored.toString(), stored.toString()).digest(kind).build();
      try (Context context = Context.open(Context.Device.CPU, 1);
          Control control = Control.open(context)) {
        assertThatThrownBy(() -> cluster().compare(request, Progress.NONE, control))
            .isInstanceOf(InvalidInputException.class)
            .hasMessage(
                "a cluster computes SHA-256 of the tensors only; ask for the digest of the tensors,"
                    + " or for none");
      }
    }
  }

  static Stream<Path> quantized() throws IOException {
    try (Stream<Path> all = Files.list(Path.of("../checkpoint/src/test/resources/quantized"))) {
      return all.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("quantized")
  void computedEntriesAreThoseOfOneMachine(Path fixture) throws IOException {
    Path stored = fixture.resolve("model.safetensors");
    Path other = fixture.resolve("expected.safetensors");
    CompareOutcome compared = compare(stored, other, Optional.empty());
    Comparison.Outcome expected = alone(stored, other, Optional.empty());
    assertThat(compared.failures()).isEmpty();
    assertThat(expected.tensors()).isNotEmpty();
    assertThat(bits(compared.measured().tensors())).isEqualTo(bits(expected.tensors()));
    assertThat(compared.measured().baseIdentity()).isEqualTo(expected.baseIdentity());
  }

  @ParameterizedTest
  @ValueSource(strings = {"mxfp4-experts", "fp8-experts-ragged"})
  void anExecutorReadsTheCodesOfItsExpertAlone(String fixture) throws IOException {
    Path path = Path.of("../checkpoint/src/test/resources/quantized", fixture);
    try (Plan plan = new Plan(JavaSparkContext.fromSparkContext(spark.sparkContext()))) {
      Plan.Sides sides =
          plan.compare(
              path.resolve("model.safetensors").toString(),
              path.resolve("expected.safetensors").toString(),
              Optional.empty(),
              ALL,
              Map.of());
      List<Descriptions.Computed> experts =
          sides.items(false, Optional.empty(), Set.of()).stream()
              .filter(item -> item.name().endsWith("]"))
              .flatMap(item -> item.computed().stream())
              .toList();
      assertThat(experts).hasSizeGreaterThan(1);
      assertThat(experts)
          .flatExtracting(Descriptions.Computed::parts)
          .allSatisfy(part -> assertThat(part.shape().get(0)).isEqualTo(1));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gptq-4", "bitsandbytes-nf4-nested", "packed-4-zero-point"})
  void computedEntriesOfRunsAndMasksAreThoseOfOneMachine(String fixture) throws IOException {
    Path path = Path.of("../checkpoint/src/test/resources/quantized", fixture);
    String stored = path.resolve("model.safetensors").toString();
    String other = path.resolve("expected.safetensors").toString();
    try (Context context = Context.open(Context.Device.CPU, 2);
        Control control = Control.open(context)) {
      Engine alone = new LocalEngine(context);
      ConsensusRequest runs =
          ConsensusRequest.builder(other, List.of(stored, other, stored)).build();
      ConsensusOutcome agreed = cluster().consensus(runs, Progress.NONE, control);
      assertThat(agreed.failures()).isEmpty();
      assertThat(bits(agreed.tensors()))
          .isEqualTo(bits(alone.consensus(runs, Progress.NONE, control).tensors()));
      assertThat(agreed.shared().quantized())
          .containsExactlyElementsOf(agreed.tensors().stream().map(TensorConsensus::name).toList());
      MaskOptions options = new MaskOptions(MaskKind.LOW, GEOMETRY);
      Path here = directory.resolve("here");
      Path there = directory.resolve("there");
      MaskOutcome one =
          alone.mask(MaskRequest.builder(stored, options, here).build(), Progress.NONE, control);
      MaskOutcome many =
          cluster()
              .mask(MaskRequest.builder(stored, options, there).build(), Progress.NONE, control);
      assertThat(many).isEqualTo(one);
      assertThat(there).hasSameBinaryContentAs(here);
    }
  }

  @Test
  void runsAgreeAsTheyDoOnOneMachine() throws IOException {
    double[] steps = {10, 20};
    try (Context context = Context.open(Context.Device.CPU, 2);
        Control control = Control.open(context);
        Checkpoint before = Checkpoint.open(context, base);
        Checkpoint one = Checkpoint.open(context, tuned);
        Checkpoint two = Checkpoint.open(context, later)) {
      List<Checkpoint> runs = List.of(one, two);
      ConsensusRequest request =
          ConsensusRequest.builder(base.toString(), List.of(tuned.toString(), later.toString()))
              .trajectory(List.of(10.0, 20.0), GEOMETRY)
              .build();
      ConsensusOutcome agreed = cluster().consensus(request, Progress.NONE, control);
      ConsensusOutcome alone = new LocalEngine(context).consensus(request, Progress.NONE, control);
      assertThat(bits(agreed.tensors())).isEqualTo(bits(alone.tensors()));
      assertThat(bits(agreed.trajectories())).isEqualTo(bits(alone.trajectories()));
      assertThat(agreed.failures()).isEmpty();
      assertThat(agreed.shared()).isEqualTo(alone.shared());
      assertThat(agreed.shared().accounting().base().leftOut()).hasSize(2);
      assertThat(bits(agreed.tensors()))
          .isEqualTo(bits(Consensus.of(context, before, runs, ALL, Progress.NONE, control)));
      assertThat(bits(agreed.trajectories()))
          .isEqualTo(
              bits(
                  new Trajectory(steps, GEOMETRY)
                      .of(context, before, runs, ALL, Progress.NONE, control)));
    }
  }

  @Test
  void masksHaveTheBytesOfOneMachine() throws IOException {
    for (MaskKind kind : List.of(MaskKind.SAFE, MaskKind.RANDOM)) {
      Predicate<String> selected = kind == MaskKind.SAFE ? ALL : name -> name.contains("mlp");
      Path here = directory.resolve("here-" + kind);
      Path there = directory.resolve("there-" + kind);
      try (Context context = Context.open(Context.Device.CPU, 2);
          Control control = Control.open(context);
          Checkpoint checkpoint = Checkpoint.open(context, base)) {
        MaskOptions options = new MaskOptions(kind, GEOMETRY);
        Pairing matrices = MaskFile.matrices(checkpoint, selected);
        MaskBase identity = MaskBase.of(context, checkpoint, matrices, control);
        new MaskWriter(options, identity.metadata(), here)
            .compute(context, matrices, Progress.NONE, control);
        MaskRequest request =
            MaskRequest.builder(base.toString(), options, there).selected(selected).build();
        MaskOutcome written = cluster().mask(request, Progress.NONE, control);
        assertThat(written.base()).isEqualTo(identity);
      }
      assertThat(there).hasSameBinaryContentAs(here);
    }
    try (Stream<Path> left = Files.list(directory)) {
      assertThat(left.map(file -> file.getFileName().toString()))
          .allMatch(name -> name.startsWith("here-") || name.startsWith("there-"));
    }
  }

  @Test
  void aDamagedShardCostsItsTensorsAlone() throws IOException {
    Path damaged = Models.write(directory.resolve("damaged"), 2, 48, 2e-4, 7);
    Models.truncate(damaged, 2);
    Files.delete(damaged.resolve(Models.shard(0)));
    CompareOutcome compared = compare(base, damaged, Optional.empty());
    assertThat(compared.failures())
        .isNotEmpty()
        .allSatisfy(
            failure ->
                assertThat(failure.reason())
                    .matches(
                        Pattern.quote(damaged.toString())
                            + "/model-0000[13]-of-00003.safetensors: .*"));
    assertThat(compared.measured().tensors()).isNotEmpty();
    assertThat(compared.unmatched().names().onlyInBase()).isEmpty();
    assertThat(compared.measured().baseIdentity().sha256()).isPresent();
    // A digest would not cover the whole checkpoint.
    assertThat(compared.measured().tunedIdentity().sha256()).isEmpty();
    assertThat(compared.measured().tensors().size() + compared.failures().size())
        .isLessThanOrEqualTo(alone(base, tuned, Optional.empty()).tensors().size());
    // The rows report the same failures.
    Dataset<Row> rows =
        ThreegateSpark.compare(
            spark,
            base.toString(),
            damaged.toString(),
            ComparisonOptions.DEFAULT.withoutGeometry());
    assertThat(rows.where("error is not null").count()).isEqualTo(compared.failures().size());
    assertThat(rows.where("error is null").count()).isEqualTo(compared.measured().tensors().size());
    rows.unpersist();
  }

  /** Copies a model together with the checksum files that Hadoop writes. */
  private Path checked(Path model) throws IOException {
    Path copy = Files.createDirectory(directory.resolve("checked"));
    FileSystem files = FileSystem.getLocal(spark.sparkContext().hadoopConfiguration());
    try (Stream<Path> own = Files.list(model)) {
      for (Path file : own.toList()) {
        files.copyFromLocalFile(
            new org.apache.hadoop.fs.Path(file.toString()),
            new org.apache.hadoop.fs.Path(copy.toString(), file.getFileName().toString()));
      }
    }
    assertThat(copy.resolve("." + Models.shard(0) + ".crc")).exists();
    return copy;
  }

  @Test
  void bytesThatHaveChangedOnADiskCostTheirTensorsAlone() throws IOException {
    Path copy = checked(tuned);
    assertSame(base, copy, Optional.empty());
    String last;
    try (RandomAccessFile file =
        new RandomAccessFile(copy.resolve(Models.shard(1)).toFile(), "rw")) {
      file.seek(file.length() - 1);
      int value = file.read();
      file.seek(file.length() - 1);
      file.write(value ^ 1);
    }
    try (Context context = Context.open(Context.Device.CPU, 1);
        SafetensorsFile file = SafetensorsFile.open(context, tuned.resolve(Models.shard(1)))) {
      last = file.tensors().get(file.tensors().size() - 1).name();
    }
    CompareOutcome compared = compare(base, copy, Optional.empty());
    assertThat(compared.failures()).isNotEmpty();
    assertThat(compared.failures())
        .allSatisfy(
            failure -> {
              assertThat(failure.tensor()).startsWith(last);
              assertThat(failure.reason()).contains("ChecksumException", Models.shard(1));
            });
    assertThat(compared.measured().tensors())
        .noneMatch(
            tensor ->
                compared.failures().stream()
                    .anyMatch(failure -> failure.tensor().equals(tensor.name())));
    assertThat(compared.measured().tensors().size() + compared.failures().size())
        .isEqualTo(alone(base, tuned, Optional.empty()).tensors().size());
    assertThat(compared.measured().baseIdentity().sha256()).isPresent();
    assertThat(compared.measured().tunedIdentity().sha256()).isEmpty();
  }

  /** A file system that denies access, as if credentials were missing. */
  public static final class Denied extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("denied:///");
    }

    @Override
    public FileStatus getFileStatus(org.apache.hadoop.fs.Path path) throws IOException {
      throw new AccessControlException("Permission denied: user=nobody, path=" + path + "\nat x");
    }
  }

  /** A file system that Hadoop does not know as local. Its streams have no file descriptors. */
  public static final class Remote extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("remote:///");
    }

    @Override
    public FSDataInputStream open(org.apache.hadoop.fs.Path path, int bufferSize)
        throws IOException {
      return new FSDataInputStream(new Plain(super.open(path, bufferSize)));
    }
  }

  /** A stream without optional capabilities. */
  private static final class Plain extends FSInputStream {
    private final FSDataInputStream in;

    Plain(FSDataInputStream in) {
      this.in = in;
    }

    @Override
    public void seek(long position) throws IOException {
      in.seek(position);
    }

    @Override
    public long getPos() throws IOException {
      return in.getPos();
    }

    @Override
    public boolean seekToNewSource(long position) {
      return false;
    }

    @Override
    public int read() throws IOException {
      return in.read();
    }

    @Override
    public int read(byte[] bytes, int offset, int count) throws IOException {
      return in.read(bytes, offset, count);
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }

  @Test
  void otherFileSystemsAreReadThroughHadoop() throws IOException {
    CompareOutcome compared;
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context)) {
      CompareRequest request =
          request("remote://" + base, "remote://" + tuned).withoutGeometry().build();
      compared = cluster().compare(request, Progress.NONE, control);
    }
    assertThat(compared.failures()).isEmpty();
    assertThat(bits(compared.measured())).isEqualTo(bits(alone(base, tuned, Optional.empty())));
  }

  @Test
  void missingCredentialsAreSaidInALine() {
    assertThatThrownBy(
            () ->
                ThreegateSpark.compare(
                    spark, "denied:///base", tuned.toString(), ComparisonOptions.DEFAULT))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage(
            "denied:///base: cannot be read: AccessControlException: Permission denied: user=nobody,"
                + " path=denied:/base; check path and credentials");
  }

  @Test
  void whatCannotBeReadIsSaidInALine() throws IOException {
    Path empty = Files.createDirectory(directory.resolve("empty"));
    Path noise = directory.resolve("noise.safetensors");
    Files.write(noise, new byte[] {1, 2, 3});
    assertThatThrownBy(() -> compare(directory.resolve("nowhere"), tuned, Optional.empty()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage(directory.resolve("nowhere") + ": no such file or directory");
    assertThatThrownBy(() -> compare(empty, tuned, Optional.empty()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith(empty + ": no .safetensors file");
    assertThatThrownBy(() -> compare(noise, tuned, Optional.empty()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith(noise.toString());
    Path torch = Files.createDirectory(directory.resolve("torch"));
    Path file = Files.write(torch.resolve("pytorch_model.bin"), new byte[] {1, 2, 3});
    for (Path one : List.of(torch, file)) {
      assertThatThrownBy(() -> compare(base, one, Optional.empty()))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageStartingWith(one + ": holds files of torch, which a cluster does not read");
    }
    assertThatThrownBy(
            () ->
                ThreegateSpark.compare(
                    spark, "nosuch://bucket/base", tuned.toString(), ComparisonOptions.DEFAULT))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("nosuch")
        .hasMessageNotContaining("\n");
  }
}
