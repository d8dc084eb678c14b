package org.threegate.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads {@code threegate.h}: the functions with the number of their parameters, and the structs
 * with C's layout of their fields.
 */
public final class Header {
  private static final Pattern FUNCTION =
      Pattern.compile("TG_API\\s+\\w+\\s+(tg_\\w+)\\(([^)]*)\\);");
  private static final Pattern STRUCT =
      Pattern.compile("typedef struct (tg_\\w+) \\{(.*?)\\} \\1;", Pattern.DOTALL);
  private static final Pattern CONSTANT = Pattern.compile("#define (TG_\\w+) (\\d+)");

  private final String text;

  private Header(String text) {
    this.text = text;
  }

  /** Reads the header of this checkout. */
  public static Header read() throws IOException {
    Path path =
        Path.of(System.getProperty("threegate.root"), "native/include/threegate/threegate.h");
    // Comments on separate lines are removed with these lines, so that lists of constants have no
    // gaps.
    return new Header(
        Files.readString(path)
            .replaceAll("(?ms)^[ \t]*/\\*.*?\\*/[ \t]*\n", "")
            .replaceAll("(?s)/\\*.*?\\*/", ""));
  }

  /** Returns the number of parameters by function. */
  public Map<String, Integer> functions() {
    Map<String, Integer> functions = new LinkedHashMap<>();
    Matcher matcher = FUNCTION.matcher(text);
    while (matcher.find()) {
      String parameters = matcher.group(2).strip();
      functions.put(matcher.group(1), parameters.equals("void") ? 0 : parameters.split(",").length);
    }
    return functions;
  }

  /** Returns the value of a constant. */
  public int constant(String name) {
    return Optional.ofNullable(constants().get(name))
        .orElseThrow(() -> new IllegalArgumentException("no constant " + name));
  }

  /** Returns the values of all constants by name, in the order of the header. */
  public Map<String, Integer> constants() {
    Map<String, Integer> constants = new LinkedHashMap<>();
    Matcher matcher = CONSTANT.matcher(text);
    while (matcher.find()) {
      constants.put(matcher.group(1), Integer.parseInt(matcher.group(2)));
    }
    return constants;
  }

  /** Returns the names of the constants that directly follow a typedef of {@code int32_t}. */
  public List<String> constantsOf(String typedef) {
    String after = text.substring(text.indexOf("typedef int32_t " + typedef + ";"));
    return after
        .lines()
        .skip(1)
        .takeWhile(line -> line.startsWith("#define"))
        .map(line -> line.split(" ")[1])
        .toList();
  }

  /**
   * Returns the offset of each field by {@code struct.field}, and the size of each struct by {@code
   * struct}.
   */
  public Map<String, Integer> layouts() {
    Map<String, Integer> layouts = new LinkedHashMap<>();
    Matcher struct = STRUCT.matcher(text);
    while (struct.find()) {
      String name = struct.group(1);
      int offset = 0;
      for (String declaration : struct.group(2).split(";")) {
        if (declaration.isBlank()) {
          continue;
        }
        String[] words = declaration.replace("*", "* ").strip().split("\\s+");
        String field = words[words.length - 1];
        int count = 1;
        int bracket = field.indexOf('[');
        if (bracket >= 0) {
          String length = field.substring(bracket + 1, field.indexOf(']'));
          count = Character.isDigit(length.charAt(0)) ? Integer.parseInt(length) : constant(length);
          field = field.substring(0, bracket);
        }
        String type = declaration.contains("*") ? "*" : words[words.length - 2];
        int alignment = alignment(type);
        offset = (offset + alignment - 1) / alignment * alignment;
        layouts.put(name + "." + field, offset);
        offset += size(type, layouts) * count;
      }
      layouts.put(name, (offset + 7) / 8 * 8);
    }
    return layouts;
  }

  private static int alignment(String type) {
    return switch (type) {
      case "char" -> 1;
      case "int32_t", "tg_dtype", "tg_status" -> 4;
      default -> 8;
    };
  }

  private static int size(String type, Map<String, Integer> layouts) {
    return switch (type) {
      case "char" -> 1;
      case "int32_t", "tg_dtype", "tg_status" -> 4;
      case "int64_t", "double", "*" -> 8;
      default -> layouts.get(type);
    };
  }
}
