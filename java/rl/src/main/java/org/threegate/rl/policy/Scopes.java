package org.threegate.rl.policy;

import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

/**
 * Frees what a computation leaves behind at once, not when a garbage collector that does not see
 * native memory finds it.
 *
 * <pre>{@code
 * var likeliest = Scopes.keep(() -> decoder.logits(tokens, mask).softmax(-1).max());
 * }</pre>
 */
public final class Scopes {
  static {
    UnpackedLibraries.prepareTorch();
  }

  private Scopes() {}

  /** The one result of a computation, which the scope around it frees; the rest is freed here. */
  public static <T extends Pointer> T keep(Supplier<T> computation) {
    T result = own(computation);
    PointerScope outer = PointerScope.getInnerScope();
    if (outer != null) {
      outer.attach(result);
      result.releaseReference();
    }
    return result;
  }

  /** The same, but no scope frees it: whoever called closes it. */
  @SuppressWarnings("try")
  static <T extends Pointer> T own(Supplier<T> computation) {
    try (PointerScope scope = new PointerScope()) {
      T result = computation.get();
      result.retainReference();
      return result;
    }
  }

  /** {@link #keep} of a computation that is not to be differentiated. */
  @SuppressWarnings("try")
  public static <T extends Pointer> T keepWithoutGradient(Supplier<T> computation) {
    return keep(
        () -> {
          try (NoGradGuard guard = new NoGradGuard()) {
            return computation.get();
          }
        });
  }

  /** A computation without a result. */
  @SuppressWarnings("try")
  public static void run(Runnable computation) {
    try (PointerScope scope = new PointerScope()) {
      computation.run();
    }
  }
}
