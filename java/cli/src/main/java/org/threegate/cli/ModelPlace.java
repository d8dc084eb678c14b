package org.threegate.cli;

import org.threegate.rl.policy.ModelDevice;
import org.threegate.run.InvalidInputException;

/** Selects the device of models, as an option or a key of a configuration names it. */
final class ModelPlace {
  private ModelPlace() {}

  /**
   * Selects the device of all models that are loaded from now on.
   *
   * @param name name of the option or key, for error messages
   * @param device device, such as {@code cpu} or {@code cuda:0}
   */
  static void use(String name, String device) {
    try {
      ModelDevice.use(device);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(name + ": " + e.getMessage(), e);
    }
  }
}
