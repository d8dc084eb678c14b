package org.threegate.testing;

import org.threegate.kernel.Context;

/** The device on which the tests of the contract run. */
final class TestDevice {
  /** {@code -Dthreegate.test.device=CUDA} selects a CUDA device, which may be an emulated one. */
  static final Context.Device DEVICE =
      Context.Device.valueOf(System.getProperty("threegate.test.device", "CPU"));

  private TestDevice() {}
}
