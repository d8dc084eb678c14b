package org.threegate.cli;

import org.threegate.kernel.Capabilities;
import picocli.CommandLine.IVersionProvider;

/** {@code --version}. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {program()};
  }

  /** Returns name and version of the program, as {@code --version} prints them. */
  static String program() {
    return "threegate " + current();
  }

  /** The native library's, which a test holds to the project's. */
  static String current() {
    return Capabilities.query().version();
  }
}
