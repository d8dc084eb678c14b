package org.threegate.binding.generator;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Name;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.io.TempDir;

/**
 * Tests the generated code, which is compiled with all warnings and Javadoc checks and inspected by
 * reflection.
 */
class GeneratedCodeTest {
  private static final String BINDING =
      """
      package org.threegate.binding.ffm;

      class DynamicLibrary {
        java.lang.invoke.MethodHandle function(
            String name, java.lang.foreign.FunctionDescriptor descriptor) {
          throw new UnsupportedOperationException(name + descriptor);
        }

        static RuntimeException rethrow(Throwable e) {
          return new IllegalStateException(e);
        }
      }
      """;

  @TempDir Path directory;

  @Test
  void functionsBecomeMethodsOfIntLongAndDouble() throws Exception {
    try (URLClassLoader classes = compiled("spi", PlantedHeader.EVERY_KIND)) {
      assertThat(signatures(classes.loadClass("org.threegate.spi.NativeFunctions")))
          .containsExactlyInAnyOrder(
              "int nothing()",
              "int everything(long, long, long, int, long, double, double, long)",
              "int everything2(long)",
              "long longResult(int)",
              "double doubleResult(long)");
    }
  }

  @Test
  void structsBecomeSizesAndOffsets() throws Exception {
    try (URLClassLoader classes = compiled("spi", PlantedHeader.EVERY_KIND)) {
      assertThat(numbers(classes.loadClass("org.threegate.spi.Structs")))
          .containsEntry("PAIR_SIZEOF", 8)
          .containsEntry("PAIR_FIRST", 0)
          .containsEntry("PAIR_SECOND", 4)
          .containsEntry("EVERY_FIELD_SIZEOF", 80)
          .containsEntry("EVERY_FIELD_SIZE", 0)
          .containsEntry("EVERY_FIELD_PAIRS", 8)
          .containsEntry("EVERY_FIELD_COUNTS", 40)
          .containsEntry("EVERY_FIELD_TEXT", 52)
          .containsEntry("EVERY_FIELD_TOTAL", 72)
          .hasSize(13);
    }
  }

  @Test
  void constantsBecomeNumbers() throws Exception {
    try (URLClassLoader classes = compiled("spi", PlantedHeader.EVERY_KIND)) {
      assertThat(numbers(classes.loadClass("org.threegate.spi.Constants")))
          .isEqualTo(Map.of("FINE", 0, "BROKEN", -1, "LENGTH", 16));
    }
  }

  @Test
  void commentsBecomeJavadoc() throws Exception {
    write("spi", PlantedHeader.EVERY_KIND);
    assertThat(generated("org/threegate/spi/Structs.java"))
        .contains(
            """
              /**
               * Size of {@code tg_pair}.
               *
               * <p>A pair of &#123;numbers&#125;.
               *
               * <p>Its second &#64;paragraph has a &#92; and {@code code}:
               *
               * <p>- an item
               *
               * <p>- another item, longer than a line of Javadoc may be, so that it is broken between two of
               * its words
               */
              public static final int PAIR_SIZEOF = 8;
            """)
        .contains("  /** Offset of {@code tg_pair pairs} in {@code tg_every_field}. */\n")
        .contains("   * <p>Above it.\n   */\n  public static final int EVERY_FIELD_SHARE = 32;\n");
    assertThat(generated("org/threegate/spi/Constants.java"))
        .contains("   * <p>less than {@code tg_fine} &amp; worse\n");
    assertThat(generated("org/threegate/spi/NativeFunctions.java"))
        .contains("   * @param rowCount {@code int64_t row_count}\n")
        .contains(
            """
              /**
               * Calls {@code tg_everything2}.
               *
               * <p>Has all kinds of them; shared with the next one.
               *
               * @param masks {@code const uint64_t* const* masks}
               * @return {@code tg_state}
               */
              int everything2(long masks);
            """);
  }

  @Test
  void theShimIsDeclaredWithTheTypesOfC() throws Exception {
    try (URLClassLoader classes = compiled("jni", PlantedHeader.EVERY_KIND)) {
      Class<?> functions = classes.loadClass("org.threegate.binding.jni.Functions");
      Map<String, String> declared = new TreeMap<>();
      for (Method method : functions.getDeclaredMethods()) {
        declared.put(
            method.getAnnotation(Name.class).value()[0],
            Arrays.stream(method.getParameters())
                .map(
                    parameter ->
                        parameter.isAnnotationPresent(Cast.class)
                            ? parameter.getAnnotation(Cast.class).value()[0]
                            : parameter.getType().getName())
                .collect(Collectors.joining(", ", method.getReturnType() + "(", ")")));
      }
      assertThat(declared)
          .isEqualTo(
              Map.of(
                  "tg_nothing", "int()",
                  "tg_everything",
                      "int(tg_handle*, const tg_every_field*, tg_handle**, int, long, double,"
                          + " double, void*)",
                  "tg_everything2", "int(const uint64_t* const*)",
                  "tg_long_result", "long(int)",
                  "tg_double_result", "double(const char*)"));
      assertThat(signatures(classes.loadClass("org.threegate.binding.jni.JniFunctions")))
          .hasSize(5)
          .contains("int everything(long, long, long, int, long, double, double, long)");
    }
  }

  @Test
  void handlesHaveTheSignaturesOfC() throws Exception {
    write("ffm", PlantedHeader.EVERY_KIND);
    assertThat(generated("org/threegate/binding/ffm/FfmFunctions.java"))
        .contains(
            "Map.entry(\"tg_everything\", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG,"
                + " JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_DOUBLE, JAVA_DOUBLE, JAVA_LONG))")
        .contains("Map.entry(\"tg_nothing\", FunctionDescriptor.of(JAVA_INT))")
        .contains("Map.entry(\"tg_long_result\", FunctionDescriptor.of(JAVA_LONG, JAVA_INT))")
        .contains(
            "class LongResult {\n    static final MethodHandle HANDLE = bind(\"tg_long_result\");")
        .contains("return (double) DoubleResult.HANDLE.invokeExact(text);");
  }

  /** GraalVM reads the signatures of C functions and of those that find them. */
  @Test
  void metadataHasEverySignatureOnce() throws Exception {
    write("ffm-metadata", PlantedHeader.EVERY_KIND);
    assertThat(generated(FfmSources.METADATA))
        .contains(
            "{\"returnType\": \"jint\", \"parameterTypes\": [\"jlong\", \"jlong\", \"jlong\","
                + " \"jint\", \"jlong\", \"jdouble\", \"jdouble\", \"jlong\"]}")
        .contains("{\"returnType\": \"void*\", \"parameterTypes\": [\"void*\", \"jint\"]}")
        .containsOnlyOnce("{\"returnType\": \"jint\", \"parameterTypes\": []}")
        .endsWith("    ]\n  }\n}\n");
  }

  @Test
  @Tag("binding")
  @EnabledForJreRange(min = JRE.JAVA_22)
  void handlesCompile() throws Exception {
    Files.createDirectories(directory.resolve("sources/org/threegate/binding/ffm"));
    Files.writeString(
        directory.resolve("sources/org/threegate/binding/ffm/DynamicLibrary.java"), BINDING);
    try (URLClassLoader classes = compiled("ffm", PlantedHeader.EVERY_KIND)) {
      // One method for each function, beside the one that binds them.
      assertThat(signatures(classes.loadClass("org.threegate.binding.ffm.FfmFunctions")))
          .filteredOn(signature -> !signature.contains(" bind("))
          .hasSize(5)
          .contains("int everything(long, long, long, int, long, double, double, long)");
    }
  }

  /** The C++ compiler accepts the generated checks, and rejects checks of other numbers. */
  @Test
  void theCompilerChecksLayoutsAndConstants() throws Exception {
    write("jni", PlantedHeader.EVERY_KIND);
    Files.writeString(directory.resolve("planted.h"), PlantedHeader.text(PlantedHeader.EVERY_KIND));
    Path layout = directory.resolve("sources/layout.h");
    String right = Files.readString(layout);
    assertThat(compilerAccepts(right)).isTrue();
    for (String check :
        List.of(
            "sizeof(tg_pair) == 8", "offsetof(tg_every_field, total) == 72", "TG_BROKEN == -1")) {
      assertThat(right).contains(check);
      assertThat(compilerAccepts(right.replace(check, check + "1"))).as(check).isFalse();
    }
  }

  /** Each function and struct of the library has a counterpart with valid Javadoc. */
  @Test
  void theHeaderOfTheLibraryIsMirrored() throws Exception {
    Path path =
        Path.of(System.getProperty("threegate.root"), "native/include/threegate/threegate.h");
    Main.main(new String[] {"spi", path.toString(), directory.resolve("sources").toString()});
    String declared = Files.readString(path).replaceAll("(?s)/\\*.*?\\*/", "");
    try (URLClassLoader classes = compile()) {
      assertThat(classes.loadClass("org.threegate.spi.NativeFunctions").getDeclaredMethods())
          .hasSize(declared.split("TG_API (int32_t|tg_status) ", -1).length - 1);
      assertThat(numbers(classes.loadClass("org.threegate.spi.Structs")).keySet())
          .filteredOn(name -> name.endsWith("_SIZEOF"))
          .hasSize(declared.split("typedef struct \\w+ \\{", -1).length - 1);
    }
  }

  /** Unchanged files keep their modification time, so that they are not compiled again. */
  @Test
  void unchangedFilesAreNotWritten() throws Exception {
    write("spi", PlantedHeader.EVERY_KIND);
    Path constants = directory.resolve("sources/org/threegate/spi/Constants.java");
    Path structs = directory.resolve("sources/org/threegate/spi/Structs.java");
    FileTime old = FileTime.fromMillis(0);
    Files.setLastModifiedTime(constants, old);
    Files.setLastModifiedTime(structs, old);
    write("spi", PlantedHeader.EVERY_KIND.replace("TG_FINE 0", "TG_FINE 5"));
    assertThat(Files.getLastModifiedTime(structs)).isEqualTo(old);
    assertThat(Files.getLastModifiedTime(constants)).isNotEqualTo(old);
  }

  private void write(String part, String declarations) throws IOException {
    Path header = directory.resolve("planted.h");
    Files.writeString(header, PlantedHeader.text(declarations));
    Main.main(new String[] {part, header.toString(), directory.resolve("sources").toString()});
  }

  private String generated(String path) throws IOException {
    return Files.readString(directory.resolve("sources").resolve(path));
  }

  /** Compiles a binding together with the interface that it implements. */
  private URLClassLoader compiled(String part, String declarations) throws IOException {
    write("spi", declarations);
    write(part, declarations);
    return compile();
  }

  private URLClassLoader compile() throws IOException {
    Path sources = directory.resolve("sources");
    List<String> options =
        List.of(
            "-Xlint:all,-processing,-options,-path",
            "-Xdoclint:all/protected",
            "-Werror",
            "-parameters",
            "-d",
            directory.resolve("classes").toString());
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
        Stream<Path> found = Files.walk(sources)) {
      List<Path> java = found.filter(path -> path.toString().endsWith(".java")).toList();
      boolean succeeded =
          compiler
              .getTask(
                  messages,
                  files,
                  null,
                  options,
                  null,
                  files.getJavaFileObjectsFromPaths(new ArrayList<>(java)))
              .call();
      assertThat(succeeded).as(messages.toString()).isTrue();
    }
    return new URLClassLoader(
        new URL[] {directory.resolve("classes").toUri().toURL()}, getClass().getClassLoader());
  }

  private boolean compilerAccepts(String layout) throws Exception {
    Files.writeString(directory.resolve("sources/layout.h"), layout);
    Path program = directory.resolve("checks.cpp");
    Files.writeString(program, "#include \"planted.h\"\n#include \"sources/layout.h\"\n");
    return new ProcessBuilder(
                "g++",
                "-std=c++17",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-fsyntax-only",
                program.toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("checks.log").toFile())
            .start()
            .waitFor()
        == 0;
  }

  private static List<String> signatures(Class<?> type) {
    return Arrays.stream(type.getDeclaredMethods())
        .map(
            method ->
                method.getReturnType()
                    + " "
                    + method.getName()
                    + Arrays.stream(method.getParameterTypes())
                        .map(Class::getName)
                        .collect(Collectors.joining(", ", "(", ")")))
        .toList();
  }

  private static Map<String, Integer> numbers(Class<?> type) throws IllegalAccessException {
    Map<String, Integer> numbers = new TreeMap<>();
    for (java.lang.reflect.Field field : type.getDeclaredFields()) {
      numbers.put(field.getName(), field.getInt(null));
    }
    return numbers;
  }
}
