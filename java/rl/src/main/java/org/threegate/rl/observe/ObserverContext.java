package org.threegate.rl.observe;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;

/**
 * The contexts that an observer measures with. Kernels run on the device of models. If its memory
 * does not suffice, they run on the CPU. If libtorch lacks memory there, too, a measurement is left
 * out. Training goes on in either case.
 */
final class ObserverContext implements AutoCloseable {
  /** What libtorch and the runtime of CUDA write. */
  private static final String LACKING = "out of memory";

  private final Context context;
  private final List<String> untold = new ArrayList<>();
  private final Set<String> told = new HashSet<>();
  private Optional<Consumer<String>> receiver = Optional.empty();
  private Optional<Context> processor = Optional.empty();

  ObserverContext(Context context) {
    this.context = context;
  }

  /** Sets who receives sentences about lacking memory, including those of before. */
  void tell(Consumer<String> to) {
    receiver = Optional.of(to);
    untold.forEach(to);
    untold.clear();
  }

  /** Tells a sentence once. */
  void report(String sentence) {
    if (told.add(sentence)) {
      receiver.ifPresentOrElse(to -> to.accept(sentence), () -> untold.add(sentence));
    }
  }

  /**
   * Measures.
   *
   * @param what what is measured, for sentences about lacking memory
   * @param body measures with a context, and leaves nothing behind if it fails
   * @return the result; empty if memory lacks for it everywhere
   */
  <T> Optional<T> measure(String what, Function<Context, T> body) {
    try {
      return Optional.of(body.apply(context));
    } catch (RuntimeException e) {
      requireShortage(e);
      report(what + " is measured on the CPU, because the GPU has too little free memory");
    }
    try {
      return Optional.of(body.apply(processor()));
    } catch (RuntimeException e) {
      requireShortage(e);
      report(what + " is left out, because the GPU has too little free memory");
      return Optional.empty();
    }
  }

  /**
   * Measures as {@link #measure} does. What the kernels take of the memory of the device is free
   * for training afterwards.
   */
  <T> Optional<T> measureAndRelease(String what, Function<Context, T> body) {
    return measure(
        what,
        given -> {
          if (given.device() == Context.Device.CPU) {
            return body.apply(given);
          }
          try (Context own = given.another(given.threads())) {
            return body.apply(own);
          }
        });
  }

  private Context processor() {
    if (context.device() == Context.Device.CPU) {
      return context;
    }
    if (processor.isEmpty()) {
      processor = Optional.of(Context.open(Context.Device.CPU, context.threads()));
    }
    return processor.get();
  }

  /** Throws an exception again unless it tells that a device lacks memory. */
  private static void requireShortage(RuntimeException e) {
    boolean ofKernels = e instanceof KernelException own && own.status() == Status.OUT_OF_MEMORY;
    if (!ofKernels && (e.getMessage() == null || !e.getMessage().contains(LACKING))) {
      throw e;
    }
  }

  @Override
  public void close() {
    processor.ifPresent(Context::close);
  }
}
