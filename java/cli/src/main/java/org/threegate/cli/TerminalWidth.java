package org.threegate.cli;

import picocli.CommandLine.Model.CommandSpec;

/** How wide the lines of a summary may be. */
final class TerminalWidth {
  private static final int STANDARD_OUTPUT = 1;

  private TerminalWidth() {}

  /**
   * Returns the columns of help on a terminal, and no limit where output goes to a file or pipe.
   */
  static int of(CommandSpec spec) {
    return ProgressBar.isTerminal(STANDARD_OUTPUT)
        ? spec.usageMessage().width()
        : Integer.MAX_VALUE;
  }
}
