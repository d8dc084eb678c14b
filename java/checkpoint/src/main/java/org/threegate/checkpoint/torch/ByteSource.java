package org.threegate.checkpoint.torch;

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
