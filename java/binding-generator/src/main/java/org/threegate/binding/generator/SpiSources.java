package org.threegate.binding.generator;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Generates the sources that the core uses: functions, layouts of structs, constants. */
final class SpiSources {
  static final String PACKAGE = "org.threegate.spi";

  private SpiSources() {}

  /** The Java files of the package. */
  static List<SourceFile> of(Header header) {
    return List.of(
        SourceFile.java(PACKAGE, "NativeFunctions", functions(header)),
        SourceFile.java(PACKAGE, "Structs", structs(header)),
        SourceFile.java(PACKAGE, "Constants", constants(header)));
  }

  private static String functions(Header header) {
    return header.functions().stream()
        .map(function -> javadoc(function) + "  " + declaration(function) + ";\n")
        .collect(
            Collectors.joining(
                "\n",
                """
                /**
                 * The C functions of {@code threegate.h}, one method each. Addresses are longs, and nothing is
                 * checked. A method returns what its C function returns.
                 */
                public interface NativeFunctions {
                """,
                "}\n"));
  }

  private static String javadoc(Header.Function function) {
    List<String> paragraphs = new ArrayList<>();
    paragraphs.add("Calls " + Javadoc.code(function.name()) + ".");
    paragraphs.addAll(Javadoc.paragraphs(function.comment()));
    List<String> tags = new ArrayList<>();
    for (Header.Parameter parameter : function.parameters()) {
      tags.add(
          "@param "
              + JavaNames.variable(parameter.name())
              + " "
              + Javadoc.code(parameter.type().spelling() + " " + parameter.name()));
    }
    tags.add("@return " + Javadoc.code(function.result().spelling()));
    return Javadoc.of("  ", paragraphs, tags);
  }

  /** Result, name and parameters of a function's Java method. */
  static String declaration(Header.Function function) {
    return function.parameters().stream()
        .map(parameter -> parameter.type().java() + " " + JavaNames.variable(parameter.name()))
        .collect(
            Collectors.joining(
                ", ",
                function.result().java() + " " + JavaNames.variable(function.name()) + "(",
                ")"));
  }

  /** The parameters as arguments of a call that passes them on. */
  static String arguments(Header.Function function) {
    return function.parameters().stream()
        .map(parameter -> JavaNames.variable(parameter.name()))
        .collect(Collectors.joining(", "));
  }

  private static String structs(Header header) {
    StringBuilder java =
        new StringBuilder(
            """
            /**
             * Layouts of the structs of {@code threegate.h}: the size of each and the offsets of its fields, in
             * bytes. One class has them all, because a class for each would take a tenth of the jar.
             */
            public final class Structs {
              private Structs() {}
            """);
    for (Header.Struct struct : header.structs()) {
      String prefix = JavaNames.constant(struct.name()) + "_";
      java.append('\n')
          .append(javadoc("  ", "Size of " + Javadoc.code(struct.name()) + ".", struct.comment()))
          .append(number("  ", prefix + "SIZEOF", struct.bytes()));
      for (Header.Field field : struct.fields()) {
        java.append('\n')
            .append(
                javadoc(
                    "  ",
                    "Offset of "
                        + Javadoc.code(field.declaration())
                        + " in "
                        + Javadoc.code(struct.name())
                        + ".",
                    field.comment()))
            .append(number("  ", prefix + JavaNames.constant(field.name()), field.offset()));
      }
    }
    return java.append("}\n").toString();
  }

  private static String constants(Header header) {
    StringBuilder java =
        new StringBuilder(
            """
            /** The constants of {@code threegate.h}, without the prefix {@code TG_}. */
            public final class Constants {
            """);
    for (Header.Constant constant : header.constants()) {
      java.append(
              javadoc("  ", "Value of " + Javadoc.code(constant.name()) + ".", constant.comment()))
          .append(number("  ", JavaNames.constant(constant.name()), constant.value()))
          .append('\n');
    }
    return java.append("  private Constants() {}\n}\n").toString();
  }

  private static String javadoc(String indent, String subject, String comment) {
    List<String> paragraphs = new ArrayList<>();
    paragraphs.add(subject);
    paragraphs.addAll(Javadoc.paragraphs(comment));
    return Javadoc.of(indent, paragraphs, List.of());
  }

  private static String number(String indent, String name, int value) {
    return indent + "public static final int " + name + " = " + value + ";\n";
  }
}
