package org.threegate.cli;

import java.util.List;
import org.threegate.rl.verifier.Verifier;
import org.threegate.rl.verifier.Verifiers;
import org.threegate.run.InvalidInputException;

/** Verifiers as people name them. */
final class VerifierNames {
  static final List<String> ALL = List.of("exact", "numeric", "mathematical", "countdown");

  private VerifierNames() {}

  static Verifier verifier(String name) {
    return switch (name) {
      case "exact" -> Verifiers.EXACT;
      case "numeric" -> Verifiers.NUMERIC;
      case "mathematical" -> Verifiers.MATHEMATICAL;
      case "countdown" -> Verifiers.COUNTDOWN;
      default ->
          throw new InvalidInputException(
              "\"" + name + "\" is no verifier; there are " + String.join(", ", ALL));
    };
  }
}
