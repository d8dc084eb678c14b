package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;

/** Compiles and runs the Java program in a page of the documentation. */
public final class DocumentedProgram {
  private static final Pattern PROGRAM = Pattern.compile("```java\\n(.*?)```", Pattern.DOTALL);
  private static final Pattern NAME = Pattern.compile("public class (\\w+)");

  private DocumentedProgram() {}

  /**
   * Runs the first program of a page.
   *
   * @param page path of the page, relative to the root of the repository
   * @param directory directory for class files
   * @return the output of the program
   */
  public static String run(String page, Path directory, String... arguments)
      throws IOException, ReflectiveOperationException {
    return runNamed("\\w+", page, directory, arguments);
  }

  /**
   * Runs a program of a page.
   *
   * @param wanted name of its class, as a regular expression
   * @param page path of the page, relative to the root of the repository
   * @param directory directory for class files
   * @return the output of the program
   */
  public static String runNamed(String wanted, String page, Path directory, String... arguments)
      throws IOException, ReflectiveOperationException {
    Path root = Path.of(System.getProperty("threegate.root"));
    Matcher program = PROGRAM.matcher(Files.readString(root.resolve(page)));
    Matcher name;
    do {
      assertThat(program.find()).as(page + " has a program " + wanted).isTrue();
      name = NAME.matcher(program.group(1));
    } while (!name.find() || !name.group(1).matches(wanted));
    Path source = Files.writeString(directory.resolve(name.group(1) + ".java"), program.group(1));
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
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PrintStream before = System.out;
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    try (URLClassLoader loader = new URLClassLoader(new URL[] {directory.toUri().toURL()})) {
      loader
          .loadClass(name.group(1))
          .getMethod("main", String[].class)
          .invoke(null, (Object) arguments);
    } finally {
      System.setOut(before);
    }
    return out.toString(StandardCharsets.UTF_8);
  }
}
