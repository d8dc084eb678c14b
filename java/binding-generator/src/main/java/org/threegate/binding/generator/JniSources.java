package org.threegate.binding.generator;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Generates the JNI binding: declarations from which JavaCPP generates the C++ shim, a class that
 * forwards calls to them, and a header with which the C++ compiler checks layouts and constants.
 */
final class JniSources {
  static final String PACKAGE = "org.threegate.binding.jni";

  private JniSources() {}

  /** The Java files of the package, and {@code layout.h}, which the shim includes. */
  static List<SourceFile> of(Header header) {
    return List.of(
        SourceFile.java(PACKAGE, "Functions", declarations(header)),
        SourceFile.java(PACKAGE, "JniFunctions", calls(header)),
        new SourceFile("layout.h", layout(header)));
  }

  private static String layout(Header header) {
    StringBuilder c =
        new StringBuilder(
            """
            /* Generated from threegate.h: the layouts and constants that Java relies on. */
            #include <stddef.h>

            """);
    for (Header.Struct struct : header.structs()) {
      c.append(check("sizeof(" + struct.name() + ")", struct.bytes()));
      for (Header.Field field : struct.fields()) {
        c.append(check("offsetof(" + struct.name() + ", " + field.name() + ")", field.offset()));
      }
    }
    header.constants().forEach(constant -> c.append(check(constant.name(), constant.value())));
    return c.toString();
  }

  private static String check(String expression, int value) {
    return "static_assert(" + expression + " == " + value + ", \"" + expression + "\");\n";
  }

  private static String declarations(Header header) {
    return header.functions().stream()
        .map(
            function ->
                "  @Name(\"%s\")\n  static native %s %s(%s);\n"
                    .formatted(
                        function.name(),
                        function.result().java(),
                        JavaNames.variable(function.name()),
                        function.parameters().stream()
                            .map(JniSources::parameter)
                            .collect(Collectors.joining(", "))))
        .collect(
            Collectors.joining(
                "\n",
                """
                import org.bytedeco.javacpp.annotation.Cast;
                import org.bytedeco.javacpp.annotation.Name;
                import org.bytedeco.javacpp.annotation.NoException;
                import org.bytedeco.javacpp.annotation.Platform;

                /**
                 * The C functions. JavaCPP generates the shim from these declarations, and the C++ compiler checks
                 * each of them against the header.
                 */
                @Platform(
                    include = {"threegate/threegate.h", "buffers.h", "layout.h"},
                    link = "threegate")
                @NoException
                final class Functions {
                  private Functions() {}

                """,
                "}\n"));
  }

  private static String parameter(Header.Parameter parameter) {
    String cast =
        parameter.type() instanceof CType.Pointer pointer
            ? "@Cast(\"" + pointer.spelling() + "\") "
            : "";
    return cast + parameter.type().java() + " " + JavaNames.variable(parameter.name());
  }

  private static String calls(Header header) {
    return header.functions().stream()
        .map(
            function ->
                """
                  @Override
                  public %s {
                    return Functions.%s(%s);
                  }
                """
                    .formatted(
                        SpiSources.declaration(function),
                        JavaNames.variable(function.name()),
                        SpiSources.arguments(function)))
        .collect(
            Collectors.joining(
                "\n",
                """
                import org.threegate.spi.NativeFunctions;

                /** Passes each call on to the shim. */
                abstract class JniFunctions implements NativeFunctions {
                """,
                "}\n"));
  }
}
