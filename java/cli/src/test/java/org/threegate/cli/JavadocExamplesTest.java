package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Usage examples in Javadoc compile, and the classes that one begins with have one. */
class JavadocExamplesTest {
  private static final Pattern EXAMPLE =
      Pattern.compile("<pre>\\{@code\\n(.*?)\\n \\* }</pre>", Pattern.DOTALL);
  private static final Pattern BEGINS_WITH =
      Pattern.compile("^public final class (\\w+)(?! extends)", Pattern.MULTILINE);
  private static final List<String> API =
      List.of(
          "kernel",
          "buffer",
          "checkpoint",
          "measure",
          "objective",
          "optimizer",
          "patch",
          "policy",
          "report",
          "study",
          "task",
          "verifier");

  /** What an example may use without saying where it comes from. */
  private static final String FIELDS =
      """
        static org.threegate.kernel.Context context;
        static org.threegate.kernel.Control control;
        static org.threegate.buffer.NativeBuffer buffer;
        static org.threegate.report.ComparisonReport report;
        static org.threegate.report.ConsensusReport consensusReport;
        static org.threegate.report.CurvatureReport curvatureReport;
        static org.threegate.report.StudyReport studyReport;
        static org.threegate.analysis.study.StudyResult result;
        static org.threegate.analysis.measure.Comparison.Outcome outcome;
        static org.threegate.rl.policy.Decoder decoder;
        static org.threegate.rl.policy.Padded rows;
        static org.threegate.rl.train.Trainer trainer;
        static org.threegate.rl.event.TrainingObserver lines;
        static org.threegate.rl.policy.Tokenizer tokenizer;
        static org.threegate.rl.verifier.BoundedVerifier verifier;
        static org.threegate.rl.rollout.Rollouts rollouts;
        static org.threegate.rl.train.TrainingOptions options;
        static List<org.threegate.rl.task.Problem> problems;
        static org.bytedeco.pytorch.Tensor tokens;
        static org.bytedeco.pytorch.Tensor mask;
        static Path base;
        static Path tuned;
        static Path directory;
      """;

  @TempDir Path classes;

  private static Map<String, String> sources() throws IOException {
    Map<String, String> sources = new TreeMap<>();
    Path java = Path.of(System.getProperty("threegate.root"), "java");
    try (Stream<Path> files = Files.walk(java)) {
      for (Path file :
          files
              .filter(path -> path.toString().contains("src/main/java/org/threegate"))
              .filter(path -> path.toString().endsWith(".java"))
              .toList()) {
        sources.put(file.toString(), Files.readString(file));
      }
    }
    return sources;
  }

  private record Source(String name, String text) {
    JavaFileObject file() {
      return new SimpleJavaFileObject(
          URI.create("string:///" + name + ".java"), JavaFileObject.Kind.SOURCE) {
        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
          return text;
        }
      };
    }
  }

  @Test
  void examplesCompile() throws IOException {
    Map<String, String> sources = sources();
    String imports =
        Stream.concat(
                Stream.of(
                    "java.io", "java.nio.file", "java.time", "java.util", "java.util.function"),
                sources.keySet().stream()
                    .map(
                        path ->
                            path.replaceAll(".*src/main/java/(.*)/\\w[\\w-]*\\.java", "$1")
                                .replace('/', '.'))
                    .filter(name -> !name.contains("binding") && !name.contains("cli")))
            .distinct()
            .map(name -> "import " + name + ".*;\n")
            .collect(Collectors.joining());
    List<JavaFileObject> units = new ArrayList<>();
    sources.forEach(
        (path, text) -> {
          Matcher example = EXAMPLE.matcher(text);
          while (example.find()) {
            String name = "Example" + units.size();
            String body = example.group(1).replaceAll("(?m)^ \\* ?", "");
            units.add(
                new Source(
                        name,
                        imports
                            + "// "
                            + path
                            + "\n"
                            + "class "
                            + name
                            + " {\n"
                            + FIELDS
                            + "  static void run() throws Exception {\n"
                            + body
                            + "\n  }\n}\n")
                    .file());
          }
        });
    assertThat(units).hasSizeGreaterThan(8);
    StringWriter messages = new StringWriter();
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    boolean compiled =
        compiler
            .getTask(
                messages,
                null,
                null,
                List.of(
                    "-d",
                    classes.toString(),
                    "-cp",
                    System.getProperty("java.class.path"),
                    "-proc:none"),
                null,
                units)
            .call();
    assertThat(compiled).as(messages.toString()).isTrue();
  }

  @Test
  void theClassesThatOneBeginsWithHaveAnExample() throws IOException {
    TreeSet<String> without = new TreeSet<>();
    sources()
        .forEach(
            (path, text) -> {
              Matcher type = BEGINS_WITH.matcher(text);
              if (API.stream().anyMatch(name -> path.contains("/" + name + "/"))
                  && type.find()
                  && !text.contains("Exception extends")
                  && !EXAMPLE.matcher(text).find()) {
                without.add(type.group(1));
              }
            });
    assertThat(without).isEmpty();
  }
}
