package org.threegate.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.Json;
import org.threegate.run.InvalidInputException;

class DataFilesTest {
  private static final Path DATASETS = Path.of("src/test/resources/datasets");

  @TempDir Path directory;

  private void write(String name, String... prompts) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (String prompt : prompts) {
      lines.append("{\"prompt\": \"").append(prompt).append("\", \"answer\": 1}\n");
    }
    Files.writeString(directory.resolve(name), lines);
  }

  private static List<String> prompts(Path path) {
    return ProblemFile.read(path).stream().map(Problem::prompt).toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "snappy", "zstd", "gzip"})
  void parquetHasTheRowsThatPyarrowWrote(String codec) {
    List<Problem> problems = ProblemFile.read(DATASETS.resolve(codec + ".parquet"));
    assertThat(problems).hasSize(40);
    for (int i = 0; i < problems.size(); i++) {
      Problem problem = problems.get(i);
      assertThat(problem.messages()).containsExactly(new Message("user", i + "+1="));
      assertThat(problem.answer()).isEqualTo(String.valueOf(i + 1));
      assertThat(problem.kind()).isEqualTo("sum");
      String tags = List.of("[]", "[\"a\"]", "[\"a\",\"b\"]").get(i % 3);
      assertThat(Json.parseObject(problem.row(), "row"))
          .isEqualTo(
              Json.parseObject(
                  ("{\"prompt\":[{\"content\":\"%d+1=\",\"role\":\"user\"}],"
                          + "\"reward_model\":{\"ground_truth\":\"%d\",\"style\":\"rule\"},"
                          + "\"data_source\":\"sum\",\"extra_info\":{\"index\":%d,\"tags\":%s,"
                          + "\"weight\":%s},\"even\":%s,\"note\":%s}")
                      .formatted(i, i + 1, i, tags, i / 4.0, i % 2 == 0, i % 2 == 0 ? 7 : null),
                  "expected"));
    }
  }

  @Test
  void otherCompressionsAreNamed() {
    assertThatThrownBy(() -> ProblemFile.read(DATASETS.resolve("lz4.parquet")))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("lz4.parquet: row 1: cannot be read as Parquet: the compression LZ4")
        .hasMessageContaining("write the file with snappy, zstd, gzip or none");
  }

  @Test
  void damagedParquetIsRefusedAndNothingElse() throws IOException {
    Path file = directory.resolve("damaged.parquet");
    SplittableRandom random = new SplittableRandom(5);
    int refused = 0;
    for (String codec : List.of("none", "snappy", "zstd", "gzip")) {
      byte[] whole = Files.readAllBytes(DATASETS.resolve(codec + ".parquet"));
      for (int i = 0; i < 40; i++) {
        byte[] bytes = whole.clone();
        for (int flips = random.nextInt(1, 4); flips > 0; flips--) {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
        }
        Files.write(file, bytes);
        try {
          ProblemFile.read(file);
        } catch (InvalidInputException e) {
          assertThat(e).hasMessageStartingWith(file.toString());
          refused++;
        }
      }
      Files.write(file, java.util.Arrays.copyOf(whole, whole.length - 1));
      assertThatThrownBy(() -> ProblemFile.read(file)).hasMessageContaining("not a Parquet file");
      byte[] footer = whole.clone();
      footer[footer.length - 5] = 0x7f;
      Files.write(file, footer);
      assertThatThrownBy(() -> ProblemFile.read(file)).hasMessageContaining("a footer of");
    }
    assertThat(refused).isGreaterThan(30);
  }

  @Test
  void shardsAreReadInTheirOrder() throws IOException {
    write("train-00001-of-00002.jsonl", "c");
    write("train-00000-of-00002.jsonl", "a", "b");
    Files.writeString(directory.resolve("README.md"), "no data");
    assertThat(prompts(directory)).containsExactly("a", "b", "c");
    write("test-00000-of-00001.jsonl", "d");
    assertThatThrownBy(() -> ProblemFile.read(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("has the splits test, train; name one, such as")
        .hasMessageContaining(directory.resolve("test").toString());
    assertThat(prompts(directory.resolve("train"))).containsExactly("a", "b", "c");
    assertThat(prompts(directory.resolve("test"))).containsExactly("d");
    Files.delete(directory.resolve("train-00001-of-00002.jsonl"));
    assertThatThrownBy(() -> ProblemFile.read(directory.resolve("train")))
        .hasMessageContaining("train-00001-of-00002.jsonl: this shard is missing");
    write("train-00001-of-00002.jsonl", "c");
    Files.delete(directory.resolve("train-00000-of-00002.jsonl"));
    assertThatThrownBy(() -> ProblemFile.read(directory.resolve("train")))
        .hasMessageContaining("train-00000-of-00002.jsonl: this shard is missing");
  }

  @Test
  void directoriesAreReadInTheOrderOfNames() throws IOException {
    assertThatThrownBy(() -> ProblemFile.read(directory))
        .hasMessageContaining("has no file named *.jsonl or *.parquet");
    write("b.jsonl", "b");
    write("a.jsonl", "a");
    assertThat(prompts(directory)).containsExactly("a", "b");
  }

  @Test
  void answersMayBeLeftOutWhereRewardsUseOtherColumns() throws IOException {
    Path file = directory.resolve("tests.jsonl");
    Files.writeString(file, "{\"prompt\": \"a\", \"tests\": [1]}");
    assertThatThrownBy(() -> ProblemFile.read(file)).hasMessageContaining("\"answer\"");
    Problem problem = ProblemFile.read(file, ProblemFile.Answers.OPTIONAL).get(0);
    assertThat(problem.answer()).isEmpty();
    assertThat(problem.row()).isEqualTo("{\"prompt\": \"a\", \"tests\": [1]}");
  }
}
