package org.threegate.binding.generator;

import java.util.Arrays;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import javax.lang.model.SourceVersion;

/** Converts names of the header to Java names. */
final class JavaNames {
  /**
   * Methods that every binding has in addition to those of the header, and methods of {@code
   * Object}.
   */
  private static final Set<String> TAKEN =
      Set.of(
          "name",
          "addressOf",
          "viewOf",
          "clone",
          "equals",
          "finalize",
          "getClass",
          "hashCode",
          "notify",
          "notifyAll",
          "toString",
          "wait");

  /** Keywords of C that are not keywords of Java. */
  private static final Set<String> KEYWORDS_OF_C =
      Set.of(
          "auto",
          "extern",
          "inline",
          "register",
          "restrict",
          "signed",
          "sizeof",
          "struct",
          "typedef",
          "union",
          "unsigned");

  private JavaNames() {}

  /** {@code tg_svd_track} becomes {@code svdTrack}, and {@code row_stride} {@code rowStride}. */
  static String variable(String name) {
    String words = type(name);
    return words.substring(0, 1).toLowerCase(Locale.ROOT) + words.substring(1);
  }

  /** {@code tg_svd_options} becomes {@code SvdOptions}. */
  static String type(String name) {
    return Arrays.stream(withoutPrefix(name).split("_"))
        .map(word -> word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1))
        .collect(Collectors.joining());
  }

  /** {@code row_stride} becomes {@code ROW_STRIDE}, and {@code TG_F64} {@code F64}. */
  static String constant(String name) {
    return withoutPrefix(name).toUpperCase(Locale.ROOT);
  }

  /** Returns whether a word is reserved in C or Java. */
  static boolean isKeyword(String word) {
    return SourceVersion.isKeyword(word) || KEYWORDS_OF_C.contains(word);
  }

  /** Returns whether a name can be a parameter or a method of the generated classes. */
  static boolean isFree(String variable) {
    return !isKeyword(variable) && !TAKEN.contains(variable);
  }

  private static String withoutPrefix(String name) {
    return name.startsWith("tg_") || name.startsWith("TG_") ? name.substring(3) : name;
  }
}
