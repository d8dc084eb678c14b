package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.checkpoint.weight.Weights;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that files of torch are read as torch reads them. {@code src/test/python/torch_files.py}
 * makes the files, and the same tensors as safetensors.
 */
@ExtendWith(NativeLeaks.class)
class TorchFileTest {
  private static final Path FIXTURES = Path.of("src/test/resources/torch");

  @TempDir Path directory;

  static Stream<Path> fixtures() throws IOException {
    return Files.list(FIXTURES)
        .filter(file -> file.toString().endsWith(".safetensors"))
        .map(
            file ->
                file.resolveSibling(file.getFileName().toString().replace(".safetensors", ".pt")))
        .sorted();
  }

  @ParameterizedTest
  @MethodSource("fixtures")
  void tensorsAreThoseOfTorch(Path file) {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint read = Checkpoint.open(context, file);
        Checkpoint expected = Checkpoint.open(context, safetensors(file))) {
      assertSame(read, expected);
      read.check();
      read.others()
          .keySet()
          .forEach(name -> assertThat(Weights.of(read).consumed()).containsKey(name));
    }
  }

  private static Path safetensors(Path file) {
    return file.resolveSibling(file.getFileName().toString().replace(".pt", ".safetensors"));
  }

  private static void assertSame(Checkpoint read, Checkpoint expected) {
    assertThat(read.tensors()).containsOnlyKeys(expected.tensors().keySet());
    for (Tensor right : expected.tensors().values()) {
      Tensor tensor = read.tensors().get(right.name());
      assertThat(tensor.type()).as(right.name()).isEqualTo(right.type());
      assertThat(tensor.shape()).as(right.name()).isEqualTo(right.shape());
      assertThat(bytes(tensor)).as(right.name()).isEqualTo(bytes(right));
    }
  }

  private static byte[] bytes(Tensor tensor) {
    return tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes());
  }

  @Test
  void shardsAreReadByTheirIndex() {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint read = Checkpoint.open(context, FIXTURES.resolve("shards"));
        Checkpoint expected =
            Checkpoint.open(context, FIXTURES.resolve("protocol-2.safetensors"))) {
      assertSame(read, expected);
      assertThat(read.files()).hasSize(2);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "other-key.pt|holds no tensors at its top level",
        "two-models.pt|several state dictionaries, model and module",
        "no-dictionary.pt|holds no dictionary of tensors",
        "expanded.pt|tensor \"a.weight\" has more entries than are stored: it is a view with the strides [0, 1]",
        "module.pt|torch.nn.modules.linear.Linear is not a constructor of tensors",
        "legacy.pt|is not a zip archive",
        "script.pt|if it is a TorchScript program",
        "ranks-partial|distributed by Partial, which is not read",
        "ranks-strided|distributed by _StridedShard, which is not read",
        "dcp-two|holds several state dictionaries, model and module",
        "dcp-other-key|no tensors at its top level or under model, state_dict, module",
        "dcp-one/__0_0.distcp|name its directory",
        "views/model.pt.missing|no such file"
      })
  void otherFilesAreRefusedByName(String file, String words) {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      assertThatThrownBy(() -> Checkpoint.open(context, FIXTURES.resolve(file)))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(words);
    }
  }

  @Test
  void ranksAreJoinedByRows() throws IOException {
    for (Path path :
        List.of(
            FIXTURES.resolve("ranks"), FIXTURES.resolve("ranks/model_world_size_2_rank_1.pt"))) {
      Path ranks = path.toString().endsWith("ranks") ? only(path) : path;
      try (Context context = Context.open(Context.Device.CPU, 1);
          Checkpoint read = Checkpoint.open(context, ranks);
          Checkpoint expected =
              Checkpoint.open(context, FIXTURES.resolve("ranks/whole.safetensors"))) {
        assertSameWeights(context, read, expected);
        assertThat(Weights.of(read).consumed())
            .containsOnlyKeys(
                "a.weight [rank 1 of 2]", "u.weight [rank 1 of 2]", "norm.weight [rank 1 of 2]");
      }
    }
  }

  /** Tests that any rows of the weights are those of the same tensors in one file. */
  private static void assertSameWeights(Context context, Checkpoint read, Checkpoint expected) {
    Weights weights = Weights.of(read);
    Weights right = Weights.of(expected);
    assertThat(weights.byName()).containsOnlyKeys(right.byName().keySet());
    assertThat(weights.refused().keySet().stream().map(name -> name.replaceFirst(" \\[.*", "")))
        .containsExactlyInAnyOrderElementsOf(right.refused().keySet());
    for (Weight whole : right.byName().values()) {
      Weight weight = weights.byName().get(whole.name());
      assertThat(weight.shape()).as(whole.name()).isEqualTo(whole.shape());
      assertThat(weight.storedAs()).as(whole.name()).isEqualTo(whole.storedAs());
      long rows = whole.entries().rows();
      long step = 1 + rows / 16;
      for (long begin = 0; begin < rows; begin += step) {
        for (long end = begin + 1; end <= rows; end += step) {
          assertThat(bytes(context, weight.entries().rows(begin, end)))
              .as("%s rows %d to %d", whole.name(), begin, end)
              .isEqualTo(bytes(context, whole.entries().rows(begin, end)));
        }
      }
      byte[] all = bytes(context, whole.entries());
      assertThat(bytes(context, weight.entries())).as(whole.name()).isEqualTo(all);
      assertThat(weight.stored(0, (int) whole.elements())).as(whole.name()).isEqualTo(all);
    }
    // Each stored tensor is in one list.
    Set<String> listed = new HashSet<>(weights.refused().keySet());
    listed.addAll(weights.consumed().keySet());
    weights.byName().values().forEach(weight -> listed.add(weight.sources().get(0).name()));
    assertThat(listed).containsAll(read.tensors().keySet());
    assertThat(weights.refused())
        .doesNotContainKeys(weights.consumed().keySet().toArray(String[]::new));
    read.check();
  }

  /** Views, columns, meshes, distributed checkpoints, and the files of DeepSpeed. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "views",
        "ranks-columns",
        "ranks-grid",
        "dcp-one",
        "dcp-flat",
        "dcp-nested",
        "dcp-grid",
        "zero-2",
        "zero-3"
      })
  void tensorsInPiecesAreThoseOfTorch(String name) {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint read = Checkpoint.open(context, FIXTURES.resolve(name));
        Checkpoint expected =
            Checkpoint.open(context, FIXTURES.resolve("expected/" + name + ".safetensors"))) {
      assertSameWeights(context, read, expected);
    }
  }

  @Test
  void whatIsBesideTheModelIsCounted() {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint nested = Checkpoint.open(context, FIXTURES.resolve("dcp-nested"));
        Checkpoint zero = Checkpoint.open(context, FIXTURES.resolve("zero-3"))) {
      assertThat(nested.others())
          .containsEntry("optim.state.1.bias.exp_avg", "beside the model, one of 21 under optim")
          .containsEntry("step", "beside the model");
      assertThat(nested.tensors().keySet()).noneMatch(tensor -> tensor.contains("optim"));
      assertThat(zero.others())
          .containsEntry("lm_head.weight", "the same parameter as model.embed_tokens.weight")
          .containsEntry("optimizer_state_dict [rank 2 of 3]", "4 other tensors of the optimizer")
          .containsEntry("a.weight [module]", "placeholder of the master");
    }
  }

  /** Returns a directory with the files of the ranks only. */
  private Path only(Path ranks) throws IOException {
    for (int rank = 0; rank < 2; rank++) {
      String name = "model_world_size_2_rank_" + rank + ".pt";
      Files.copy(ranks.resolve(name), directory.resolve(name));
    }
    Files.createDirectory(directory.resolve("huggingface"));
    Files.writeString(directory.resolve("huggingface/config.json"), "{\"model_type\":\"llama\"}");
    return directory;
  }

  private static byte[] bytes(Context context, Values values) {
    try (Values.Opened opened = values.open(context)) {
      Matrix matrix = opened.operand().values();
      return matrix
          .buffer()
          .getBytes(matrix.offset(), matrix.rows() * matrix.columns() * matrix.dtype().bytes());
    }
  }

  @Test
  void ranksThatDoNotFitAreRefused() throws IOException {
    Path ranks = only(FIXTURES.resolve("ranks"));
    Path second = ranks.resolve("model_world_size_2_rank_1.pt");
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      try (Checkpoint read = Checkpoint.open(context, ranks)) {
        assertThat(read.config().orElseThrow().modelType()).isEqualTo("llama");
      }
      Files.copy(ranks.resolve("model_world_size_2_rank_0.pt"), ranks.resolve("part.pt"));
      refused(context, ranks.resolve("part.pt"), "holds only its part of each tensor");
      Files.delete(ranks.resolve("part.pt"));
      Files.delete(second);
      refused(context, ranks, "model_world_size_2_rank_1.pt: no such file");
      Files.copy(ranks.resolve("model_world_size_2_rank_0.pt"), second);
      // Both say that they are the first one.
      refused(context, ranks, "the parts of tensor \"u.weight\"", "do not make a whole");
    }
  }

  /** Copies a fixture, so that a test can damage it. */
  private Path copied(String name) throws IOException {
    Path to = directory.resolve(name);
    try (Stream<Path> all = Files.walk(FIXTURES.resolve(name))) {
      for (Path from : all.toList()) {
        Files.copy(from, to.resolve(FIXTURES.resolve(name).relativize(from)));
      }
    }
    return to;
  }

  private static void replace(Path file, String from, String to) throws IOException {
    String bytes = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    assertThat(bytes).contains(from);
    Files.write(file, bytes.replace(from, to).getBytes(StandardCharsets.ISO_8859_1));
  }

  @Test
  void distributedCheckpointsThatDoNotFitAreRefused() throws IOException {
    Path grid = copied("dcp-grid");
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      byte[] second = Files.readAllBytes(grid.resolve("__1_0.distcp"));
      Files.write(grid.resolve("__1_0.distcp"), Arrays.copyOf(second, second.length - 1));
      refused(context, grid, "__1_0.distcp", "ends beyond the file");
      Files.delete(grid.resolve("__1_0.distcp"));
      refused(context, grid, "__1_0.distcp: no such file, though .metadata names it");
      Files.copy(grid.resolve("__0_0.distcp"), grid.resolve("__1_0.distcp"));
      refused(context, grid, "__1_0.distcp", "but .metadata has");
      Files.write(grid.resolve("__1_0.distcp"), second);
      Path metadata = grid.resolve(".metadata");
      byte[] valid = Files.readAllBytes(metadata);
      replace(metadata, "__1_0.distcp", "../0.distcp!");
      refused(context, grid, "names the file", "which is not a plain file name");
      Files.write(metadata, valid);
      replace(metadata, "bfloat16", "int88888");
      refused(context, grid, "torch.int88888 does not describe a distributed checkpoint");
    }
  }

  @Test
  void filesOfDeepSpeedThatDoNotFitAreRefused() throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      Path third = copied("zero-3").resolve("global_step5");
      Path last = third.resolve("zero_pp_rank_2_mp_rank_00_optim_states.pt");
      byte[] bytes = Files.readAllBytes(last);
      Files.delete(last);
      refused(context, third, "rank_2_mp_rank_00_optim_states.pt: no such file");
      Files.copy(
          FIXTURES.resolve("zero-2/global_step5/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"),
          last);
      refused(context, third, "is of another run");
      Files.write(last, bytes);
      Files.copy(
          FIXTURES.resolve("zero-2/global_step5/mp_rank_00_model_states.pt"),
          third.resolve("zero_pp_rank_1_mp_rank_00_model_states.pt"),
          StandardCopyOption.REPLACE_EXISTING);
      refused(context, third, "parts of parameter \"z.weight\"", "do not make a whole");
      Path second = copied("zero-2").resolve("global_step5");
      replace(second.resolve("mp_rank_00_model_states.pt"), "norm.weight", "norm2weight");
      try (Checkpoint read = Checkpoint.open(context, second)) {
        assertThat(Weights.of(read).byName()).containsKey("norm2weight");
      }
      replace(second.resolve("mp_rank_00_model_states.pt"), "param_shapes", "frozen_shape");
      refused(context, second, "has no buffer_names and param_shapes");
    }
  }

  private static void refused(Context context, Path path, String... words) {
    assertThatThrownBy(() -> Checkpoint.open(context, path))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContainingAll(words);
  }

  @Test
  void filesOfTorchAreNotWritten() {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint read = Checkpoint.open(context, FIXTURES.resolve("protocol-2.pt"))) {
      assertThatThrownBy(() -> ModelCopy.write(read, Map.of(), directory.resolve("copy")))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("protocol-2.pt: is a file of torch, which is only read");
    }
  }
}
