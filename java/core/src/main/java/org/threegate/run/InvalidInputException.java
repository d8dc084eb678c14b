package org.threegate.run;

import java.util.Optional;

/**
 * Something that the user gave cannot be used. The message is one line of at most 600 characters:
 * where, what, and what to do about it.
 */
public final class InvalidInputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String problem;
  // Not an Optional field, which cannot be serialized.
  private final Remedy remedy;

  public InvalidInputException(String message) {
    this(message, null, null);
  }

  public InvalidInputException(String message, Throwable cause) {
    this(message, null, cause);
  }

  /**
   * An input that is refused, with a remedy that each program words in its own way.
   *
   * @param problem where and what, without the remedy
   */
  public InvalidInputException(String problem, Remedy remedy) {
    this(problem, remedy, null);
  }

  private InvalidInputException(String problem, Remedy remedy, Throwable cause) {
    super(PrintableText.message(remedy == null ? problem : problem + "; " + remedy.words()), cause);
    this.problem = problem;
    this.remedy = remedy;
  }

  /** Returns where and what, without the remedy. */
  public String problem() {
    return problem;
  }

  /** Returns the remedy that a program words itself; empty when the problem says all there is. */
  public Optional<Remedy> remedy() {
    return Optional.ofNullable(remedy);
  }

  /** Returns an exception with this one's remedy and cause, but another problem. */
  public InvalidInputException withProblem(String other) {
    return new InvalidInputException(other, remedy, this);
  }

  /** Returns an exception with this one's problem, but another remedy. */
  public InvalidInputException withRemedy(Remedy other) {
    return new InvalidInputException(getMessage(), other, this);
  }
}
