package org.threegate.testing;

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
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/** Extracts and compiles the usage examples in Javadoc, which are code in {@code <pre>}. */
public final class JavadocExamples {
  /** Matches an example. */
  public static final Pattern EXAMPLE =
      Pattern.compile("<pre>\\{@code\\n(.*?)\\n \\* }</pre>", Pattern.DOTALL);

  private JavadocExamples() {}

  /** Returns the sources of the library by path. */
  public static Map<String, String> sources(Predicate<String> wanted) throws IOException {
    Map<String, String> sources = new TreeMap<>();
    Path java = Path.of(System.getProperty("threegate.root"), "java");
    try (Stream<Path> files = Files.walk(java)) {
      for (Path file :
          files
              .filter(path -> path.toString().contains("src/main/java/org/threegate"))
              .filter(path -> path.toString().endsWith(".java"))
              .filter(path -> wanted.test(path.toString()))
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

  /**
   * Compiles all examples.
   *
   * @param imported packages to import besides those of the sources and some of the JDK
   * @param fields declarations of variables that examples may use
   * @param classes directory for class files
   * @return the number of examples
   */
  public static int compile(
      Map<String, String> sources, List<String> imported, String fields, Path classes) {
    String imports =
        Stream.concat(
                Stream.of(
                    "java.io",
                    "java.nio.file",
                    "java.time",
                    "java.util",
                    "java.util.concurrent",
                    "java.util.function"),
                sources.keySet().stream()
                    .map(
                        path ->
                            path.replaceAll(".*src/main/java/(.*)/\\w[\\w-]*\\.java", "$1")
                                .replace('/', '.'))
                    .filter(name -> !name.contains("binding") && !name.contains("cli")))
            .collect(
                Collectors.collectingAndThen(
                    Collectors.toList(), list -> Stream.concat(list.stream(), imported.stream())))
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
                            + fields
                            + "  static void run() throws Exception {\n"
                            + body
                            + "\n  }\n}\n")
                    .file());
          }
        });
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
    return units.size();
  }
}
