package org.threegate.cli;

import org.threegate.rl.policy.ModelDevice;
import org.threegate.run.InvalidInputException;

/** Where models lie, as an option or a key says it. */
final class ModelPlace {
  private ModelPlace() {}

  /**
   * @param name of the option or key
   */
  static void use(String name, String device) {
    try {
      ModelDevice.use(device);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(name + ": " + e.getMessage(), e);
    }
  }
}
