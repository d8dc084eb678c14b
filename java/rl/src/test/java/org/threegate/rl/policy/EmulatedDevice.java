package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.threegate.kernel.Context;
import org.threegate.testing.DeviceMemory;

/**
 * The emulated device as that of models. To libtorch its memory is memory of the host. To kernels
 * it is memory of a device, which kernels of the CPU refuse.
 */
public final class EmulatedDevice implements AutoCloseable {
  private final Map<Long, DeviceMemory> blocks = new LinkedHashMap<>();
  private final NavigableMap<Long, Long> sizes = new TreeMap<>();
  private final List<Long> copies = new ArrayList<>();
  private final OptionalLong free;

  private EmulatedDevice(OptionalLong free) {
    this.free = free;
    ModelDevice.place("emulated", Optional.of(new Place()));
  }

  /** Makes the emulated device that of models. A context of it must have been opened before. */
  public static EmulatedDevice use(OptionalLong free) {
    return new EmulatedDevice(free);
  }

  /** Returns the bytes of each copy of a tensor to the host since the last call. */
  public List<Long> takeCopies() {
    List<Long> taken = List.copyOf(copies);
    copies.clear();
    return taken;
  }

  /** Allocates what is left of the memory of the device. */
  public void exhaust() {
    for (long bytes = 1 << 30; bytes >= 256; bytes /= 2) {
      try {
        while (true) {
          DeviceMemory block = new DeviceMemory(bytes);
          blocks.put(block.address(), block);
        }
      } catch (IllegalStateException e) {
        // No block of this size is left.
      }
    }
  }

  /** Makes the CPU the device of models again. */
  @Override
  public void close() {
    ModelDevice.use("cpu");
    blocks.values().forEach(DeviceMemory::close);
  }

  private final class Place implements DevicePlace {
    @Override
    public boolean holds(Tensor tensor) {
      if (tensor.numel() == 0) {
        return false;
      }
      long address = tensor.data_ptr().address();
      var block = sizes.floorEntry(address);
      return block != null && address < block.getKey() + block.getValue();
    }

    @Override
    public Tensor placed(Tensor made) {
      if (made.numel() == 0) {
        return made;
      }
      long bytes = made.numel() * made.element_size();
      DeviceMemory block = new DeviceMemory(bytes);
      blocks.put(block.address(), block);
      sizes.put(block.address(), bytes);
      Pointer memory =
          new Pointer() {
            {
              address = block.address();
            }
          };
      long[] shape = Tensors.shape(Tensors.shape(made));
      Tensor there = torch.from_blob(memory, shape, new TensorOptions(made.scalar_type()));
      there.copy_(made.detach());
      return there;
    }

    @Override
    public Tensor copied(Tensor tensor) {
      return placed(tensor.contiguous());
    }

    @Override
    public Tensor onHost(Tensor tensor) {
      return holds(tensor) ? read(tensor.contiguous()) : tensor;
    }

    private Tensor read(Tensor tensor) {
      Tensor host = torch.empty_like(tensor);
      copyToHost(host, tensor);
      return host;
    }

    @Override
    public void copyToHost(Tensor to, Tensor from) {
      long bytes = from.numel() * from.element_size();
      copies.add(bytes);
      DeviceMemory.copyToHost(to.data_ptr().address(), from.data_ptr().address(), bytes);
    }

    @Override
    public void follow(Context context) {
      context.setStream(0);
    }

    @Override
    public OptionalLong freeBytes() {
      return free;
    }

    @Override
    public void close() {
      // The test frees the memory.
    }
  }
}
