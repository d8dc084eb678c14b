package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.study.StudyClaims;
import org.threegate.analysis.study.StudyResult;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.report.ComparisonReport;
import org.threegate.report.StudyDirectory;
import org.threegate.report.StudyReport;
import org.threegate.rl.study.Study;
import org.threegate.rl.study.StudyOptions;
import org.threegate.run.CancelledException;
import org.threegate.testing.Browser;
import org.threegate.testing.NativeLeaks;

/** Tests {@code study}, {@code demo} and {@code pretrain} with few steps. */
@ExtendWith(NativeLeaks.class)
class StudyCommandTest {
  private static final long STEPS = 2;
  private static final StudyOptions OPTIONS = new StudyOptions(true, STEPS, 0);

  @TempDir Path directory;

  private static CommandRun run(Object... arguments) {
    return CommandRun.of(arguments);
  }

  private static JsonNode json(Path study) throws IOException {
    ObjectNode json =
        (ObjectNode) new ObjectMapper().readTree(study.resolve("study.json").toFile());
    json.remove(List.of("elapsedSeconds", "command", "threegate", "backend"));
    return json;
  }

  /** Copies a study while it goes on, as it is after a machine has failed. */
  private static void copy(Path study, Path to) {
    try (Stream<Path> all = Files.walk(study)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        Path copy = to.resolve(study.relativize(file));
        Files.createDirectories(copy.getParent());
        Files.copy(file, copy);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A study that is not interrupted. Another directory gets its state before a run. */
  private static JsonNode whole(Path whole, Path part, String before) throws IOException {
    try (Context context = Context.open();
        Control control = Control.open(context)) {
      StudyResult result =
          Study.run(
              context,
              control,
              whole,
              OPTIONS,
              false,
              (what, done, total) -> {
                if (what.startsWith(before) && !Files.exists(part)) {
                  copy(whole, part);
                }
              });
      ComparisonReport.Backend backend =
          new ComparisonReport.Backend("cpu", context.bindingName(), context.threads(), "", "");
      StudyDirectory.write(
          new StudyReport("", List.of(), backend, result, StudyClaims.judge(result), 1), whole);
    }
    return json(whole);
  }

  private static void interrupt(Path study, String before) {
    List<String> seen = new ArrayList<>();
    try (Context context = Context.open();
        Control control = Control.open(context)) {
      assertThatThrownBy(
              () ->
                  Study.run(
                      context,
                      control,
                      study,
                      OPTIONS,
                      true,
                      (what, done, total) -> {
                        seen.add(what);
                        if (what.startsWith(before)) {
                          control.cancel();
                        }
                      }))
          .isInstanceOf(CancelledException.class);
    }
    assertThat(seen)
        .contains("RLVR, rotated base, seed 2: geometry")
        .noneMatch(what -> what.startsWith("Rejection sampling"));
  }

  /** A study that fails, is resumed, interrupted and resumed gives the results of another one. */
  @Test
  void aStudyIsRunInterruptedAndGoneOnWith() throws Exception {
    Path whole = directory.resolve("whole");
    Path part = directory.resolve("part");
    JsonNode json = whole(whole, part, "RLVR, rotated base");
    interrupt(part, "RLVR, SGD");
    run("study", "--quick", "--steps", 3, "--out", part, "--resume")
        .assertRefused("with other options");
    // Journal entries that belong to no run of this study are ignored.
    Path journal = part.resolve("journal");
    String line = Files.readAllLines(journal).get(1);
    for (String forged :
        List.of(
            line.replaceFirst("\"arm\":\"[^\"]+\"", "\"arm\":\"sft\"")
                .replaceAll("\"shares\":\\[[^\\]]*\\]", "\"shares\":[1.0]"),
            line.replaceFirst("\"arm\":\"[^\"]+\"", "\"arm\":\"no such arm\""))) {
      assertThat(forged).isNotEqualTo(line);
      Files.writeString(journal, forged + "\n", StandardOpenOption.APPEND);
    }
    CommandRun run = run("study", "--quick", "--steps", STEPS, "--out", part, "--resume");
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains(
            "RLVR (2)", "Claims. Each is compared with", "report: " + part.resolve("study.html"));
    assertThat(json(part)).isEqualTo(json);
    for (String model :
        List.of("rejection-2", "rlvr-rotated-2", "sgd-rlvr-2", "other-base-rlvr-2")) {
      String file = "runs/" + model + "/model.safetensors";
      assertThat(Files.mismatch(part.resolve(file), whole.resolve(file))).isEqualTo(-1);
    }
    assertThat(json.path("runs")).hasSize(13);
    assertThat(json.path("variations").findValuesAsText("id"))
        .containsExactly("sgd", "muon", "subtraction", "other-base");
    assertThat(json.path("variations").get(3).path("weights").asLong())
        .isNotEqualTo(json.path("weights").asLong());
    assertThat(json.path("claims").findValuesAsText("id"))
        .contains(
            "learns",
            "sparser-than-sft",
            "avoids-principal-weights",
            "axes-decide",
            "sgd-agrees",
            "muon-as-seeds",
            "subtraction-repeats",
            "other-base-repeats",
            "low-curvature")
        .doesNotContain("other-base-agrees");
    for (JsonNode ran : json.path("runs")) {
      assertThat(ran.path("changed").asLong()).isPositive();
      // Each measure is reported with that of its null model.
      assertThat(ran.path("sparsityPermuted").asDouble()).isBetween(0.01, 1.0);
      boolean judged = ran.path("seed").asInt() == 1 || ran.path("arm").asText().equals("rlvr");
      assertThat(ran.path("tensors").get(0).path("nssNull").isNumber()).isEqualTo(judged);
      assertThat(ran.path("findings").isEmpty()).isEqualTo(!judged);
      for (JsonNode patch : ran.path("patches")) {
        assertThat(patch.path("bytes").asLong()).isBetween(1L, patch.path("modelBytes").asLong());
        assertThat(patch.path("positionEntropyBytes").asDouble())
            .isBetween(1.0, patch.path("bytes").asDouble());
      }
    }
    // Two steps decide nothing between ways of training: seeds are the replicates.
    for (JsonNode claim : json.path("claims")) {
      for (JsonNode contrast : claim.path("contrasts")) {
        assertThat(contrast.path("seeds").asInt()).isBetween(1, 2);
        assertThat(contrast.path("p").asDouble()).isBetween(0.0, 1.0);
      }
      assertThat(claim.path("limits").asText()).contains(STEPS + " steps").contains("quick study");
    }
    assertThat(Files.readString(part.resolve("study.html"))).doesNotContain("/*DATA*/");
    Browser.Page page = Browser.open(part.resolve("study.html").toUri(), directory);
    assertThat(page.errors()).isEmpty();
    assertThat(page.canvases()).isEqualTo(json.path("claims").size() + 6);
    assertThat(page.dom()).contains("stays closer to the base");
    // Other commands can read the models that the study writes.
    assertThat(
            run(
                    "compare",
                    whole.resolve("base"),
                    whole.resolve("runs/sft-1"),
                    "--no-spectrum",
                    "--out",
                    directory.resolve("report"))
                .code())
        .isZero();
  }

  @Test
  void theSampleIsComparedInSeconds() {
    Path out = directory.resolve("demo");
    CommandRun run = run("demo", "--sample", "--out", out);
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("hidden by bf16")
        .contains("Attention heads with the largest ratios");
    assertThat(out.resolve("report.html")).exists();
  }

  @Test
  void aBaseIsMade() {
    Path out = directory.resolve("base");
    CommandRun run = run("pretrain", "--out", out, "--steps", 2);
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).startsWith("model: " + out);
    assertThat(run("generate", out, "B27+58=", "--longest", 3).code()).isZero();
    run("pretrain", "--out", out).assertRefused("exists already");
    run("pretrain", "--out", directory.resolve("none"), "--steps", 0).assertRefused("--steps 0");
    run("study", "--steps", 0, "--out", directory.resolve("none"))
        .assertRefused("steps must be 1 or more, not 0");
    run("demo", "--quick", "--sample").assertRefused("--quick");
    assertThat(directory.resolve("none")).doesNotExist();
    for (String command : List.of("study", "pretrain", "demo")) {
      assertThat(run(command, "--help").out()).contains("Examples:").doesNotContain("%n");
    }
  }
}
