package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Xxh3;

/** Tests the elements that differ between two versions of weights. */
interface PatchContract {
  @Test
  default void changedElementsCross() {
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(64);
        ChangedElements changed =
            ChangedElements.allocate(context, 4, 2, ChangedElements.Form.XOR)) {
      for (int i = 0; i < 8; i++) {
        memory.putShort(2 * i, (short) 0x3f80).putShort(16 + 2 * i, (short) 0x3f80);
      }
      memory.putShort(16 + 2, (short) 0x3f81).putShort(16 + 14, (short) 0xbf80);
      ChangedElements.Elements before = new ChangedElements.Elements(memory, 0, 8, 2);
      ChangedElements.Elements after = new ChangedElements.Elements(memory, 16, 8, 2);
      try (ChangedElements bits =
          ChangedElements.allocate(context, 4, 2, ChangedElements.Form.OVERWRITE)) {
        // The elements are appended in two parts.
        bits.append(
            new ChangedElements.Elements(memory, 0, 5, 2),
            new ChangedElements.Elements(memory, 16, 5, 2),
            0);
        bits.append(
            new ChangedElements.Elements(memory, 10, 3, 2),
            new ChangedElements.Elements(memory, 26, 3, 2),
            5);
        assertThat(bits.count()).isEqualTo(2);
        assertThat(bits.positions().getInt(4)).isEqualTo(7);
        assertThat(bits.differing(before)).isEqualTo(2);
        assertThat(bits.differing(after)).isZero();
      }
      assertThatThrownBy(() -> changed.differing(before))
          .hasMessageContaining("it must be TG_PATCH_OVERWRITE");
      assertThat(changed.extract(before, after)).isEqualTo(2);
      assertThat(changed.positions().getInt(4)).isEqualTo(7);
      assertThat(changed.values().getShort(0)).isEqualTo((short) 1);
      assertThat(changed.values().getShort(2)).isEqualTo((short) 0x8000);
      changed.toGaps(-1);
      assertThat(changed.positions().getInt(4)).isEqualTo(5);
      assertThatThrownBy(() -> changed.toPositions((1L << 32) - 2))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("positions are below 2^32");
      changed.positions().putInt(0, 1).putInt(4, 5);
      changed.toPositions(-1);
      changed.apply(before);
      assertThat(memory.getBytes(0, 16)).isEqualTo(memory.getBytes(16, 16));
      changed.apply(before);
      assertThat(memory.getShort(14)).isEqualTo((short) 0x3f80);
      ChangedElements.toPlanes(context, after, changed.positions());
      assertThat(changed.positions().getByte(1)).isEqualTo((byte) 0x81);
      assertThat(changed.positions().getByte(15)).isEqualTo((byte) 0xbf);
      ChangedElements.fromPlanes(
          context, new ChangedElements.Elements(changed.positions(), 0, 8, 2), memory);
      assertThat(memory.getBytes(0, 16)).isEqualTo(memory.getBytes(16, 16));
      changed.positions().putInt(0, 3).putInt(4, 3);
      changed.count(2);
      assertThatThrownBy(() -> changed.apply(before))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("entries.positions[1] is misplaced");
      memory.putLong(16, 0).putLong(24, 0);
      assertThatThrownBy(() -> changed.extract(before, after))
          .hasMessage("8 changed elements exceed the capacity of 4");
      assertThatThrownBy(() -> new ChangedElements.Elements(memory, 60, 3, 2))
          .hasMessage("3 elements of 2 bytes at 60 of 64 bytes");
    }
  }

  @Test
  default void changedElementsOfFilesCross() throws IOException {
    Path path = Files.createTempFile("threegate-patch", ".bin");
    try (Context context = Context.open(DEVICE, 2)) {
      byte[] bytes = new byte[32];
      bytes[16 + 3] = (byte) 0x80;
      bytes[16 + 14] = 1;
      Files.write(path, bytes);
      try (MappedFile file = MappedFile.open(context, path);
          Xxh3 before = Xxh3.begin(context);
          Xxh3 after = Xxh3.begin(context);
          Xxh3 whole = Xxh3.begin(context);
          ChangedElements changed =
              ChangedElements.allocate(context, 2, 2, ChangedElements.Form.XOR)) {
        var old = new ChangedElements.StoredElements(file, 0, before);
        var own = new ChangedElements.StoredElements(file, 16, after);
        assertThat(changed.append(old, own, 8, 100)).isEqualTo(2);
        assertThat(changed.positions().getInt(0)).isEqualTo(101);
        assertThat(changed.positions().getInt(4)).isEqualTo(107);
        assertThat(changed.values().getShort(0)).isEqualTo((short) 0x8000);
        assertThat(changed.values().getShort(2)).isEqualTo((short) 1);
        Xxh3.update(context, whole.part(file.buffer(), 16, 16));
        assertThat(after.digest()).isEqualTo(whole.digest()).isNotEqualTo(before.digest());
        assertThatThrownBy(() -> changed.append(old, own, 8, 108))
            .hasMessage("4 changed elements exceed the capacity of 2");
        assertThatThrownBy(() -> changed.append(old, own, 9, 0))
            .isInstanceOf(KernelException.class)
            .hasMessageContaining("offset + bytes must lie in the file");
        assertThatThrownBy(() -> changed.append(old, old, 8, 0))
            .isInstanceOf(KernelException.class)
            .hasMessageContaining("each has its own");
      }
    } finally {
      Files.delete(path);
    }
  }
}
