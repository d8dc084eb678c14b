package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
class TensorMemoryTest {
  private static final int SIDE = 300;

  private static double squares(Context context, TensorMemory memory) {
    return Bf16Diff.compare(context, memory.operand(), memory.operand()).baseSquares();
  }

  /** The allocator gives the memory of a freed tensor to the next one of its size. */
  @Test
  void aFreedTensorKeepsItsMemory() {
    try (Context context = Context.open()) {
      Tensor freed = Scopes.own(() -> torch.ones(SIDE, SIDE));
      try (TensorMemory memory = TensorMemory.of(context, freed)) {
        freed.close();
        Scopes.run(
            () -> {
              Tensor next = torch.zeros(SIDE, SIDE);
              assertThat(next.data_ptr().address()).isNotZero();
              assertThat(squares(context, memory)).isEqualTo(SIDE * SIDE);
            });
      }
    }
  }

  @Test
  void aTensorWithOtherMemoryKeepsThatOfBefore() {
    try (Context context = Context.open()) {
      Scopes.run(
          () -> {
            Tensor moved = torch.ones(SIDE, SIDE);
            try (TensorMemory memory = TensorMemory.of(context, moved)) {
              moved.set_data(torch.zeros(SIDE, SIDE));
              torch.zeros(SIDE, SIDE);
              assertThat(squares(context, memory)).isEqualTo(SIDE * SIDE);
            }
          });
    }
  }

  @Test
  void memoryThatAKernelUsesIsNotFreed() {
    try (Context context = Context.open()) {
      Tensor freed = Scopes.own(() -> torch.ones(SIDE, SIDE));
      TensorMemory memory = TensorMemory.of(context, freed);
      freed.close();
      try (NativeBuffer.Lease lease = memory.matrix().buffer().lease()) {
        assertThatThrownBy(memory::close).hasMessage("the buffer is in use by 1 running call");
        Scopes.run(() -> torch.zeros(SIDE, SIDE));
        assertThat(lease.view(0, 4).getFloat(0)).isOne();
      }
      memory.close();
    }
  }
}
