package org.threegate.binding.generator;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns comments of the header into Javadoc. */
final class Javadoc {
  private static final int WIDTH = 100;
  private static final Pattern CODE = Pattern.compile("`([^`]+)`");
  private static final Pattern FIRST_STAR = Pattern.compile("(?m)^[ \\t]*\\*?[ \\t]?");

  private Javadoc() {}

  /**
   * A documentation comment.
   *
   * @param indent prefix of every line
   * @param paragraphs the description; the first one is never empty
   * @param tags block tags, each with its text
   */
  static String of(String indent, List<String> paragraphs, List<String> tags) {
    String oneLine = indent + "/** " + paragraphs.get(0) + " */\n";
    if (paragraphs.size() == 1 && tags.isEmpty() && oneLine.length() <= WIDTH) {
      return oneLine;
    }
    StringBuilder javadoc = new StringBuilder(indent + "/**\n");
    for (int i = 0; i < paragraphs.size(); i++) {
      javadoc.append(i == 0 ? "" : indent + " *\n");
      append(javadoc, indent, (i == 0 ? "" : "<p>") + paragraphs.get(i));
    }
    if (!tags.isEmpty()) {
      javadoc.append(indent).append(" *\n");
    }
    tags.forEach(tag -> append(javadoc, indent, tag));
    return javadoc.append(indent).append(" */\n").toString();
  }

  private static void append(StringBuilder javadoc, String indent, String text) {
    StringBuilder line = new StringBuilder(indent + " *");
    int empty = line.length();
    for (String word : text.split(" ")) {
      if (line.length() > empty && line.length() + 1 + word.length() > WIDTH) {
        javadoc.append(line).append('\n');
        line.setLength(empty);
      }
      line.append(' ').append(word);
    }
    javadoc.append(line).append('\n');
  }

  /** The paragraphs of a comment of C, as HTML; blank lines and list items separate them. */
  static List<String> paragraphs(String comment) {
    List<String> paragraphs = new ArrayList<>();
    String text = FIRST_STAR.matcher(comment).replaceAll("").strip();
    for (String paragraph : text.split("\\n[ \\t]*\\n|\\n(?=- )")) {
      if (!paragraph.isBlank()) {
        paragraphs.add(html(paragraph.strip().replaceAll("\\s+", " ")));
      }
    }
    return paragraphs;
  }

  /** C code within a sentence. */
  static String code(String c) {
    return c.matches("[^{}@\\\\]*") ? "{@code " + c + "}" : "<code>" + escaped(c) + "</code>";
  }

  private static String html(String text) {
    StringBuilder html = new StringBuilder();
    Matcher matcher = CODE.matcher(text);
    int from = 0;
    while (matcher.find()) {
      html.append(escaped(text.substring(from, matcher.start()))).append(code(matcher.group(1)));
      from = matcher.end();
    }
    return html.append(escaped(text.substring(from))).toString();
  }

  /**
   * Escapes text for Javadoc. A backslash could start a Unicode escape, and an at sign a block tag.
   */
  private static String escaped(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("@", "&#64;")
        .replace("{", "&#123;")
        .replace("}", "&#125;")
        .replace("\\", "&#92;");
  }
}
