package org.threegate.checkpoint.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.threegate.checkpoint.NamePattern;
import org.threegate.run.InvalidInputException;

/**
 * PEFT's {@code rank_pattern} or {@code alpha_pattern}: numbers for modules whose names end with a
 * match of a pattern, as PEFT's {@code get_pattern_key} finds them: {@code (.*\.)?(PATTERN)$}. The
 * first pattern that matches counts.
 */
final class ModulePatterns {
  private static final int MOST_PATTERNED =
      100; // the limit for regular expressions; plain names are cheap

  static final ModulePatterns NONE = new ModulePatterns();

  private record Rule(Predicate<String> module, double value) {}

  private final List<Rule> rules = new ArrayList<>();

  private ModulePatterns() {}

  /**
   * Reads patterns.
   *
   * @param where file of the patterns, named in errors
   */
  static ModulePatterns of(JsonNode patterns, Path where) {
    ModulePatterns all = new ModulePatterns();
    int patterned = 0;
    for (Map.Entry<String, JsonNode> field : patterns.properties()) {
      String key = field.getKey();
      Predicate<String> module;
      if (key.chars().allMatch(c -> c == '.' || c == '_' || Character.isLetterOrDigit(c))) {
        module = name -> endsWith(name, key);
      } else {
        if (++patterned > MOST_PATTERNED) {
          throw new InvalidInputException(
              where + ": more than " + MOST_PATTERNED + " regular expressions for modules");
        }
        module = NamePattern.of("(?:.*\\.)?(?:" + key + ")", where.toString())::matches;
      }
      all.rules.add(new Rule(module, field.getValue().asDouble()));
    }
    return all;
  }

  Optional<Double> of(String module) {
    return rules.stream().filter(rule -> rule.module().test(module)).map(Rule::value).findFirst();
  }

  /** Returns whether a name ends with a key, in which a dot stands for any character. */
  private static boolean endsWith(String name, String key) {
    int begin = name.length() - key.length();
    if (begin < 0 || begin > 0 && name.charAt(begin - 1) != '.') {
      return false;
    }
    for (int i = 0; i < key.length(); i++) {
      if (key.charAt(i) != '.' && key.charAt(i) != name.charAt(begin + i)) {
        return false;
      }
    }
    return true;
  }
}
