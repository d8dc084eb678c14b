package org.threegate.testing;

import org.threegate.kernel.Context;

/** Where the tests of the contract run. */
final class TestDevice {
  /** {@code -Dthreegate.test.device=CUDA} means a CUDA device, which may be an emulated one. */
  static final Context.Device DEVICE =
      Context.Device.valueOf(System.getProperty("threegate.test.device", "CPU"));

  private TestDevice() {}
}
