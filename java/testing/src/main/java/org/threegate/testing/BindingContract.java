package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.threegate.testing.TestDevice.DEVICE;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;

/**
 * Tests that every binding must pass, by families of kernels. The module of each binding extends
 * this class. The JVM must be started with {@code -Dthreegate.binding}.
 */
@Tag("binding")
public abstract class BindingContract
    implements ContextContract,
        InterruptionContract,
        BufferContract,
        MappedFileContract,
        DiffContract,
        SvdContract,
        MaskContract,
        CurvatureContract,
        PatchContract,
        NullUpdateContract,
        NullModelContract,
        DigestContract {
  private long objects;

  /** Skips the tests if this machine lacks the SIMD level. The suite runs once for each level. */
  @BeforeAll
  static void theForcedLevelIsThere() {
    try {
      Context.open(DEVICE, 0).close();
    } catch (KernelException e) {
      assumeThat(e.status()).as(e.getMessage()).isNotEqualTo(Status.UNSUPPORTED);
      throw e;
    }
  }

  @BeforeEach
  void countObjects() {
    objects = Context.liveObjects();
  }

  @AfterEach
  void nothingNativeLeaks() {
    assertThat(Context.liveObjects()).isEqualTo(objects);
  }
}
