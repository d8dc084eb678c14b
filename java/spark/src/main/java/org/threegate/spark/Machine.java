package org.threegate.spark;

import java.io.Serializable;
import java.util.Optional;
import org.apache.spark.SparkEnv;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.KernelException;
import org.threegate.loading.Bindings;

/**
 * The software and hardware with which an executor measures. All executors must match, because the
 * last bits of a decomposition depend on the CPU instructions.
 *
 * @param executor number and host of the executor
 * @param version version of Threegate
 * @param binding name of the binding to native code
 * @param simd instruction set of the kernels
 * @param blas BLAS library for matrix products
 * @param failure reason why it cannot measure; empty if it can
 */
record Machine(
    String executor, String version, String binding, String simd, String blas, String failure)
    implements Serializable {
  private static final class Here {
    static final Machine MACHINE = query();
  }

  /** Describes this executor. */
  static Machine here() {
    return Here.MACHINE;
  }

  private static Machine query() {
    String executor = name();
    try {
      Capabilities found = Capabilities.query();
      return new Machine(
          executor,
          found.version() + ", ABI " + Bindings.ABI_VERSION,
          Bindings.get().name(),
          found.simd(),
          found.blas(),
          "");
    } catch (LinkageError | KernelException e) {
      return new Machine(executor, "", "", "", "", String.valueOf(e.getMessage()));
    }
  }

  private static String name() {
    SparkEnv env = SparkEnv.get();
    return "executor " + env.executorId() + " (" + env.blockManager().blockManagerId().host() + ")";
  }

  /** Returns the reason why this executor does not match {@code other}; empty if it does. */
  Optional<String> unlike(Machine other) {
    if (!failure.isEmpty()) {
      return Optional.of(executor + ": cannot load the native library: " + failure);
    }
    if (!version.equals(other.version)) {
      return Optional.of(
          executor
              + ": has threegate "
              + version
              + ", "
              + other.executor
              + " has "
              + other.version
              + "; use the same jar on all of them");
    }
    if (!simd.equals(other.simd)) {
      return Optional.of(
          executor
              + ": its processor runs "
              + simd
              + " kernels, that of "
              + other.executor
              + " "
              + other.simd
              + ", whose last bits differ; select the lower level on all of them with"
              + " spark.executorEnv.THREEGATE_SIMD=LEVEL");
    }
    if (!blas.equals(other.blas)) {
      return Optional.of(
          executor
              + ": its BLAS is "
              + blas
              + ", that of "
              + other.executor
              + " is "
              + other.blas
              + ", whose last bits differ; select the same library on all of them with"
              + " spark.executorEnv.OPENBLAS_CORETYPE=CORE");
    }
    return Optional.empty();
  }

  /**
   * Checks that this executor matches another one.
   *
   * @throws ExecutorException if it does not match {@code other}
   */
  void require(Machine other) {
    unlike(other)
        .ifPresent(
            reason -> {
              throw new ExecutorException(reason);
            });
  }
}
