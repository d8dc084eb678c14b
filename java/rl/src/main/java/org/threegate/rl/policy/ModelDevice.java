package org.threegate.rl.policy;

import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;

/**
 * The device of all models in the process: the CPU, or a GPU when libtorch was built with CUDA (the
 * build property {@code pytorch.classifier} selects this). Results are copied back to the CPU when
 * they are read.
 *
 * <pre>{@code
 * ModelDevice.use("auto");
 * System.out.println("models lie on " + ModelDevice.name());
 * }</pre>
 */
public final class ModelDevice {
  private static final String HOST = "cpu";

  /** Share of the free memory that copies for later comparisons may take. */
  private static final long MOST_OF_FREE = 4;

  private static String name = HOST;
  private static Optional<DevicePlace> device = Optional.empty();

  private ModelDevice() {}

  /**
   * Selects the device. This must be called before the first model is created.
   *
   * @param wanted {@code cpu}, {@code cuda}, {@code cuda:N}, or {@code auto} for a GPU if there is
   *     one
   * @throws IllegalArgumentException when the device is not available, with the reason
   */
  public static synchronized void use(String wanted) {
    Threads.initialise();
    String chosen = wanted.toLowerCase(Locale.ROOT);
    if (chosen.equals("auto")) {
      chosen = torch.cuda_is_available() ? "cuda" : HOST;
    }
    if (chosen.matches("cuda(:\\d{1,2})?")) {
      requireCuda(chosen);
    } else if (!chosen.equals(HOST)) {
      throw new IllegalArgumentException(
          "\"" + wanted + "\" is not a device; use auto, cpu, cuda or cuda:N");
    }
    place(chosen);
  }

  /** Selects any device of libtorch, such as {@code meta}, whose tensors only have shapes. */
  static void place(String chosen) {
    place(chosen, chosen.equals(HOST) ? Optional.empty() : Optional.of(new TorchDevice(chosen)));
  }

  /** Selects the device of a place, which this class closes. */
  static synchronized void place(String chosen, Optional<DevicePlace> place) {
    device.ifPresent(DevicePlace::close);
    name = chosen;
    device = place;
  }

  private static void requireCuda(String wanted) {
    if (!torch.hasCUDA()) {
      throw new IllegalArgumentException(
          wanted + ": this libtorch has no CUDA; build with -Dpytorch.classifier=linux-x86_64-gpu");
    }
    if (!torch.cuda_is_available()) {
      throw new IllegalArgumentException(wanted + ": libtorch found no GPU, or no driver for it");
    }
    int number = wanted.contains(":") ? Integer.parseInt(wanted.substring(5)) : 0;
    if (number >= torch.cuda_device_count()) {
      throw new IllegalArgumentException(
          wanted + ": there are " + torch.cuda_device_count() + " GPUs, counted from 0");
    }
  }

  /** {@return the device} */
  public static synchronized String name() {
    return name;
  }

  /**
   * Opens a context on the device of models, so that kernels read weights where they lie. It is one
   * of the CPU if models are there, or if this build has no kernels for the device.
   *
   * @return the context, which the caller closes
   */
  public static Context openContext() {
    String place = name();
    if (!place.equals(HOST)) {
      int index =
          place.contains(":") ? Integer.parseInt(place.substring(place.indexOf(':') + 1)) : 0;
      if (index < Capabilities.query().cudaDevices()) {
        return Context.open(Context.Device.CUDA, index, 0);
      }
    }
    return Context.open();
  }

  private static synchronized Optional<DevicePlace> current() {
    return device;
  }

  /**
   * Copies a tensor from the CPU to the device of models.
   *
   * @param made a tensor on the CPU
   * @return the copy; the tensor itself when models are on the CPU
   */
  public static Tensor placed(Tensor made) {
    return current().map(own -> Scopes.keep(() -> own.placed(made))).orElse(made);
  }

  /**
   * Copies a tensor from the device of models to the CPU.
   *
   * @param tensor a tensor on the device of models
   * @return the copy; the tensor itself when models are on the CPU
   */
  public static Tensor onHost(Tensor tensor) {
    return current().map(own -> Scopes.keep(() -> own.onHost(tensor))).orElse(tensor);
  }

  /**
   * {@return a contiguous copy of a tensor, which no scope frees: the caller closes it}
   *
   * @param tensor a tensor on the device of models, or on the CPU
   * @param onHost whether the copy lies on the CPU. Otherwise it lies where the tensor does
   */
  public static Tensor copied(Tensor tensor, boolean onHost) {
    return Scopes.own(
        () -> {
          Tensor own = tensor.detach();
          Optional<DevicePlace> place = placeOf(own);
          return onHost || place.isEmpty()
              ? onHost(own).clone().contiguous()
              : place.get().copied(own);
        });
  }

  /** Returns the place of a tensor, if that is not the CPU. */
  static Optional<DevicePlace> placeOf(Tensor tensor) {
    return current().filter(own -> own.holds(tensor));
  }

  /**
   * {@return why copies of weights do not lie on the device of models; empty if they may} They may
   * take a quarter of the memory that is free, so that training has the rest.
   *
   * @param bytes the bytes of all copies
   */
  public static Optional<String> shortage(long bytes) {
    Optional<DevicePlace> place = current();
    if (place.isEmpty()) {
      return Optional.empty();
    }
    OptionalLong free = place.get().freeBytes();
    if (free.isEmpty()) {
      return Optional.of(
          "the free memory of "
              + name()
              + " is not known without org.bytedeco:cuda on the class path");
    }
    return bytes <= free.getAsLong() / MOST_OF_FREE
        ? Optional.empty()
        : Optional.of(
            "they have "
                + mebibytes(bytes)
                + " MiB, and may take a quarter of the "
                + mebibytes(free.getAsLong())
                + " MiB that are free on "
                + name());
  }

  private static long mebibytes(long bytes) {
    return bytes >> 20;
  }
}
