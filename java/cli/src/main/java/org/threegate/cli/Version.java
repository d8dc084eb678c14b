package org.threegate.cli;

import org.threegate.kernel.Capabilities;
import picocli.CommandLine.IVersionProvider;

/** Provides the text of {@code --version}. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {program()};
  }

  /** Returns the name and version of the program, as {@code --version} prints them. */
  static String program() {
    return "threegate " + current();
  }

  /** Returns the version of the native library. A test checks that the project has the same. */
  static String current() {
    return Capabilities.query().version();
  }
}
