package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.testing.NativeLeaks;
import picocli.CommandLine;

/** Tests commands as a user types them: their output, exit codes and one-line error messages. */
@ExtendWith(NativeLeaks.class)
@Tag("binding")
class CommandLineTest {
  private static final String NAME = "model.layers.0.self_attn.q_proj.weight";
  private static final Path TORCH =
      Path.of(System.getProperty("threegate.root"), "java/checkpoint/src/test/resources/torch");

  @TempDir Path directory;
  private Path good;
  private Path out;

  private static CommandRun run(Object... arguments) {
    return CommandRun.of(arguments);
  }

  private CommandRun compare(Path base, Path tuned, Object... more) {
    List<Object> arguments = new ArrayList<>(List.of("compare", base, tuned, "--out", out));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  /** Asserts a one-line error, exit code 2, and that no output file is left. */
  private void refused(CommandRun run, String... parts) throws IOException {
    run.assertRefused(parts);
    assertThat(run.out()).isEmpty();
    assertThat(Files.exists(out)).isFalse();
    nothingPartial();
  }

  private void nothingPartial() throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .noneMatch(name -> name.contains("partial") || name.endsWith(".journal"));
    }
  }

  private static byte[] codes(int count, int first) {
    ByteBuffer buffer = ByteBuffer.allocate(2 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      buffer.putShort((short) (0x3f80 + (i == 0 ? first : 0)));
    }
    return buffer.array();
  }

  private Path write(String file, SafetensorsWriter writer) throws IOException {
    Path path = directory.resolve(file);
    Files.createDirectories(path.getParent());
    writer.write(path);
    return path;
  }

  private static SafetensorsWriter model(int first) {
    return new SafetensorsWriter().tensor(NAME, TensorType.BF16, List.of(4L, 8L), codes(32, first));
  }

  private Path bytes(String file, byte[] content) throws IOException {
    return Files.write(directory.resolve(file), content);
  }

  private static byte[] withLength(long length, String json) {
    byte[] text = json.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + text.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .put(text)
        .array();
  }

  @BeforeEach
  void prepare() throws IOException {
    good = write("good.safetensors", model(0));
    out = directory.resolve("out");
  }

  /** Only the annotations of a named command are read. It must not show. */
  @Test
  void aNamedCommandIsTheSameAsAmongAllCommands() {
    for (String name : new CommandLine(Main.class).getSubcommands().keySet()) {
      if (!name.equals("help")) {
        CommandRun alone = run(name, "--help");
        assertThat(alone.code()).isZero();
        assertThat(alone.out()).isEqualTo(run("help", name).out()).contains("Exit codes:");
        run(name, "--nonsense").assertRefused("threegate: ");
      }
    }
    assertThat(run("--version").out()).isEqualTo(run("-V").out()).startsWith("threegate ");
    assertThat(run("compar").err()).contains("did you mean 'compare'?");
    assertThat(run("--help").out()).contains("Compare checkpoints:", "pretrain");
  }

  @Test
  void helpNamesEachCommandAndFitsATerminal() {
    for (CommandLines.Command command : CommandLines.all()) {
      List<String> line = new ArrayList<>(List.of("help"));
      line.addAll(List.of(command.name().split(" ")));
      CommandRun help = run(line.toArray());
      assertThat(help.code()).as(command.name()).isZero();
      assertThat(help.out()).contains("Usage: threegate " + command.name() + " ");
      assertThat(help.out().lines()).as(command.name()).allMatch(text -> text.length() <= 80);
    }
    run("help", "patch", "aply").assertRefused("aply");
  }

  @Test
  void withoutSparkItIsSaidHowToHaveIt() throws IOException {
    refused(compare(good, good, "--spark", "local[2]"), "--spark", "not on the class path");
    refused(
        compare(good, good, "--spark-conf", "a=b"), "--spark-conf", "only allowed with --spark");
    refused(
        run("mask", good, "--kind", "low", "--out", out, "--spark", "local[2]"),
        "not on the class path");
    refused(
        run("consensus", good, good, good, "--out", out, "--spark", "local[2]"),
        "not on the class path");
  }

  @Test
  void withoutNullModelsNothingIsSaidOfAngles() throws IOException {
    CommandRun run = compare(good, write("tuned.safetensors", model(1)), "--nulls", "none");
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains(
            "[undetermined] The update preserves the leading subspaces: no null model was sampled.")
        .doesNotContain("gap decides the angle");
  }

  @Test
  void whatIsNotMeasuredIsNamed() throws IOException {
    CommandRun run = compare(good, good);
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("left out of means and findings: " + NAME + " (it is unchanged)");
    JsonNode report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    assertThat(report.path("tensors").path(0).path("spectrumOmitted").asText())
        .isEqualTo("it is unchanged");
    assertThat(report.path("summary").path("findings")).isEmpty();
  }

  @Test
  void whatIsMeasuredCanBeChosen() throws IOException {
    Path tuned = write("tuned.safetensors", model(1));
    CommandRun outcome =
        compare(
            good,
            tuned,
            "--rank",
            "1,3",
            "--rank-fraction",
            "1",
            "--alpha",
            "0.25,0.5",
            "--nulls",
            "permuted-update",
            "--draws",
            "3",
            "--tolerance",
            "1e-9");
    assertThat(outcome.code()).as(outcome.err()).isZero();
    JsonNode report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    JsonNode tensor = report.path("tensors").path(0);
    assertThat(tensor.path("spectrumByRank")).hasSize(3);
    assertThat(tensor.path("masksByAlphaAndRank")).hasSize(6);
    assertThat(tensor.path("spectrum").path("nssNull").isNull()).isTrue();
    JsonNode drawn = tensor.path("spectrum").path("nulls").path("permuted-update");
    assertThat(drawn.path("draws").asInt()).isEqualTo(3);
    assertThat(tensor.path("spectrum").path("residualBase").asDouble()).isLessThan(1e-9);
    assertThat(report.path("command").toString())
        .contains("\"--rank\",\"1,3\"", "\"--nulls\",\"permuted-update\"");
    assertThat(compare(good, tuned, "--no-spectrum").code()).isZero();
    report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    assertThat(report.path("tensors").path(0).path("spectrum").isNull()).isTrue();
    assertThat(report.path("summary").path("findings")).isEmpty();
  }

  @Test
  void runsAreComparedWithEachOther() throws IOException {
    Path one = write("one.safetensors", model(1));
    Path two = write("two.safetensors", model(2));
    CommandRun run =
        run("consensus", good, one, two, "--out", out, "--trajectory", "--steps", "5,10");
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("The runs change the same weights", "R² of weights as straight lines over steps")
        .contains("32 of 32 entries in 1 of 1 tensors were compared in all runs");
    JsonNode report = new ObjectMapper().readTree(out.resolve("consensus.json").toFile());
    assertThat(report.path("runs")).hasSize(2);
    assertThat(report.path("jaccard").path(0).path(0).isNull()).isTrue();
    assertThat(report.path("jaccard").path(0).path(1).isNumber()).isTrue();
    assertThat(report.path("trajectory").path("steps").path(1).path("step").asInt()).isEqualTo(10);
    String page = Files.readString(out.resolve("consensus.html"));
    assertThat(page.contains("/*DATA*/") || page.contains("/*SHARED*/")).isFalse();
    nothingPartial();
  }

  /** A model whose matrix is a small part of it. */
  private static SafetensorsWriter partly(int first) {
    return model(first)
        .tensor("norm.weight", TensorType.BF16, List.of(8L), codes(8, 0))
        .tensor("positions", TensorType.I64, List.of(5L), new byte[40]);
  }

  @Test
  void whatRunsDoNotShareIsNamed() throws IOException {
    Path base =
        write(
            "part.safetensors",
            partly(0).tensor("gone.weight", TensorType.BF16, List.of(4L, 4L), codes(16, 0)));
    SafetensorsWriter more =
        partly(1).tensor("new.weight", TensorType.BF16, List.of(1L, 4L), codes(4, 0));
    Path one = write("one.safetensors", more);
    Path two = write("two.safetensors", partly(2));
    refused(
        run("consensus", base, one, two, "--out", out, "--strict"),
        "5 tensors do not match in all runs",
        "leave out --strict");
    refused(
        run(
            "consensus",
            base,
            one,
            two,
            "--out",
            out,
            "--strict",
            "--exclude",
            "gone|new|positions"),
        "32 of 40 entries in 1 of 2 tensors",
        "less than 99 %");
    CommandRun run = run("consensus", base, one, two, "--out", out);
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains(
            "32 of 61 entries in 1 of 4 tensors were compared in all runs",
            "Only 52.5 % of the entries were compared",
            "base, unmatched (run 1: the tuned checkpoint has no such weight): gone.weight",
            "base, refused (I64 holds no floating-point numbers): positions",
            "base, left out (it is not a matrix): norm.weight",
            "run 1, unmatched (the base has no such weight): new.weight")
        .doesNotContain("run 2,");
    assertThat(run.out().indexOf("Only 52.5 %")).isLessThan(run.out().indexOf("The runs change"));
    JsonNode coverage =
        new ObjectMapper().readTree(out.resolve("consensus.json").toFile()).path("coverage");
    assertThat(coverage.path("entries").path("compared").asInt()).isEqualTo(32);
    assertThat(coverage.path("runs")).hasSize(2);
    assertThat(coverage.path("base").path("leftOut").path(0).path("tensor").asText())
        .isEqualTo("norm.weight");
    run = run("consensus", base, one, two, "--out", out, "--strict", "--include", "proj");
    assertThat(run.code()).isZero();
    assertThat(run.out()).contains("32 of 32 entries").doesNotContain("Only");
  }

  @Test
  void whatHasNoMaskIsNamed() throws IOException {
    Path base = write("part.safetensors", partly(0));
    Path file = directory.resolve("mask.safetensors");
    CommandRun run = run("mask", base, "--kind", "low", "--out", file);
    assertThat(run.code()).isZero();
    String named =
        """
        32 of 45 entries in 1 of 3 tensors have a mask
        no mask, refused (I64 holds no floating-point numbers): positions
        no mask, left out (it is not a matrix): norm.weight
        """;
    assertThat(run.out()).startsWith(named);
    assertThat(run("mask", "--inspect", file).out()).contains(named).doesNotContain("coverage");
    Files.delete(file);
    refused(
        run("mask", base, "--kind", "low", "--out", file, "--strict"),
        "1 tensors get no mask, the first is positions (I64 holds no floating-point numbers)",
        "leave out --strict to mask the rest");
    assertThat(file).doesNotExist();
    run = run("mask", base, "--kind", "low", "--out", file, "--strict", "--exclude", "positions");
    assertThat(run.code()).isZero();
  }

  @Test
  void masksAreWrittenAndInspected() throws IOException {
    Path file = directory.resolve("mask.safetensors");
    for (String kind : List.of("principal", "complement", "low", "safe", "random", "geora")) {
      CommandRun run =
          run("mask", good, "--kind", kind, "--rank", 1, "--alpha", "0.25", "--out", file);
      assertThat(run.err()).isEmpty();
      assertThat(run.code()).isZero();
      CommandRun inspected = run("mask", "--inspect", file);
      assertThat(inspected.out()).contains(NAME, "kind: " + kind, "alpha: 0.25");
      if (!kind.equals("safe") && !kind.equals("geora")) {
        assertThat(inspected.out())
            .contains(kind.equals("complement") ? "24 of             32" : "8 of             32");
      }
    }
    Files.delete(file);
    refused(run("mask", good, "--kind", "guess", "--out", file), "not a kind of mask", "geora");
    refused(run("mask", good, "--out", file), "--kind");
    refused(run("mask", good, "--kind", "low"), "--out");
    refused(run("mask", good, "--kind", "low", "--include", "none", "--out", file), "no matrix");
    refused(run("mask", good, "--kind", "low", "--alpha", "0.1,0.2", "--out", file), "one alpha");
    refused(run("mask", good, "--kind", "low", "--alpha", "2", "--out", file), "alpha must be");
    refused(run("mask", "--inspect", good), "is not a threegate mask file");
    assertThat(file).doesNotExist();
  }

  /** A mask of some tensors must not depend on others, and must not read them. */
  @Test
  void aMaskIsIdentifiedByWhatItIsComputedFrom() throws IOException {
    Path base = write("part.safetensors", twoMatrices(0, 0));
    Path other = write("other.safetensors", twoMatrices(0, 1));
    Path same = write("same.safetensors", twoMatrices(1, 0));
    String selected = metadata(base, "sourcesSha256", "--include", NAME);
    assertThat(metadata(other, "sourcesSha256", "--include", NAME)).isEqualTo(selected);
    assertThat(metadata(same, "sourcesSha256", "--include", NAME)).isNotEqualTo(selected);
    assertThat(metadata(base, "baseSha256", "--include", NAME)).isEmpty();
    assertThat(run("inspect", base, "--digest", "tensors").out())
        .contains("sha256 of the tensors: " + metadata(base, "baseSha256"));
    assertThat(metadata(base, "sourcesSha256")).hasSize(64).isNotEqualTo(selected);
  }

  private static SafetensorsWriter twoMatrices(int first, int second) {
    return model(first)
        .tensor("other.weight", TensorType.BF16, List.of(4L, 8L), codes(32, second))
        .tensor("norm.weight", TensorType.BF16, List.of(8L), codes(8, 0));
  }

  /** Returns a value of the metadata of a mask; empty if there is none. */
  private String metadata(Path base, String key, String... options) {
    Path file = directory.resolve("mask.safetensors");
    List<Object> words = new ArrayList<>(List.of("mask", base, "--kind", "low", "--out", file));
    words.addAll(List.of(options));
    assertThat(run(words.toArray()).code()).isZero();
    return run("mask", "--inspect", file)
        .out()
        .lines()
        .map(String::strip)
        .filter(line -> line.startsWith(key + ": "))
        .map(line -> line.substring(key.length() + 2))
        .findFirst()
        .orElse("");
  }

  @Test
  void aModelIsNotWrittenOverAnother() throws IOException {
    // The command fails before it does any work, so it prints nothing else.
    refused(
        run("intervene", good, "--rotate-vo", "--layers", "0", "--out", directory),
        "exists already");
    refused(run("intervene", good, "--layers", "0", "--out", out), "--rotate-vo");
    refused(run("intervene", good, "--rotate-vo", "--layers", "x", "--out", out), "does not name");
    refused(run("intervene", good, "--rotate-vo", "--layers", "0", "--out", out), "no config.json");
  }

  private SafetensorsWriter capture(String kind) {
    String layer = NAME.replace(".weight", "");
    ByteBuffer sequences = ByteBuffer.allocate(4 * 6).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 6; i++) {
      sequences.putInt(i / 2);
    }
    return new SafetensorsWriter()
        .metadata("fisher", kind)
        .metadata("kl", "0.25")
        .tensor(layer + ".input", TensorType.BF16, List.of(6L, 8L), codes(48, 1))
        .tensor(layer + ".grad_output", TensorType.BF16, List.of(6L, 4L), codes(24, 2))
        .tensor(layer + ".sequence", TensorType.I32, List.of(6L), sequences.array());
  }

  @Test
  void strictCurvatureRefusesWhatDoesNotMatch() throws IOException {
    Path tuned =
        write(
            "tuned.safetensors",
            model(1).tensor("added.weight", TensorType.F32, List.of(1L), new byte[4]));
    Path samples = write("capture.safetensors", capture("empirical"));
    refused(
        run("curvature", samples, "--base", good, "--tuned", tuned, "--out", out, "--strict"),
        "1 tensors do not match",
        "added.weight",
        "leave out --strict");
    Path same = write("same.safetensors", model(1));
    CommandRun run =
        run("curvature", samples, "--base", good, "--tuned", same, "--out", out, "--strict");
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode report = new ObjectMapper().readTree(out.resolve("curvature.json").toFile());
    assertThat(report.path("command").toString()).contains("--strict");
  }

  @Test
  void curvatureIsReported() throws IOException {
    Path tuned = write("tuned.safetensors", model(1));
    Path samples = write("capture.safetensors", capture("empirical"));
    CommandRun run =
        run("curvature", samples, "--base", good, "--tuned", tuned, "--out", out, "--draws", 2);
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains(
            "(empirical Fisher, unit: token)", "update − isotropic", "6 tokens of 3 sequences")
        .contains(
            "measured for the whole update: 0.25", "report: " + out.resolve("curvature.html"));
    JsonNode report = new ObjectMapper().readTree(out.resolve("curvature.json").toFile());
    assertThat(report.path("schema").asInt()).isEqualTo(1);
    assertThat(report.path("klPerToken").asDouble()).isEqualTo(0.25);
    JsonNode layer = report.path("layers").path(0);
    assertThat(layer.path("directions").path(0).path("direction").asText()).isEqualTo("update");
    // Only the first entry changed, so the curvature is the mean square of g₀ x₀. It is close
    // to 1, because all values of the capture are 1 except the first of each tensor.
    assertThat(layer.path("directions").path(0).path("curvature").asDouble()).isBetween(1.0, 1.1);
    String page = Files.readString(out.resolve("curvature.html"));
    assertThat(page.contains("/*DATA*/") || page.contains("/*SHARED*/")).isFalse();
    CommandRun again =
        run(
            "curvature",
            samples,
            "--base",
            good,
            "--tuned",
            tuned,
            "--out",
            out,
            "--density",
            2,
            "--json");
    assertThat(new ObjectMapper().readTree(again.out()).path("fisher").asText())
        .isEqualTo("empirical Fisher");
    nothingPartial();
  }

  @Test
  void curvatureOfNothingIsRefused() throws IOException {
    Path tuned = write("tuned.safetensors", model(1));
    Path samples = write("capture.safetensors", capture("guess"));
    Object[] rest = {"--base", good, "--tuned", tuned, "--out", out};
    refused(run(all("curvature", samples, rest)), "\"fisher\" is \"guess\"");
    refused(run(all("curvature", good, rest)), "no layer found");
    refused(run(all("curvature", directory.resolve("none"), rest)), "no such file");
    Path right = write("right.safetensors", capture("true"));
    refused(
        run("curvature", right, "--base", good, "--tuned", good, "--out", out),
        "none of its layers changed");
    refused(
        run("curvature", right, "--base", good, "--tuned", tuned, "--out", out, "--unit", "word"),
        "the unit must be \"token\" or \"sequence\", not \"word\"");
    Path journal = Files.writeString(directory.resolve(".out.journal"), "another run\n");
    CommandRun other =
        run("curvature", right, "--base", good, "--tuned", tuned, "--out", out, "--resume");
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err()).contains("the interrupted run was of other files");
    // The journal is kept, because the interrupted run can still be resumed.
    assertThat(journal).hasContent("another run");
    Files.delete(journal);
    refused(
        run("curvature", right, "--base", good, "--tuned", tuned, "--out", out, "--draws", 1),
        "draws must be at least 2");
  }

  private static Object[] all(Object command, Object file, Object... rest) {
    return Stream.concat(Stream.of(command, file), Stream.of(rest)).toArray();
  }

  @Test
  void runsThatCannotBeComparedAreRefused() throws IOException {
    Path one = write("one.safetensors", model(1));
    refused(run("consensus", good, one, one, "--out", out, "--steps", "1,2"), "--trajectory");
    refused(
        run("consensus", good, one, one, "--out", out, "--trajectory", "--steps", "2,1"),
        "must ascend");
    refused(
        run("consensus", good, one, one, "--out", out, "--include", "nothing"),
        "no matrix has the same shape in all of the runs");
    refused(run("consensus", good, one, directory.resolve("none"), "--out", out), "no such file");
  }

  @Test
  void whatCannotBeMeasuredIsRefused() throws IOException {
    Path tuned = write("tuned.safetensors", model(1));
    refused(
        compare(good, tuned, "--nulls", "guess"), "\"guess\" is not a null model", "norm-matched");
    refused(compare(good, tuned, "--rank", "0"), "ranks must be at least 1");
    refused(compare(good, tuned, "--rank-fraction", "1.5"), "above 0 and at most 1");
    refused(compare(good, tuned, "--alpha", "1"), "alpha must be between 0 and 1");
    refused(compare(good, tuned, "--draws", "1"), "draws must be 0 or at least 2");
    refused(compare(good, tuned, "--tolerance", "0"), "tolerance must be between 0 and 1");
  }

  @Test
  void aComparisonWritesItsReport() throws IOException {
    Path tuned = write("tuned.safetensors", model(1));
    CommandRun run = compare(good, tuned, "--threads", 2, "--seed", 7);
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("1 of 32 entries in 1 tensors changed in bf16")
        .contains("report: " + out.resolve("report.html"));
    JsonNode report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    assertThat(report.path("schema").asInt()).isEqualTo(1);
    assertThat(report.path("seed").asInt()).isEqualTo(7);
    assertThat(report.path("summary").path("changed").asInt()).isEqualTo(1);
    assertThat(report.path("base").path("sha256").asText())
        .hasSize(64)
        .isNotEqualTo(report.path("tuned").path("sha256").asText());
    JsonNode tensor = report.path("tensors").path(0);
    assertThat(tensor.path("name").asText()).isEqualTo(NAME);
    assertThat(tensor.path("kind").asText()).isEqualTo("q_proj");
    assertThat(tensor.path("layer").asInt()).isZero();
    assertThat(tensor.path("diff").path("ulpHistogram")).hasSize(15);
    assertThat(tensor.path("diff").path("ulpHistogram").path(3).asInt()).isEqualTo(1);
    assertThat(tensor.path("diff").path("rowRatio").path("max").asDouble()).isEqualTo(1.0 / 8);
    assertThat(tensor.path("spectrum").path("rank").asInt()).isEqualTo(1);
    assertThat(tensor.path("spectrum").path("nssNull").path("mean").asDouble()).isPositive();
    assertThat(tensor.path("masks").path("principal").path("density").asDouble()).isEqualTo(0.5);
    assertThat(report.path("summary").path("findings")).hasSize(7);
    assertThat(Files.readString(out.resolve("report.html")))
        .contains("echarts")
        .doesNotContain("/*DATA*/");
    assertThat(Files.readAllBytes(out.resolve("tensors.parquet")))
        .startsWith("PAR1".getBytes(StandardCharsets.US_ASCII));
    assertThat(run("inspect", out.resolve("arrays.safetensors")).out())
        .contains(NAME + "/rowRatio");
    nothingPartial();
  }

  @Test
  void aSecondReportReplacesTheFirst() throws IOException {
    assertThat(compare(good, good).code()).isZero();
    Files.writeString(out.resolve("mine.txt"), "kept");
    assertThat(compare(good, write("tuned.safetensors", model(1))).code()).isZero();
    assertThat(Files.readString(out.resolve("report.json"))).contains("\"changed\" : 1");
    assertThat(out.resolve("mine.txt")).exists();
  }

  @Test
  void memoryIsBounded() throws IOException {
    Path tuned = write("tuned.safetensors", model(1));
    refused(
        compare(good, tuned, "--memory", "1k"),
        NAME + " needs about 1 MB of memory, and 0 MB are allowed");
    refused(compare(good, tuned, "--memory", "8x"), "'8x' is not a size such as 8g or 512m");
    refused(compare(good, tuned, "--memory", "9999999999t"), "is more than 2^63 bytes");
    assertThat(compare(good, tuned, "--memory", "64m", "--threads", 3).code()).isZero();
    JsonNode report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    assertThat(report.path("command").toString()).contains("\"--memory\",\"64m\"");
  }

  @Test
  void digestsOfFilesAreThoseOfHubs() throws IOException, NoSuchAlgorithmException {
    String expected = sha256(Files.readAllBytes(good));
    CommandRun compared = compare(good, good, "--digest", "sha256");
    assertThat(compared.out()).contains(expected + "  " + good.getFileName());
    JsonNode base = new ObjectMapper().readTree(out.resolve("report.json").toFile()).path("base");
    assertThat(base.path("sha256").isNull()).isTrue();
    assertThat(base.path("files").path(0).path("sha256").asText()).isEqualTo(expected);
    assertThat(base.path("files").path(0).path("file").asText())
        .isEqualTo(good.getFileName().toString());
    assertThat(run("inspect", good, "--digest", "sha256").out())
        .contains(expected + "  " + good.getFileName());
    assertThat(run("inspect", good).out()).doesNotContain(expected);
  }

  @Test
  void tensorsHaveDigestsOfTwoKinds() throws IOException {
    compare(good, write("tuned.safetensors", model(1)), "--digest", "blake3");
    JsonNode report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    String blake3 = report.path("base").path("blake3").asText();
    assertThat(blake3).hasSize(64).isNotEqualTo(report.path("tuned").path("blake3").asText());
    assertThat(report.path("base").path("sha256").isNull()).isTrue();
    assertThat(report.path("command").toString()).contains("\"--digest\",\"blake3\"");
    assertThat(run("inspect", good, "--digest", "blake3").out())
        .contains("blake3 of the tensors: " + blake3);
    assertThat(run("inspect", good, "--digest", "tensors").out())
        .containsPattern("sha256 of the tensors: [0-9a-f]{64}\n");
    compare(good, good, "--digest", "md5")
        .assertRefused("'md5' is none of none, tensors, sha256, blake3");
  }

  private static String sha256(byte[] bytes) throws NoSuchAlgorithmException {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  @Test
  void jsonGoesToStandardOutputAlone() throws IOException {
    CommandRun run = compare(good, good, "--json", "--digest", "none");
    JsonNode report = new ObjectMapper().readTree(run.out());
    assertThat(report.path("base").path("sha256").isNull()).isTrue();
    assertThat(report.path("tensors").path(0).path("diff").path("cosine").isNull())
        .as("0/0 is written as null, not as NaN")
        .isTrue();
    assertThat(run.out()).doesNotContain("NaN");
  }

  @Test
  void shardsAndDirectoriesAreOpened() throws IOException {
    Path shards = directory.resolve("shards");
    write("shards/a.safetensors", model(0));
    write(
        "shards/b.safetensors",
        new SafetensorsWriter()
            .tensor("lm_head.weight", TensorType.BF16, List.of(4L, 8L), codes(32, 0)));
    Path index = shards.resolve("model.safetensors.index.json");
    Files.writeString(
        index,
        "{\"weight_map\":{\""
            + NAME
            + "\":\"a.safetensors\",\"lm_head.weight\":\"b.safetensors\"}}");
    assertThat(compare(shards, index).out()).contains("in 2 tensors");
    CommandRun partly = compare(shards, good, "--include", "q_proj");
    assertThat(partly.out()).contains("in 1 tensors");
    out = directory.resolve("strict");
    refused(compare(shards, good, "--strict"), "1 tensors do not match", "lm_head.weight");
    refused(compare(shards, good, "--include", "lm_head"), "no tensor to compare", "--include");
    Files.delete(shards.resolve("b.safetensors"));
    refused(compare(shards, good), "b.safetensors: no such file", "names it");
    Files.writeString(index, "{\"weight_map\":{\"x\":\"a.safetensors\"}}");
    refused(compare(shards, good), "tensor \"x\" is not in a.safetensors");
    Path whole = write("shards/model.safetensors", model(0));
    refused(compare(shards, good), "has model.safetensors and model.safetensors.index.json");
    Files.writeString(index, "{\"weight_map\":{\"" + NAME + "\":\"model.safetensors\"}}");
    assertThat(compare(shards, good, "--include", "q_proj").code()).isZero();
    out = directory.resolve("refused");
    Files.delete(whole);
    Files.writeString(index, "{\"weight_map\":{\"x\":\"../good.safetensors\"}}");
    refused(compare(shards, good), "is not a plain file name");
    Files.writeString(index, "{\"weight_map\":7}");
    refused(compare(shards, good), "no \"weight_map\"");
    Files.writeString(index, "{\"weight_map\":");
    refused(compare(shards, good), "not valid JSON");
  }

  @Test
  void filesThatAreNoCheckpointsAreRefused() throws IOException {
    refused(compare(directory.resolve("none"), good), "none: no such file or directory");
    Path empty = Files.createDirectory(directory.resolve("empty"));
    refused(compare(empty, good), "no .safetensors file");
    refused(compare(bytes("zero.safetensors", new byte[0]), good), "zero.safetensors: empty");
    refused(
        compare(good, bytes("short.safetensors", new byte[5])), "short.safetensors: only 5 bytes");
    refused(
        compare(bytes("long.safetensors", withLength(100_000_001, "{}")), good),
        "the format allows at most 100000000");
    refused(
        compare(bytes("beyond.safetensors", withLength(100, "{}")), good),
        "ends beyond the file of 10");
    refused(compare(bytes("json.safetensors", withLength(2, "{]")), good), "not valid JSON");
    refused(compare(bytes("trailing.safetensors", withLength(2, "{}abc")), good), "3 bytes after");
    byte[] whole = Files.readAllBytes(good);
    refused(
        compare(bytes("cut.safetensors", java.util.Arrays.copyOf(whole, whole.length - 1)), good),
        "truncated");
    refused(
        compare(bytes("pytorch_model.bin", new byte[9]), good),
        "pytorch_model.bin: is not a zip archive");
    bytes("empty/pytorch_model.bin", new byte[9]);
    refused(compare(empty, good), "pytorch_model.bin: is not a zip archive");
    refused(compare(good, bytes("x.pt", new byte[0])), "x.pt: empty, not a file of torch");
    refused(compare(TORCH.resolve("module.pt"), good), "Linear is not a constructor of tensors");
    refused(compare(Path.of("org/name"), good), "download it first: hf download org/name");
  }

  @Test
  void filesOfTorchAreCompared() throws IOException {
    Path pickle = TORCH.resolve("protocol-2.pt");
    Path same = TORCH.resolve("protocol-2.safetensors");
    CommandRun run = compare(same, pickle);
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out()).contains("0 of 92 entries in 10 tensors changed in bf16");
    CommandRun inspected = CommandRun.of("inspect", pickle);
    assertThat(inspected.code()).as(inspected.err()).isZero();
    assertThat(inspected.out()).contains("embed.weight", "protocol-2.pt", "valid");
    Path patch = directory.resolve("patch.safetensors");
    CommandRun created = CommandRun.of("patch", "create", pickle, same, "--out", patch);
    assertThat(created.code()).as(created.err()).isZero();
    CommandRun applied =
        CommandRun.of("patch", "apply", pickle, patch, "--out", directory.resolve("patched"));
    assertThat(applied.code()).isEqualTo(2);
    assertThat(applied.err()).contains("protocol-2.pt: is a file of torch, which is only read");
    assertThat(directory.resolve("patched")).doesNotExist();
  }

  @Test
  void tensorsThatDoNotMatchAreListed() throws IOException {
    Path other =
        write(
            "other.safetensors",
            model(0)
                .tensor("a.weight", TensorType.F32, List.of(2L), new byte[8])
                .tensor("b.weight", TensorType.I64, List.of(1L), new byte[8]));
    Path third =
        write(
            "third.safetensors",
            model(0)
                .tensor("a.weight", TensorType.F32, List.of(3L), new byte[12])
                .tensor("b.weight", TensorType.I64, List.of(1L), new byte[8])
                .tensor("c.weight", TensorType.F32, List.of(1L), new byte[4]));
    CommandRun run = compare(other, third);
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("shapes differ: a.weight [2] [3]")
        .contains("only in tuned: c.weight")
        .contains("refused: b.weight I64 holds no floating-point numbers")
        .contains("32 of 37 entries in 1 of 4 tensors were compared")
        .contains("Only 86.5 % of the entries were compared");
    out = directory.resolve("strict");
    refused(compare(other, third, "--strict"), "3 tensors do not match");
    Path strange =
        write(
            "strange.safetensors",
            new SafetensorsWriter().tensor("z", TensorType.F32, List.of(1L), new byte[4]));
    refused(compare(good, strange), "no tensor to compare", "share no name");
  }

  @Test
  void wrongOptionsAreRefused() throws IOException {
    refused(
        compare(good, good, "--include", "("),
        "--include: \"(\" is not a valid regular expression");
    refused(compare(good, good, "--exclude", "["), "--exclude");
    refused(compare(good, good, "--exclude", "."), "no tensor to compare");
    refused(compare(good, good, "--threads", "-1"), "options.threads is -1");
    refused(compare(good, good, "--threads", "many"), "many");
    refused(compare(good, good, "--device", "tpu"), "tpu");
    refused(compare(good, good, "--device", "cuda"), "CUDA is not available");
    refused(run("compare", good), "see threegate help compare");
    refused(run("xyz"), "unknown command 'xyz'; see threegate help");
    assertThat(run().code()).isEqualTo(2);
  }

  @Test
  void mistypedNamesAreSuggested() throws IOException {
    for (CommandRun run :
        List.of(run("comapre", good, good, "--out", out), run("help", "comapre"))) {
      refused(run, "unknown command 'comapre'; did you mean 'compare'?");
    }
    refused(run("conpare"), "unknown command 'conpare'; did you mean 'compare'?");
    refused(run("patch", "aply", good), "unknown command 'aply'; did you mean 'apply'?");
    refused(compare(good, good, "--thread", "2"), "unknown option '--thread'", "'--threads'?");
    refused(
        compare(good, good, good), "unknown argument '" + good + "'; see threegate help compare");
  }

  /** The help lists the commands in the order of the table in the README. */
  @Test
  void helpGroupsCommandsAsTheReadmeDoes() throws IOException {
    List<String> rows =
        Files.readString(Path.of(System.getProperty("threegate.root"), "README.md"))
            .lines()
            .dropWhile(line -> !line.startsWith("| command |"))
            .skip(2)
            .takeWhile(line -> line.startsWith("|"))
            .map(line -> line.split("\\|")[1])
            .toList();
    List<String> documented =
        rows.stream()
            .flatMap(row -> Stream.of(row.split(",")))
            .map(name -> name.replace("`", "").strip())
            .toList();
    List<String> listed =
        run("help")
            .out()
            .lines()
            .takeWhile(line -> !line.startsWith("Exit codes"))
            .filter(line -> line.matches("  [a-z]+ {2,}\\S.*"))
            .map(line -> line.strip().split(" ")[0])
            .filter(name -> !name.equals("help") && !name.equals("threegate"))
            .toList();
    assertThat(listed).isEqualTo(documented);
    assertThat(run("help").out()).contains("Compare checkpoints:", "Train decoders:");
  }

  @Test
  void placesThatCannotBeWrittenAreRefused() throws IOException {
    Path target = out;
    out = bytes("file", new byte[1]);
    CommandRun run = compare(good, good);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("is a file; choose a directory").hasLineCount(1);
    out = out.resolve("below");
    refused(compare(good, good), "cannot be written");
    out = Path.of("/proc/threegate/report");
    refused(compare(good, good), "cannot be written");
    out = Path.of("/");
    assertThat(compare(good, good).err()).contains("root of a file system");
    out = target;
  }

  @Test
  void namesFromFilesDoNotReachTheTerminalRaw() throws IOException {
    String hostile = "a\u001b[2J</script><b>.weight";
    Path file =
        write(
            "hostile.safetensors",
            new SafetensorsWriter()
                .tensor(hostile, TensorType.BF16, List.of(4L, 8L), codes(32, 0)));
    CommandRun run = compare(file, file);
    assertThat(run.code()).isZero();
    assertThat(run.out()).doesNotContain("\u001b");
    assertThat(run("inspect", file).out()).doesNotContain("\u001b");
    String html = Files.readString(out.resolve("report.html"));
    assertThat(html)
        .doesNotContain("</script><b>")
        .doesNotContain("src=\"http")
        .doesNotContain("href=\"http");
  }

  @Test
  void aFileThatChangesMeanwhileIsRefused() throws Exception {
    Path growing =
        write(
            "growing.safetensors",
            new SafetensorsWriter()
                .tensor("w.weight", TensorType.F64, List.of(1024L, 4096L), new byte[1 << 25]));
    Thread writer =
        new Thread(
            () -> {
              try (RandomAccessFile file = new RandomAccessFile(growing.toFile(), "rw")) {
                while (!Thread.interrupted()) {
                  file.seek(file.length() - 1);
                  file.write(1);
                }
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            });
    writer.start();
    try {
      refused(compare(growing, growing), "growing.safetensors", "changed while it was read");
    } finally {
      writer.interrupt();
      writer.join();
    }
  }

  @Test
  void inspectListsAndRefuses() throws IOException {
    Files.writeString(
        directory.resolve("config.json"),
        "{\"model_type\":\"llama\",\"num_attention_heads\":2,\"hidden_size\":8}");
    CommandRun run = run("inspect", good);
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("q_proj")
        .contains("[4, 8]")
        .contains("valid")
        .contains("llama")
        .contains("32 parameters in 1 tensors");
    refused(run("inspect", directory.resolve("none")), "no such file");
  }

  @Test
  void doctorVersionAndHelpAnswer() {
    assertThat(run("doctor").out())
        .contains("binding")
        .contains("SIMD")
        .contains("BLAS      OpenBLAS")
        .containsPattern("libraries /.*")
        .contains("cpu");
    assertThat(run("--version").out()).matches("threegate \\d+\\.\\d+\\.\\d+\\R");
    assertThat(run("help").out()).contains("compare").contains("Examples:");
    assertThat(run("compare", "--help").out())
        .contains("--resume")
        .contains("Examples:")
        .contains("Exit codes");
  }
}
