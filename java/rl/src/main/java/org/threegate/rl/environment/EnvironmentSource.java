package org.threegate.rl.environment;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.threegate.run.InvalidInputException;

/**
 * Where an environment comes from, as configurations write it.
 *
 * <pre>{@code
 * Environment environment = EnvironmentSource.of("calculator").open();
 * }</pre>
 *
 * @param name the name in metrics
 * @param target the name of an environment of the library, or {@code class:} and a class
 */
public record EnvironmentSource(String name, String target) {
  private static final String CLASS = "class:";
  private static final Map<String, Supplier<Environment>> LIBRARY =
      new TreeMap<>(Map.of("calculator", Calculator::new, "countdown", Countdown::new));

  /**
   * Parses a source.
   *
   * @param text {@code calculator}, {@code countdown} or {@code class:NAME}, which is a class on
   *     the class path with a constructor without parameters
   * @return the source
   * @throws IllegalArgumentException for any other text
   */
  public static EnvironmentSource of(String text) {
    if (text.startsWith(CLASS)) {
      String type = text.substring(CLASS.length()).strip();
      if (type.isEmpty()) {
        throw new IllegalArgumentException("\"" + text + "\" names nothing after the colon");
      }
      return new EnvironmentSource(type.substring(type.lastIndexOf('.') + 1), CLASS + type);
    }
    if (!LIBRARY.containsKey(text)) {
      throw new IllegalArgumentException(
          "\""
              + text
              + "\" is not an environment; the environments are "
              + String.join(", ", names())
              + " and class:NAME");
    }
    return new EnvironmentSource(text, text);
  }

  /** {@return the names of the environments of the library} */
  public static List<String> names() {
    return List.copyOf(LIBRARY.keySet());
  }

  /** {@return whether the environment reads the answer of a problem, which must be there} */
  public boolean needsAnswers() {
    return target.equals("countdown");
  }

  /**
   * Opens the environment.
   *
   * @return the environment. {@link BoundedEnvironment} closes it
   * @throws InvalidInputException when the class cannot be used
   */
  public Environment open() {
    if (!target.startsWith(CLASS)) {
      return LIBRARY.get(target).get();
    }
    String type = target.substring(CLASS.length());
    try {
      return Class.forName(type, true, Thread.currentThread().getContextClassLoader())
          .asSubclass(Environment.class)
          .getConstructor()
          .newInstance();
    } catch (ClassNotFoundException e) {
      throw new InvalidInputException(
          "there is no class " + type + "; add it to the class path", e);
    } catch (ReflectiveOperationException | ClassCastException | LinkageError e) {
      throw new InvalidInputException(
          type
              + ": an environment must be a public class that implements "
              + Environment.class.getName()
              + " and has a public constructor without parameters",
          e);
    }
  }
}
