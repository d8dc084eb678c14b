package org.threegate.rl.policy;

import java.util.OptionalLong;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.threegate.cuda.TorchTensors;
import org.threegate.kernel.Context;

/** The memory of a device of libtorch. */
final class TorchDevice implements DevicePlace {
  private final Device device;

  TorchDevice(String name) {
    this.device = Scopes.own(() -> new Device(name));
  }

  @Override
  public boolean holds(Tensor tensor) {
    return tensor.is_cuda();
  }

  @Override
  public Tensor placed(Tensor made) {
    return made.to(device, made.scalar_type().intern());
  }

  @Override
  public Tensor copied(Tensor tensor) {
    return tensor.clone().contiguous();
  }

  @Override
  public Tensor onHost(Tensor tensor) {
    return tensor.cpu();
  }

  @Override
  public void copyToHost(Tensor to, Tensor from) {
    to.copy_(from);
  }

  @Override
  public void follow(Context context) {
    try {
      TorchTensors.follow(context);
    } catch (LinkageError e) {
      // The presets of CUDA are not there. Only through them does a Java program choose another
      // stream than the legacy default one, which contexts follow by default.
    }
  }

  @Override
  public OptionalLong freeBytes() {
    try {
      return device.is_cuda()
          ? OptionalLong.of(TorchTensors.freeBytes(Math.max(0, device.index())))
          : OptionalLong.empty();
    } catch (LinkageError e) {
      return OptionalLong.empty(); // without the presets of CUDA
    }
  }

  @Override
  public void close() {
    device.close();
  }
}
