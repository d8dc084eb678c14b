package org.threegate.rl.policy;

import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;

/**
 * Threads of libtorch, for the whole process. Products take them, the rest takes one: the two
 * libraries' threads wait actively, and on few cores for each other, which was seen to cost nine
 * tenths of the time.
 *
 * <pre>{@code
 * Threads.use(4);
 * }</pre>
 */
public final class Threads {
  private Threads() {}

  /** Takes so many from now on; all processors unless this is called. */
  public static void use(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException(threads + " threads; 1 at least");
    }
    torch.set_num_threads(1);
    openblas.blas_set_num_threads(threads);
  }

  /** Before the first model is made. */
  static void useAll() {
    use(Runtime.getRuntime().availableProcessors());
  }
}
