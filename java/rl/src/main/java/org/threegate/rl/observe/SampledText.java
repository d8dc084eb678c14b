package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.run.PrintableText;

/** Bounds and escapes the texts of completions, which a model and a data set have written. */
final class SampledText {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  static final String CUT = " ...";
  private static final int MOST_TURNS = 1000;

  private SampledText() {}

  /** Returns the beginning of a text, at most so many characters of it. */
  static String bounded(String text, int most) {
    if (text.length() <= most) {
      return text;
    }
    int end = Character.isHighSurrogate(text.charAt(most - 1)) ? most - 1 : most;
    return text.substring(0, end) + CUT;
  }

  /** Returns the beginning of a text with visible escapes in it. Line ends stay line ends. */
  static String printable(String text, int most) {
    return Arrays.stream(bounded(text, most).split("\r?\n", -1))
        .map(PrintableText::of)
        .collect(Collectors.joining("\n"));
  }

  /** Returns the first turns of a completion, at most so many characters of them. */
  static List<SampledCompletion.Part> parts(SampledCompletion own, int most) {
    List<SampledCompletion.Part> parts = new ArrayList<>();
    int left = most;
    for (SampledCompletion.Part part : own.parts()) {
      if (left <= 0 || parts.size() == MOST_TURNS) {
        return parts;
      }
      parts.add(new SampledCompletion.Part(part.isEnvironment(), bounded(part.text(), left)));
      left -= part.text().length();
    }
    return parts;
  }

  /** Returns so many completions of a step, evenly spread over its prompts. */
  static List<SampledCompletion> spread(List<SampledCompletion> all, int most) {
    if (all.size() <= most) {
      return all;
    }
    List<SampledCompletion> some = new ArrayList<>();
    for (int i = 0; i < most; i++) {
      some.add(all.get((int) ((long) i * all.size() / most)));
    }
    return some;
  }

  /**
   * Writes a completion as JSON. One of several turns also has them.
   *
   * @param most the number of characters of all turns together
   * @param text bounds and escapes texts
   * @param name escapes the names of reward functions
   */
  static ObjectNode row(
      SampledCompletion own, int most, UnaryOperator<String> text, UnaryOperator<String> name) {
    ObjectNode row = MAPPER.createObjectNode();
    row.put("prompt", text.apply(own.prompt()));
    row.put("completion", text.apply(own.completion()));
    if (own.parts().size() > 1) {
      for (SampledCompletion.Part part : parts(own, most)) {
        row.withArrayProperty("turns")
            .addObject()
            .put("environment", part.isEnvironment())
            .put("text", text.apply(part.text()));
      }
    }
    ObjectNode rewards = row.putObject("rewards");
    own.rewards().forEach((function, value) -> put(rewards, name.apply(function), value));
    put(row, "reward", own.reward());
    put(row, "advantage", own.advantage());
    return row.put("length", own.tokens()).put("truncated", own.isTruncated());
  }

  private static void put(ObjectNode row, String name, double value) {
    if (Double.isFinite(value)) {
      row.put(name, value);
    } else {
      row.putNull(name);
    }
  }
}
