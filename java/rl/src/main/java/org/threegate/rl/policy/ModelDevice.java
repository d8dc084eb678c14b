package org.threegate.rl.policy;

import java.util.Locale;
import java.util.Optional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Where tensors of models lie, for the whole process: on the host, or on a GPU where libtorch was
 * built for one (the property {@code pytorch.classifier} of the build chooses it). What is read of
 * tensors comes back to the host by itself.
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
   * Chooses, before the first model is made.
   *
   * @param wanted {@code cpu}, {@code cuda}, {@code cuda:1}, or {@code auto}: a GPU if there is one
   * @throws IllegalArgumentException for a device that is not there, with the reason
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
          "\"" + wanted + "\" is no device; there are auto, cpu, cuda and cuda:N");
    }
    place(chosen);
  }

  /** Any device of libtorch, such as {@code meta}, which has shapes alone. */
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
      throw new IllegalArgumentException(wanted + ": libtorch finds no GPU, or no driver for one");
    }
    int number = wanted.contains(":") ? Integer.parseInt(wanted.substring(5)) : 0;
    if (number >= torch.cuda_device_count()) {
      throw new IllegalArgumentException(
          wanted + ": there are " + torch.cuda_device_count() + " GPUs, counted from 0");
    }
  }

  /** The device's. */
  public static synchronized String name() {
    return name;
  }

  private static synchronized Optional<Device> current() {
    return device;
  }

  /** A tensor of the host, where models are. */
  public static Tensor placed(Tensor made) {
    return current()
        .map(own -> Scopes.keep(() -> made.to(own, made.scalar_type().intern())))
        .orElse(made);
  }

  /** A tensor of models, where its numbers can be read. */
  public static Tensor onHost(Tensor tensor) {
    return current().isEmpty() ? tensor : Scopes.keep(tensor::cpu);
  }
}
