package org.threegate.rl.verifier;

import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.run.InvalidInputException;

/**
 * Where a reward function comes from, as configurations write it.
 *
 * <pre>{@code
 * Scorer scorer =
 *     RewardSource.of("style=command:python3 style.py").open(java.time.Duration.ofSeconds(5));
 * }</pre>
 *
 * @param name the name in metrics
 * @param kind the kind of the source
 * @param target a name of {@link RewardFunction}, a class, a command or an address
 */
public record RewardSource(String name, Kind kind, String target) {
  private static final Pattern NAMED = Pattern.compile("([A-Za-z_][A-Za-z0-9_-]*)=(.+)");
  private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|'([^']*)'|([^\\s\"']+)");

  /** Kinds of sources. */
  public enum Kind {
    /** A function that comes with the library. */
    LIBRARY(""),
    /** A class on the class path, with a constructor without parameters. */
    CLASS("class:"),
    /** A command, which {@link CommandScorer} asks. */
    COMMAND("command:"),
    /** A service, which {@link HttpScorer} asks. */
    HTTP("http");

    private final String prefix;

    Kind(String prefix) {
      this.prefix = prefix;
    }
  }

  /**
   * Parses a source.
   *
   * @param text {@code exact} or another name of {@link RewardFunction}, {@code class:NAME}, {@code
   *     command:PROGRAM ARGUMENTS}, or an address of http or https. {@code NAME=} before it sets
   *     the name in metrics
   * @return the source
   * @throws IllegalArgumentException for any other text
   */
  public static RewardSource of(String text) {
    Matcher named = NAMED.matcher(text);
    String source = named.matches() ? named.group(2) : text;
    Kind kind =
        source.matches("https?://.+")
            ? Kind.HTTP
            : source.startsWith(Kind.CLASS.prefix)
                ? Kind.CLASS
                : source.startsWith(Kind.COMMAND.prefix) ? Kind.COMMAND : Kind.LIBRARY;
    String target =
        kind == Kind.CLASS || kind == Kind.COMMAND
            ? source.substring(kind.prefix.length()).strip()
            : source;
    String standard =
        switch (kind) {
          case LIBRARY -> RewardFunction.of(target).label();
          case CLASS -> target.substring(target.lastIndexOf('.') + 1);
          case COMMAND -> "command";
          case HTTP -> "http";
        };
    if (target.isEmpty()) {
      throw new IllegalArgumentException("\"" + text + "\" names nothing after the colon");
    }
    return new RewardSource(named.matches() ? named.group(1) : standard, kind, target);
  }

  /** {@return whether the function compares with the answer of a problem, which must be there} */
  public boolean needsAnswers() {
    return kind == Kind.LIBRARY;
  }

  /**
   * Opens the reward function.
   *
   * @param limit the time for one attempt
   * @return the function. {@link BoundedVerifier} closes it
   * @throws InvalidInputException when the class or the command cannot be used
   */
  public Scorer open(Duration limit) {
    return switch (kind) {
      case LIBRARY -> RewardFunction.of(target).verifier();
      case CLASS -> instance();
      case COMMAND -> CommandScorer.start(words(), limit);
      case HTTP -> new HttpScorer(address(), limit);
    };
  }

  private URI address() {
    try {
      return URI.create(target);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("\"" + target + "\" is not an address", e);
    }
  }

  private List<String> words() {
    List<String> words = new ArrayList<>();
    Matcher word = WORD.matcher(target);
    while (word.find()) {
      words.add(
          Arrays.asList(word.group(1), word.group(2), word.group(3)).stream()
              .filter(part -> part != null)
              .findFirst()
              .orElseThrow());
    }
    return words;
  }

  private Scorer instance() {
    try {
      Class<?> type = Class.forName(target, true, Thread.currentThread().getContextClassLoader());
      return type.asSubclass(Scorer.class).getConstructor().newInstance();
    } catch (ClassNotFoundException e) {
      throw new InvalidInputException(
          "there is no class " + target + "; add it to the class path", e);
    } catch (ReflectiveOperationException | ClassCastException | LinkageError e) {
      throw new InvalidInputException(
          target
              + ": a reward function must be a public class that implements "
              + Scorer.class.getName()
              + " and has a public constructor without parameters",
          e);
    }
  }
}
