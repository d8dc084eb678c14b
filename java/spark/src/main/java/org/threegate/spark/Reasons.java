package org.threegate.spark;

import java.io.IOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.kernel.KernelException;
import org.threegate.run.InvalidInputException;

/** Extracts the reason of a failure as one line for the user. */
final class Reasons {
  private static final Pattern EXECUTOR = Pattern.compile("ExecutorException: (.*)");
  private static final Pattern LOST =
      Pattern.compile("\\(TID \\d+\\) \\((\\S+) executor (\\S+)\\): (.*)");

  private Reasons() {}

  /** Returns the reason of an exception. */
  static String line(Throwable failure) {
    String message = String.valueOf(failure.getMessage()).lines().findFirst().orElse("");
    if (failure instanceof InvalidInputException || failure instanceof KernelException) {
      return message;
    }
    if (failure instanceof IOException) {
      String name = failure.getClass().getSimpleName();
      return name + (failure.getMessage() == null ? "" : ": " + message);
    }
    return failure.getClass().getSimpleName() + ": " + message;
  }

  /** Returns the executor and the reason for a job that Spark aborted. */
  static String ofJob(Throwable failure) {
    StringBuilder all = new StringBuilder();
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      all.append(cause.getMessage()).append('\n');
      if (cause instanceof ExecutorException) {
        return cause.getMessage();
      }
    }
    Matcher executor = EXECUTOR.matcher(all);
    if (executor.find()) {
      return executor.group(1);
    }
    Matcher lost = LOST.matcher(all);
    if (lost.find()) {
      return "executor " + lost.group(2) + " (" + lost.group(1) + "): " + lost.group(3);
    }
    return line(failure);
  }
}
