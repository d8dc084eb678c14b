package org.threegate.spark;

import java.io.Serializable;
import java.util.Optional;
import org.apache.spark.SparkEnv;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.KernelException;
import org.threegate.loading.Bindings;

/**
 * What an executor measures with. All must be alike, since the last bits of a decomposition depend
 * on the instructions that it is made with.
 *
 * @param executor its number and its host
 * @param failure why it cannot measure; empty when it can
 */
record Machine(
    String executor, String version, String binding, String simd, String blas, String failure)
    implements Serializable {
  private static final class Here {
    static final Machine MACHINE = query();
  }

  /** This one. */
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

  /** Why this one cannot work with {@code other}; empty when it can. */
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
              + "; give all of them the same jar");
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
              + ", whose last bits differ; have all run the lower level with"
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
              + ", whose last bits differ; have all run the same with"
              + " spark.executorEnv.OPENBLAS_CORETYPE=CORE");
    }
    return Optional.empty();
  }

  /**
   * @throws ExecutorException when this one cannot work with {@code other}
   */
  void require(Machine other) {
    unlike(other)
        .ifPresent(
            reason -> {
              throw new ExecutorException(reason);
            });
  }
}
