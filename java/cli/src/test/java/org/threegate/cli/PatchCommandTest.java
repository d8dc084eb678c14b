package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.SharedData;

/** Tests {@code threegate patch} as a user types it. */
@ExtendWith(NativeLeaks.class)
@Tag("binding")
class PatchCommandTest {
  @TempDir Path directory;

  private static CommandRun run(Object... arguments) {
    return CommandRun.of(arguments);
  }

  private static void succeeds(CommandRun run, String... parts) {
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).contains(parts);
    assertThat(run.code()).isZero();
  }

  /** Patches of real checkpoints reproduce the tuned model exactly in every format. */
  @Test
  void patchesLeadFromOneModelToAnother() throws IOException {
    Path base = SharedData.require("base");
    Path tuned = SharedData.require("rlvr-add-seed1");
    Path planar = directory.resolve("planar.safetensors");
    succeeds(
        run("patch", "create", base, tuned, "--out", planar), "patch: " + planar, " bytes, ", " %");
    succeeds(run("patch", "verify", base, planar), "version 1 from 0", "all digests match");
    succeeds(run("patch", "inspect", planar), "planar, version 1 from 0, xxh3-128", "lm_head");
    CommandRun inspected =
        run("patch", "inspect", planar, "--base", base, "--json", directory.resolve("g.json"));
    succeeds(inspected, "random signs", "model.layers.0.mlp.down_proj.weight", "rows z");
    JsonNode geometry = new ObjectMapper().readTree(directory.resolve("g.json").toFile());
    assertThat(geometry.path("schema").asText()).isEqualTo("threegate-patch-geometry-1");
    assertThat(geometry.path("tensors").size()).isGreaterThan(10);
    for (JsonNode tensor : geometry.path("tensors")) {
      assertThat(tensor.path("changed").asLong()).isPositive();
      assertThat(tensor.path("frobenius").asDouble()).isPositive();
    }
    run("patch", "inspect", planar, "--json", directory.resolve("h.json"))
        .assertRefused("needs --base");
    run("patch", "inspect", planar, "--base", base, "--json", directory.resolve("g.json"))
        .assertRefused("exists already");
    run("patch", "verify", tuned, planar).assertRefused("from another base");
    for (String format : List.of("disk-delta-xor", "disk-delta-overwrite", "sparse", "planar")) {
      Path other = directory.resolve(format);
      succeeds(
          run(
              "patch",
              "convert",
              base,
              planar,
              "--format",
              format,
              "--checksum",
              "blake3",
              "--out",
              other),
          "patch: " + other);
      Path model = directory.resolve("model-" + format);
      succeeds(run("patch", "apply", base, other, "--out", model), "model: " + model);
      CommandRun compared =
          run("compare", tuned, model, "--no-spectrum", "--json", "--out", directory.resolve("r"));
      assertThat(compared.out()).contains("\"changedStored\" : 0");
      assertThat(compared.out()).doesNotContainPattern("\"changedBits\" : [1-9]");
      assertThat(model.resolve("tokenizer.json")).exists();
      run("patch", "apply", base, other, "--out", model).assertRefused("exists already");
    }
    try (var left = Files.list(directory)) {
      assertThat(left).noneMatch(path -> path.getFileName().toString().startsWith(".partial"));
    }
  }

  /** Consecutive patches are combined, given as files or as a directory of versions. */
  @Test
  void patchesAreChained() throws IOException {
    Path base = SharedData.require("base");
    Path first = SharedData.require("rlvr-add-50-steps");
    Path second = SharedData.require("rlvr-add-100-steps");
    Path versions = Files.createDirectory(directory.resolve("versions"));
    Path start = Files.createDirectory(versions.resolve("weight_v000001"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(base.resolve(file), start.resolve(file));
    }
    Path one =
        Files.createDirectory(versions.resolve("weight_v000002")).resolve("patch.safetensors");
    Path two = versions.resolve("weight_v000003");
    succeeds(
        run(
            "patch",
            "create",
            base,
            first,
            "--version-number",
            2,
            "--base-version",
            1,
            "--out",
            one),
        "patch: ");
    succeeds(
        run(
            "patch",
            "create",
            first,
            second,
            "--version-number",
            3,
            "--base-version",
            2,
            "--format",
            "disk-delta-xor",
            "--out",
            two),
        "patch: ");
    Path direct = directory.resolve("direct");
    succeeds(
        run(
            "patch",
            "create",
            base,
            second,
            "--version-number",
            3,
            "--base-version",
            1,
            "--out",
            direct),
        "patch: ");
    Path chained = directory.resolve("chained");
    succeeds(run("patch", "chain", base, one, two, "--out", chained), "patch: " + chained);
    assertThat(Files.mismatch(chained, direct)).isEqualTo(-1);
    Path all = directory.resolve("all");
    succeeds(run("patch", "chain", start, versions, "--out", all), "patch: " + all);
    assertThat(Files.mismatch(all, direct)).isEqualTo(-1);
    Path out = directory.resolve("out");
    run("patch", "chain", base, two, one, "--out", out)
        .assertRefused("applies to version 1, but the patch before it leads to version 3");
    run("patch", "chain", base, versions, "--out", out)
        .assertRefused("its version is not recorded");
    run("patch", "chain", two, versions, "--out", out).assertRefused("no version after 3");
    assertThat(out).doesNotExist();
    Path served = directory.resolve("served");
    succeeds(run("patch", "follow", versions, served, "--once"), served + ": version 3");
    succeeds(run("patch", "follow", versions, served, "--until", 3), served + ": version 3");
    assertThat(
            Files.mismatch(
                served.resolve("model.safetensors"), second.resolve("model.safetensors")))
        .isEqualTo(-1);
    run("patch", "follow", directory.resolve("none"), served, "--once")
        .assertRefused("none: no such directory of versions");
    succeeds(run("patch", "inspect", one.getParent()), "planar, version 2 from 1");
  }

  @Test
  void modelsArePatchedInPlace() throws IOException {
    Path base = SharedData.require("base");
    Path tuned = SharedData.require("rlvr-add-seed1");
    Path planar = directory.resolve("planar.safetensors");
    succeeds(run("patch", "create", base, tuned, "--out", planar), "patch: ");
    Path model = Files.createDirectory(directory.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(base.resolve(file), model.resolve(file));
    }
    run("patch", "apply", model, planar).assertRefused("--out or --in-place");
    succeeds(run("patch", "apply", model, planar, "--in-place"), "model: " + model);
    assertThat(
            Files.mismatch(model.resolve("model.safetensors"), tuned.resolve("model.safetensors")))
        .isEqualTo(-1);
    run("patch", "apply", model, planar, "--in-place").assertRefused("from another base");
  }

  @Test
  void whatIsWrongIsSaidInALine() throws IOException {
    Path base = SharedData.require("base");
    Path out = directory.resolve("out");
    run("patch").assertRefused("choose a command");
    run("patch", "create", base, base, "--out", out, "--format", "zip")
        .assertRefused("--format", "\"zip\" is not a patch format");
    run("patch", "create", base, base, "--out", out, "--checksum", "md5")
        .assertRefused("--checksum: \"md5\" is not a checksum; expected one of xxh3-128");
    run("patch", "create", base, base, "--out", out, "--version-number", 0)
        .assertRefused("versions must increase from 0");
    run("patch", "create", base, directory, "--out", out).assertRefused(directory.toString());
    run("patch", "inspect", base.resolve("model.safetensors")).assertRefused("not a weight patch");
    run("patch", "apply", base, directory.resolve("none"), "--out", out)
        .assertRefused("no such file");
    run("patch", "create", base, base, "--out", directory.resolve("no/such/place"))
        .assertRefused("cannot be written");
    assertThat(out).doesNotExist();
    // If nothing changed, the patch is empty.
    Path nothing = directory.resolve("nothing");
    succeeds(
        run("patch", "create", base, base, "--format", "disk-delta-xor", "--out", nothing),
        "patch: ");
    succeeds(run("patch", "verify", base, nothing), "0 tensors");
    for (String command :
        List.of("create", "apply", "verify", "inspect", "chain", "follow", "convert")) {
      assertThat(run("patch", command, "--help").code()).isZero();
    }
    assertThat(run("patch", "--help").out()).contains("Examples:").doesNotContain("%n");
  }

  /** The library knows no options, so the command adds the option that helps to its message. */
  @Test
  void patchesWithoutDigestsNeedAnOption() throws IOException {
    Path model = Files.createDirectory(directory.resolve("model")).resolve("model.safetensors");
    new SafetensorsWriter()
        .tensor("w", TensorType.BF16, List.of(2L), new byte[] {1, 2, 3, 4})
        .write(model);
    Path patch = directory.resolve("other.safetensors");
    new SafetensorsWriter()
        .metadata("format", "sparse_weight_patch")
        .metadata("model_version", "1")
        .tensor("w.idx", TensorType.I32, List.of(1L), new byte[] {1, 0, 0, 0})
        .tensor("w.val", TensorType.BF16, List.of(1L), new byte[] {5, 6})
        .write(patch);
    Path out = directory.resolve("out");
    for (List<Object> command :
        List.<List<Object>>of(
            List.of("patch", "apply", model, patch, "--out", out),
            List.of("patch", "apply", model, patch, "--in-place"),
            List.of("patch", "convert", model, patch, "--out", out))) {
      run(command.toArray()).assertRefused("\"digest.w\" is missing", "--without-digests");
    }
    succeeds(run("patch", "apply", model, patch, "--in-place", "--without-digests"), "model: ");
    assertThat(Files.readAllBytes(model)).endsWith(1, 2, 5, 6);
  }
}
