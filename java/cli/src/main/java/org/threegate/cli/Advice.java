package org.threegate.cli;

import java.util.regex.Pattern;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/** Translates the remedies that libraries name into options of the command line. */
final class Advice {
  /**
   * Matches a Spark setting with a value, which the command line passes as {@code --spark-conf}.
   */
  private static final Pattern SETTING = Pattern.compile("(?<![\\w.=-])(spark(?:\\.\\w+)+=)");

  private Advice() {}

  /** Returns the message of an exception, with its remedy as options of the command line. */
  static String message(InvalidInputException e) {
    return settings(
        e.remedy().map(remedy -> e.problem() + "; " + words(remedy)).orElse(e.getMessage()));
  }

  /** Returns a message with settings of Spark as options of the command line. */
  static String settings(String message) {
    return SETTING.matcher(message).replaceAll("--spark-conf $1");
  }

  private static String words(Remedy remedy) {
    return switch (remedy) {
      case RESUME -> "run the same command with --resume to continue";
      case START_AGAIN -> "leave out --resume to start again";
      case NAME_INITIAL_ADAPTER -> "pass the adapter from before training with --initial-adapter";
      case LEAVE_OUT_INITIAL_ADAPTER ->
          "leave out --initial-adapter, which only applies to an adapter";
      case DIGEST_OF_TENSORS -> "use --digest tensors or --digest none";
      case CHOOSE_NEW_DIRECTORY -> "choose a new directory with --out";
      case ACCEPT_WITHOUT_DIGESTS -> "--without-digests accepts it without verification";
      case WRITE_ELSEWHERE -> "copy the model, or write a new one with --out";
    };
  }
}
