package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;

/**
 * Tests that tensor names and metadata from files neither control the terminal nor crash a command.
 */
class HostileNamesTest {
  @TempDir Path directory;

  static Stream<String> names() {
    return Stream.of(
        "a\0b.weight",
        "a\u202eb\u2066c.weight",
        "a\u001b]0;title\u0007\u001b[2Jb.weight",
        "a\nthreegate: all is well\r.weight",
        "a\u009b2Jb.weight",
        "../../../etc/passwd",
        "/etc/passwd",
        "%s%n%999999999d.weight",
        "layers.99999999999999999999.q_proj.weight",
        "model.layers.0.self_attn.q_proj.weight\0",
        "x".repeat(100_000));
  }

  private Path model(String file, String name, int first) throws IOException {
    byte[] weights = new byte[2 * 32];
    for (int i = 0; i < 32; i++) {
      weights[2 * i + 1] = 0x3f;
      weights[2 * i] = (byte) (i + first * (i % 3));
    }
    Path path = directory.resolve(file);
    new SafetensorsWriter()
        .metadata("by " + name, name)
        .tensor(name, TensorType.BF16, List.of(4L, 8L), weights)
        .write(path);
    return path;
  }

  private void run(int code, Object... line) {
    CommandRun run = CommandRun.of(line);
    String shown = Arrays.toString(line);
    assertThat(run.code()).as(shown + run.err()).isEqualTo(code);
    if (code == 2) {
      run.assertRefused("");
      assertThat(run.err()).hasSizeLessThan(700);
    }
    for (String text : List.of(run.out(), run.err())) {
      assertThat(text.codePoints().filter(c -> c != '\n'))
          .as(shown)
          .noneMatch(c -> Character.isISOControl(c) || Character.getType(c) == Character.FORMAT);
      assertThat(text.lines()).as(shown).noneMatch("threegate: all is well"::equals);
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  void namesAreShownAndNothingElse(String name) throws IOException {
    Path base = model("base.safetensors", name, 0);
    Path tuned = model("tuned.safetensors", name, 1);
    Path stranger = model("stranger.safetensors", name + "\u202e", 1);
    Path patch = directory.resolve("patch.safetensors");
    run(0, "inspect", base);
    run(0, "compare", base, tuned, "--out", directory.resolve("report"), "--nulls", "none");
    run(2, "compare", base, stranger, "--out", directory.resolve("other"));
    run(2, "compare", base, stranger, "--out", directory.resolve("other"), "--strict");
    run(0, "consensus", base, tuned, tuned, "--out", directory.resolve("consensus"));
    Path mask = directory.resolve("mask.safetensors");
    run(0, "mask", base, "--kind", "low", "--out", mask);
    run(0, "mask", "--inspect", mask);
    run(0, "patch", "create", base, tuned, "--out", patch);
    run(0, "patch", "inspect", patch);
    run(0, "patch", "inspect", patch, "--base", base);
    run(0, "patch", "verify", base, patch);
    run(2, "patch", "verify", stranger, patch);
    run(2, "curvature", base, "--base", base, "--tuned", tuned);
    run(2, "intervene", base, "--permute-heads", "--layers", "0", "--out", directory.resolve("i"));
  }

  @Test
  void filesMayBeCalledAsTheyLike() throws IOException {
    Path model = Files.createDirectory(directory.resolve("model"));
    Files.copy(
        model("base.safetensors", "w.weight", 0), model.resolve("a\u202e\u001b[2Jb.safetensors"));
    CommandRun run = CommandRun.of("inspect", model);
    assertThat(run.out() + run.err()).doesNotContain("\u001b").doesNotContain("\u202e");
  }

  @Test
  void completionsDoNotControlATerminal() {
    String text = "1+1=\u001b[2J\u202e2\nand\tmore";
    assertThat(GenerateCommand.shown(text, true))
        .isEqualTo("1+1=\\u001b[2J\\u202e2\nand\\u0009more");
    assertThat(GenerateCommand.shown(text, false)).isEqualTo(text);
    assertThat(ProgressBar.line(new ProgressBar.State("a\u001b[2J\u202e", 1, 2), 1, true))
        .doesNotContain("\u001b")
        .contains("a\\u001b[2J\\u202e");
  }
}
