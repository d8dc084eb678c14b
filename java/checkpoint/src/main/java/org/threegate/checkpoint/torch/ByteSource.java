package org.threegate.checkpoint.torch;

import java.util.Arrays;
import java.util.function.Supplier;
import org.threegate.run.InvalidInputException;

/** An untrusted file that is read in parts. */
public interface ByteSource {
  /** {@return the name of the file, for errors} */
  String name();

  /** {@return the size of the file in bytes} */
  long bytes();

  /**
   * {@return a copy of some bytes, which does not change when the file does}
   *
   * @param offset position of the first byte
   * @param count number of bytes, all within the file
   */
  byte[] read(long offset, int count);

  /**
   * {@return a file that has been read}
   *
   * @param name name of the file, for errors
   * @param contents its bytes, which are not copied
   */
  static ByteSource of(String name, byte[] contents) {
    return new ByteSource() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public long bytes() {
        return contents.length;
      }

      @Override
      public byte[] read(long offset, int count) {
        int from = Math.toIntExact(offset);
        return Arrays.copyOfRange(contents, from, from + count);
      }
    };
  }

  /**
   * {@return a range of the file as a file of its own}
   *
   * @param begin position of the first byte
   * @param bytes number of bytes, all within the file
   * @param what what lies there, for errors; it is asked only then
   */
  default ByteSource range(long begin, long bytes, Supplier<String> what) {
    ByteSource whole = this;
    return new ByteSource() {
      @Override
      public String name() {
        return whole.name() + ": " + what.get();
      }

      @Override
      public long bytes() {
        return bytes;
      }

      @Override
      public byte[] read(long offset, int count) {
        return whole.read(begin + offset, count);
      }
    };
  }

  /**
   * {@return an error that names the file}
   *
   * @param what what is wrong, and what to do about it
   */
  default InvalidInputException refusal(String what) {
    return new InvalidInputException(name() + ": " + what);
  }

  /**
   * {@return an error for a file that violates its format}
   *
   * @param what what is wrong
   */
  default InvalidInputException damaged(String what) {
    return refusal(what + "; the file is damaged, fetch or write it again");
  }
}
