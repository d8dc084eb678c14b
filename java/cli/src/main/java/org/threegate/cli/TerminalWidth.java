package org.threegate.cli;

import picocli.CommandLine.Model.CommandSpec;

/** Determines the width of summaries. */
final class TerminalWidth {
  private static final int STANDARD_OUTPUT = 1;

  private TerminalWidth() {}

  /**
   * Returns the width of help texts in columns on a terminal, and no limit for a file or a pipe.
   */
  static int of(CommandSpec spec) {
    return ProgressBar.isTerminal(STANDARD_OUTPUT)
        ? spec.usageMessage().width()
        : Integer.MAX_VALUE;
  }
}
