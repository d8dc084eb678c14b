package org.threegate.rl.policy;

import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;

/**
 * Frees the intermediate tensors of a computation when it ends. The garbage collector would free
 * them too late, because it does not know the size of native memory.
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

  /**
   * {@return the result of a computation, and frees its other tensors} The outer scope frees it.
   *
   * @param <T> the type of the result, a tensor or another native object
   * @param computation computes the result
   */
  public static <T extends Pointer> T keep(Supplier<T> computation) {
    T result = own(computation);
    PointerScope outer = PointerScope.getInnerScope();
    if (outer != null) {
      outer.attach(result);
      result.releaseReference();
    }
    return result;
  }

  /** Returns the result of a computation. No scope frees it: the caller closes it. */
  @SuppressWarnings("try")
  static <T extends Pointer> T own(Supplier<T> computation) {
    try (PointerScope scope = new PointerScope()) {
      T result = computation.get();
      result.retainReference();
      return result;
    }
  }

  /**
   * Does the same as {@link #keep}, without recording gradients.
   *
   * @param <T> the type of the result, a tensor or another native object
   * @param computation computes the result
   * @return the result, which the outer scope frees
   */
  @SuppressWarnings("try")
  public static <T extends Pointer> T keepWithoutGradient(Supplier<T> computation) {
    return keep(
        () -> {
          try (NoGradGuard guard = new NoGradGuard()) {
            return computation.get();
          }
        });
  }

  /**
   * Runs a computation without a result, and frees its tensors.
   *
   * @param computation the computation
   */
  @SuppressWarnings("try")
  public static void run(Runnable computation) {
    try (PointerScope scope = new PointerScope()) {
      computation.run();
    }
  }
}
