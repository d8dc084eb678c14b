package org.threegate.run;

import java.util.Optional;

/**
 * Something that the user gave cannot be used. The message is one line of at most 600 characters:
 * where, what, and what to do about it.
 */
public final class InvalidInputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What is wrong, without a remedy. */
  private final String problem;

  // Not an Optional field, which cannot be serialized.
  /** What the user can do; null if nothing is known. */
  private final Remedy remedy;

  /**
   * Creates an exception.
   *
   * @param message names the input and the problem
   */
  public InvalidInputException(String message) {
    this(message, null, null);
  }

  /**
   * Creates an exception with a cause.
   *
   * @param message names the input and the problem
   * @param cause the exception that showed the problem
   */
  public InvalidInputException(String message, Throwable cause) {
    this(message, null, cause);
  }

  /**
   * An input that is refused, with a remedy that each program words in its own way.
   *
   * @param problem where and what, without the remedy
   * @param remedy what the user can do
   */
  public InvalidInputException(String problem, Remedy remedy) {
    this(problem, remedy, null);
  }

  private InvalidInputException(String problem, Remedy remedy, Throwable cause) {
    super(PrintableText.message(remedy == null ? problem : problem + "; " + remedy.words()), cause);
    this.problem = problem;
    this.remedy = remedy;
  }

  /** {@return where and what, without the remedy} */
  public String problem() {
    return problem;
  }

  /** {@return the remedy that a program words itself; empty when the problem says all there is} */
  public Optional<Remedy> remedy() {
    return Optional.ofNullable(remedy);
  }

  /**
   * {@return an exception with this one's remedy and cause, but another problem}
   *
   * @param other where and what, without the remedy
   */
  public InvalidInputException withProblem(String other) {
    return new InvalidInputException(other, remedy, this);
  }

  /**
   * {@return an exception with this one's problem, but another remedy}
   *
   * @param other what the user can do instead
   */
  public InvalidInputException withRemedy(Remedy other) {
    return new InvalidInputException(getMessage(), other, this);
  }
}
