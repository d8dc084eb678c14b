package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import org.threegate.run.InvalidInputException;

/**
 * For Jazzer: whatever the bytes are, the parser returns or says what is wrong, and what it returns
 * obeys the format.
 */
public final class HeaderFuzz {
  private HeaderFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    try {
      ByteBuffer file = ByteBuffer.wrap(data);
      long length = SafetensorsHeader.length("fuzz", file, data.length);
      SafetensorsHeader header =
          SafetensorsHeader.parse(
              "fuzz", file.slice(SafetensorsHeader.LENGTH_BYTES, (int) length), data.length);
      long covered = header.dataOffset();
      for (SafetensorsHeader.Entry entry : header.entries()) {
        if (header.dataOffset() + entry.begin() != covered
            || entry.shape().stream().anyMatch(n -> n < 0)) {
          throw new AssertionError("a broken rule passed: " + entry);
        }
        covered = header.dataOffset() + entry.end();
      }
      if (covered != data.length) {
        throw new AssertionError("bytes behind the last tensor passed");
      }
    } catch (InvalidInputException e) {
      if (e.getMessage().indexOf('\n') >= 0) {
        throw new AssertionError("a message of several lines", e);
      }
    }
  }
}
