package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.DocumentedProgram;
import org.threegate.testing.SharedData;

/** Tests that the program of docs/training.md compiles and trains. */
class TrainingExampleTest {
  @TempDir Path directory;

  @Test
  void theProgramTrains() throws Exception {
    String base = SharedData.require("base").toString();
    String problems = SharedData.require("add-train.jsonl").toString();
    assertThat(DocumentedProgram.run("docs/training.md", directory, base, problems))
        .contains("1: reward ", "10: reward ")
        .containsPattern("[1-9][0-9]* of 16384 weights changed in bf16");
  }
}
