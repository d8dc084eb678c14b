package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.rl.study.BaseModel;
import org.threegate.rl.study.Corpus;
import org.threegate.testing.DocumentedProgram;
import org.threegate.testing.SharedData;

/** Tests that the programs of docs/training.md compile and train. */
class TrainingExampleTest {
  @TempDir Path directory;

  @Test
  void theProgramTrains() throws Exception {
    String base = SharedData.require("base").toString();
    String problems = SharedData.require("add-train.jsonl").toString();
    assertThat(DocumentedProgram.runNamed("Teach", "docs/training.md", directory, base, problems))
        .contains("1: reward ", "10: reward ")
        .containsPattern("[1-9][0-9]* of 16384 weights changed in bf16");
  }

  @Test
  void theProgramWithAnEnvironmentTrains() throws Exception {
    Path base = directory.resolve("base");
    BaseModel.extract(base);
    Path problems = directory.resolve("problems.jsonl");
    Files.write(
        problems,
        Corpus.sums(Corpus.TUNING).stream()
            .map(
                sum ->
                    String.format(
                        "{\"prompt\": \"%s\", \"answer\": \"%s\"}", sum.prompt(), sum.answer()))
            .toList());
    assertThat(
            DocumentedProgram.runNamed(
                "SecondChance",
                "docs/training.md",
                directory,
                base.toString(),
                problems.toString()))
        .containsPattern("\\b1: right 0\\.[0-9]{3}, turns 1\\.[0-9]{3}")
        .contains("5: right 0.");
  }
}
