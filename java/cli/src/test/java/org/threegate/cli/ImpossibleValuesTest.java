package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.rl.study.BaseModel;

/** Tests that commands name the file if the values of a model are not finite or not possible. */
class ImpossibleValuesTest {
  private static final String TENSOR = "model.layers.1.self_attn.o_proj.weight";
  private static final int NAN = 0x7fc0;
  private static final int INFINITE = 0xff80;
  private static final int LARGE = 0x7f00;

  @TempDir Path directory;
  private Path base;
  private Path other;
  private Path problems;

  @BeforeEach
  void models() throws IOException {
    base = directory.resolve("base");
    other = directory.resolve("other");
    problems = directory.resolve("problems.jsonl");
    BaseModel.extract(base);
    BaseModel.extract(other);
    Files.writeString(problems, "{\"prompt\": \"1+2=\", \"answer\": \"3\"}\n".repeat(4));
  }

  /** Overwrites the first entries of a tensor of a model with a value in bf16. */
  private static void poke(Path model, String tensor, int bits, int count) throws IOException {
    Path file = model.resolve("model.safetensors");
    long offset;
    try (Context context = Context.open();
        Checkpoint files = Checkpoint.open(context, model)) {
      offset = files.tensors().get(tensor).offset();
    }
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer all = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      all.putShort((int) offset + 2 * i, (short) bits);
    }
    Files.write(file, bytes);
  }

  private CommandRun[] decoding(Path model) throws IOException {
    Path run = directory.resolve("run.yaml");
    Files.writeString(
        run,
        "model_name_or_path: "
            + model
            + "\noutput_dir: "
            + directory.resolve("run")
            + "\nmax_steps: 1\ntrain_dataset: "
            + problems
            + "\n");
    return new CommandRun[] {
      CommandRun.of("generate", model, "1+2=", "--longest", 4),
      CommandRun.of("eval", model, "--problems", problems, "--longest", 4, "--completions", 2),
      CommandRun.of("train", run),
      CommandRun.of(
          "capture", model, "--problems", problems, "--out", directory.resolve("c.safetensors"))
    };
  }

  @ParameterizedTest
  @ValueSource(ints = {NAN, INFINITE})
  void whatDecodesNamesTheTensor(int bits) throws IOException {
    poke(base, TENSOR, bits, 1);
    for (CommandRun run : decoding(base)) {
      run.assertRefused("base/model.safetensors", TENSOR);
    }
  }

  @Test
  void whatOverflowsNamesTheModel() throws IOException {
    poke(base, "model.norm.weight", LARGE, 128);
    poke(base, "lm_head.weight", LARGE, 27 * 128);
    CommandRun.of("generate", base, "1+2=", "--longest", 4).assertRefused(base.toString());
    CommandRun.of("eval", base, "--problems", problems, "--longest", 4)
        .assertRefused(base.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "num_attention_heads, 2147483648",
    "num_hidden_layers, 30000000",
    "pad_token_id, -7",
    "rope_theta, 1e999",
    "vocab_size, -1"
  })
  void whatDecodesNamesTheField(String field, String value) throws IOException {
    Path config = base.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceAll("\"" + field + "\": *[^,\\n}]*", "\"" + field + "\": " + value));
    for (CommandRun run : decoding(base)) {
      run.assertRefused("base/config.json", field);
    }
  }

  /** Commands that measure a model either report the bad values or measure the rest. */
  @ParameterizedTest
  @ValueSource(ints = {NAN, LARGE})
  void whatMeasuresIsNoDefect(int bits) throws IOException {
    Path capture = directory.resolve("capture.safetensors");
    assertThat(CommandRun.of("capture", base, "--problems", problems, "--out", capture).code())
        .isZero();
    poke(other, TENSOR, bits, 3);
    Object[][] commands = {
      {"compare", base, other, "--out", directory.resolve("report-1"), "--nulls", "none"},
      {"compare", other, base, "--out", directory.resolve("report-2"), "--nulls", "none"},
      {"consensus", base, other, other, "--out", directory.resolve("report-3")},
      {"consensus", other, base, base, "--out", directory.resolve("report-4")},
      {"mask", other, "--kind", "safe", "--out", directory.resolve("mask-1.safetensors")},
      {"mask", other, "--kind", "low", "--out", directory.resolve("mask-2.safetensors")},
      {
        "curvature",
        capture,
        "--base",
        base,
        "--tuned",
        other,
        "--out",
        directory.resolve("report-5")
      },
      {
        "curvature",
        capture,
        "--base",
        other,
        "--tuned",
        base,
        "--out",
        directory.resolve("report-6")
      },
      {"intervene", other, "--rotate-vo", "--layers", "1-2", "--out", directory.resolve("rotated")},
      {"inspect", other}
    };
    for (Object[] command : commands) {
      CommandRun run = CommandRun.of(command);
      assertThat(run.code()).as("%s: %s", command[0], run.err()).isIn(0, 2);
      assertThat(run.err()).doesNotContain("internal error");
    }
  }
}
