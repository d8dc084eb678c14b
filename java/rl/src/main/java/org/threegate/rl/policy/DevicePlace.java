package org.threegate.rl.policy;

import java.util.OptionalLong;
import org.bytedeco.pytorch.Tensor;
import org.threegate.kernel.Context;

/** The memory of a device that is not the CPU. Tests have one of an emulated device. */
interface DevicePlace extends AutoCloseable {
  /** Returns whether the memory of a tensor is there. */
  boolean holds(Tensor tensor);

  /** Returns a copy of a tensor of the CPU that is there. The caller's scope frees it. */
  Tensor placed(Tensor made);

  /**
   * Returns a contiguous copy of a tensor that is there, which is there, too. The caller's scope
   * frees it.
   */
  Tensor copied(Tensor tensor);

  /** Returns a copy on the CPU. The caller's scope frees it. */
  Tensor onHost(Tensor tensor);

  /** Writes a tensor that is there to one on the CPU. */
  void copyToHost(Tensor to, Tensor from);

  /** Makes later calls of a context wait for what changes tensors. */
  void follow(Context context);

  /** Returns the free bytes, if they are known. */
  OptionalLong freeBytes();

  @Override
  void close();
}
