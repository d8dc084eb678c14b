package org.threegate.rl.policy;

import java.util.Locale;
import java.util.Optional;
import org.bytedeco.pytorch.Device;
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

  private static String name = HOST;
  private static Optional<Device> device = Optional.empty();

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
  static synchronized void place(String chosen) {
    device.ifPresent(Device::close);
    name = chosen;
    device =
        chosen.equals(HOST) ? Optional.empty() : Optional.of(Scopes.own(() -> new Device(chosen)));
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

  private static synchronized Optional<Device> current() {
    return device;
  }

  /**
   * Copies a tensor from the CPU to the device of models.
   *
   * @param made a tensor on the CPU
   * @return the copy; the tensor itself when models are on the CPU
   */
  public static Tensor placed(Tensor made) {
    return current()
        .map(own -> Scopes.keep(() -> made.to(own, made.scalar_type().intern())))
        .orElse(made);
  }

  /**
   * Copies a tensor from the device of models to the CPU.
   *
   * @param tensor a tensor on the device of models
   * @return the copy; the tensor itself when models are on the CPU
   */
  public static Tensor onHost(Tensor tensor) {
    return current().isEmpty() ? tensor : Scopes.keep(tensor::cpu);
  }
}
