package org.threegate.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.threegate.report.Account;
import org.threegate.run.PrintableText;

/** Names the tensors of a checkpoint that are no part of its decoder. */
final class LeftOut {
  private LeftOut() {}

  /**
   * Writes a line for each reason.
   *
   * @param reasons the reasons by the names of the tensors
   * @param lines receives the lines
   */
  static void tell(Map<String, String> reasons, Consumer<String> lines) {
    Map<String, List<String>> names = new LinkedHashMap<>();
    reasons.forEach(
        (name, reason) -> names.computeIfAbsent(reason, own -> new ArrayList<>()).add(name));
    names.forEach(
        (reason, own) ->
            lines.accept(
                String.format(
                    Locale.ROOT,
                    "not part of the decoder, because %s: %,d %s: %s",
                    reason,
                    own.size(),
                    own.size() == 1 ? "tensor" : "tensors",
                    PrintableText.of(Account.few(own)))));
  }
}
