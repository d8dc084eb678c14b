package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.threegate.run.InvalidInputException;

/**
 * Fuzz target for Jazzer. For any bytes, the parser either returns a header that obeys the format
 * or reports the error in one line.
 */
public final class HeaderFuzz {
  private HeaderFuzz() {}

  /**
   * Loads the classes of the JSON parser. Jazzer instruments them, which takes seconds that would
   * count as time of the first executions.
   */
  public static void fuzzerInitialize() {
    SafetensorsHeader.parse("fuzz", StandardCharsets.US_ASCII.encode("{}"), 10);
    fuzzerTestOneInput(new byte[Long.BYTES]);
  }

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
          throw new AssertionError("an invalid entry was accepted: " + entry);
        }
        covered = header.dataOffset() + entry.end();
      }
      if (covered != data.length) {
        throw new AssertionError("bytes after the last tensor were accepted");
      }
    } catch (InvalidInputException e) {
      if (e.getMessage().indexOf('\n') >= 0) {
        throw new AssertionError("the message has several lines", e);
      }
    }
  }
}
