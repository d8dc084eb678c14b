package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;

/** Fails a test that does not close its native objects. */
public final class NativeLeaks implements BeforeEachCallback, AfterEachCallback {
  private long objects;
  private long leaks;

  @Override
  public void beforeEach(ExtensionContext context) {
    objects = Context.liveObjects();
    leaks = NativeBuffer.leaks();
  }

  @Override
  public void afterEach(ExtensionContext context) {
    assertThat(Context.liveObjects()).as("native objects alive after the test").isEqualTo(objects);
    assertThat(NativeBuffer.leaks()).as("buffers dropped without being closed").isEqualTo(leaks);
  }
}
