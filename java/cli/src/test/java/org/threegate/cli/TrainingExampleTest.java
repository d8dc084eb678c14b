package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.SharedData;

/** The program of docs/training.md compiles, and does what it says. */
class TrainingExampleTest {
  @TempDir Path directory;

  @Test
  void theProgramTrains() throws Exception {
    Path root = Path.of(System.getProperty("threegate.root"));
    Matcher program =
        Pattern.compile("```java\\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(root.resolve("docs/training.md")));
    assertThat(program.find()).isTrue();
    Path source = Files.writeString(directory.resolve("Teach.java"), program.group(1));
    int compiled =
        ToolProvider.getSystemJavaCompiler()
            .run(
                null,
                null,
                null,
                "-proc:none",
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                directory.toString(),
                source.toString());
    assertThat(compiled).isZero();
    String base = SharedData.require("base").toString();
    String problems = SharedData.require("add-train.jsonl").toString();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PrintStream before = System.out;
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    try (URLClassLoader loader = new URLClassLoader(new URL[] {directory.toUri().toURL()})) {
      loader
          .loadClass("Teach")
          .getMethod("main", String[].class)
          .invoke(null, (Object) new String[] {base, problems});
    } finally {
      System.setOut(before);
    }
    assertThat(out.toString(StandardCharsets.UTF_8))
        .contains("1: reward ", "10: reward ")
        .containsPattern("[1-9][0-9]* of 16384 weights changed in bf16");
  }
}
