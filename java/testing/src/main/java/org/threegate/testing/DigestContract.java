package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Blake3;
import org.threegate.kernel.ByteRange;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Sha256;
import org.threegate.kernel.Xxh3;

/** Tests SHA-256 and XXH3. */
interface DigestContract {
  @Test
  default void digestsAreThoseOfTheJdk() throws Exception {
    Random random = Seeds.random("digestsAreThoseOfTheJdk");
    byte[] bytes = new byte[100_000];
    random.nextBytes(bytes);
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(bytes.length);
        Control control = Control.open(context)) {
      buffer.putBytes(0, bytes);
      List<ByteRange> ranges =
          List.of(
              new ByteRange(buffer, 0, bytes.length),
              new ByteRange(buffer, 3, 777),
              new ByteRange(buffer, bytes.length, 0));
      List<byte[]> digests = Sha256.of(context, ranges, control);
      for (int i = 0; i < ranges.size(); i++) {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        digest.update(bytes, (int) ranges.get(i).offset(), (int) ranges.get(i).bytes());
        assertThat(digests.get(i)).isEqualTo(digest.digest());
      }
      assertThatThrownBy(() -> new ByteRange(buffer, 1, bytes.length))
          .isInstanceOf(IndexOutOfBoundsException.class);
      control.cancel();
      assertThatThrownBy(() -> Sha256.of(context, ranges, control)).hasMessage("cancelled");
    }
  }

  /** The expected digests are those of b3sum. */
  @Test
  default void treesAreThoseOfBlake3() {
    byte[] bytes = new byte[3_000_000];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (i % 251);
    }
    HexFormat hex = HexFormat.of();
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(bytes.length);
        Control control = Control.open(context)) {
      buffer.putBytes(0, bytes);
      List<ByteRange> ranges =
          List.of(
              new ByteRange(buffer, 0, bytes.length),
              new ByteRange(buffer, 0, 1025),
              new ByteRange(buffer, bytes.length, 0));
      assertThat(Blake3.of(context, ranges, control).stream().map(hex::formatHex))
          .containsExactly(
              "4713babaefbc2271db70eee8ec588829c0e5aa250951e9a401d11db249256fa8",
              "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
              "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
      control.cancel();
      assertThatThrownBy(() -> Blake3.of(context, ranges, control)).hasMessage("cancelled");
    }
  }

  @Test
  default void checksumsCross() {
    byte[] bytes = new byte[100_000];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (31 * i + 7);
    }
    HexFormat hex = HexFormat.of();
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(bytes.length);
        Xxh3 whole = Xxh3.begin(context);
        Xxh3 parts = Xxh3.begin(context)) {
      buffer.putBytes(0, bytes);
      assertThat(hex.formatHex(whole.digest())).isEqualTo("99aa06d3014798d86001c324468d497f");
      Xxh3.update(context, whole.part(buffer, 0, bytes.length), parts.part(buffer, 0, 1234));
      Xxh3.update(context, parts.part(buffer, 1234, bytes.length - 1234));
      // Another implementation computed the expected digest.
      assertThat(hex.formatHex(whole.digest())).isEqualTo("8ce7a24d31cd94b1ccf90df7e7e37036");
      assertThat(parts.digest()).isEqualTo(whole.digest());
      assertThatThrownBy(() -> whole.part(buffer, 1, bytes.length))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(
              () -> Xxh3.update(context, whole.part(buffer, 0, 1), whole.part(buffer, 1, 1)))
          .hasMessage("parts[1].state is that of another part; each has its own");
    }
  }
}
