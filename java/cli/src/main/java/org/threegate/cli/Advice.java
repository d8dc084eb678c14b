package org.threegate.cli;

import java.util.regex.Pattern;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/** Says in terms of options what can be done about an input that was refused. */
final class Advice {
  /** A setting of Spark with a value, which the command line passes with {@code --spark-conf}. */
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
      case RESUME -> "the same command with --resume goes on";
      case START_AGAIN -> "leave out --resume to begin anew";
      case NAME_INITIAL_ADAPTER ->
          "name the adapter as it was before training with --initial-adapter";
      case LEAVE_OUT_INITIAL_ADAPTER -> "leave out --initial-adapter, which is of one";
      case CHOOSE_NEW_DIRECTORY -> "name a new directory with --out";
      case ACCEPT_WITHOUT_DIGESTS -> "--without-digests takes it all the same";
      case WRITE_ELSEWHERE -> "copy the model, or use --out";
    };
  }
}
