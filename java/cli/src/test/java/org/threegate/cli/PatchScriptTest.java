package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.SharedData;

/**
 * Tests that the PyTorch reader of docs/patches.md applies a patch of real checkpoints to the exact
 * bits. Prints SKIPPED if $PYTHON has no torch.
 */
class PatchScriptTest {
  private static final Pattern SCRIPT = Pattern.compile("```python\\n(.*?)```", Pattern.DOTALL);
  private static final String CHECK =
      """

      import sys
      from safetensors.torch import load_file
      base, tuned, patch = sys.argv[1:]
      tensors, expected = load_file(base), load_file(tuned)
      apply_patch(tensors, patch)
      bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
      for name, tensor in expected.items():
          own = bits[tensor.element_size()]
          assert torch.equal(tensors[name].view(own), tensor.view(own)), name
      print(len(expected), "tensors, the same")
      """;

  @TempDir Path directory;

  @Test
  void sparsePatchesAreReadByTorch() throws IOException, InterruptedException {
    Python python = Python.require("torch, safetensors");
    Path base = SharedData.require("base");
    Path tuned = SharedData.require("rlvr-add-50-steps");
    String docs =
        Files.readString(Path.of(System.getProperty("threegate.root"), "docs", "patches.md"));
    Matcher matcher = SCRIPT.matcher(docs);
    assertThat(matcher.find()).isTrue();
    Path script = Files.writeString(directory.resolve("check.py"), matcher.group(1) + CHECK);
    for (boolean raw : new boolean[] {false, true}) {
      Path patch = directory.resolve("patch-" + raw);
      CommandRun run =
          raw
              ? CommandRun.of(
                  "patch",
                  "create",
                  base,
                  tuned,
                  "--format",
                  "sparse",
                  "--raw-positions",
                  "--out",
                  patch)
              : CommandRun.of("patch", "create", base, tuned, "--format", "sparse", "--out", patch);
      assertThat(run.err()).isEmpty();
      assertThat(
              python.output(
                  script,
                  base.resolve("model.safetensors"),
                  tuned.resolve("model.safetensors"),
                  patch))
          .contains("tensors, the same");
    }
  }
}
