package org.threegate.testing;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.PrintWriter;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/**
 * Runs the contract of bindings without Maven: {@code java … ContractMain jni|ffm}. It exits with 1
 * if a test failed or none ran.
 */
public final class ContractMain {
  private ContractMain() {}

  /** Runs the contract; the argument is the name of the binding. */
  public static void main(String[] arguments) {
    String binding = arguments[0];
    String test =
        "org.threegate.binding."
            + binding
            + "."
            + Character.toUpperCase(binding.charAt(0))
            + binding.substring(1)
            + "BindingTest";
    SummaryGeneratingListener summary = new SummaryGeneratingListener();
    Launcher launcher = LauncherFactory.create();
    launcher.execute(
        LauncherDiscoveryRequestBuilder.request().selectors(selectClass(test)).build(), summary);
    summary.getSummary().printFailuresTo(new PrintWriter(System.err, true));
    long succeeded = summary.getSummary().getTestsSucceededCount();
    long failed = summary.getSummary().getTotalFailureCount();
    System.out.printf("%s: %d tests passed, %d failed%n", binding, succeeded, failed);
    System.exit(failed == 0 && succeeded > 0 ? 0 : 1);
  }
}
