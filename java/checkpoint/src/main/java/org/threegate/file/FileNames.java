package org.threegate.file;

import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * Checks names of files that come from untrusted files. A name such as {@code ../weights} could
 * make a program read or overwrite files elsewhere. Only names of files in the same directory are
 * valid.
 *
 * <pre>{@code
 * Path shard = directory.resolve(FileNames.plain("model-00001-of-00002.safetensors", "index"));
 * }</pre>
 */
public final class FileNames {
  private static final int LONGEST = 255;

  private FileNames() {}

  /**
   * {@return a name that is valid: without separators, control characters and a leading dot}
   *
   * @param name name to check
   * @param where source of the name, for errors
   * @throws InvalidInputException if the name is not valid
   */
  public static String plain(String name, String where) {
    if (!isPlain(name)) {
      throw new InvalidInputException(
          where
              + ": names the file \""
              + PrintableText.name(name)
              + "\", which is not a plain file name");
    }
    return name;
  }

  /**
   * {@return whether a name is one of a file in the same directory}
   *
   * @param name name to check
   */
  public static boolean isPlain(String name) {
    return !name.isEmpty()
        && name.length() <= LONGEST
        && name.charAt(0) != '.'
        && name.codePoints()
            .noneMatch(
                c ->
                    c == '/'
                        || c == '\\'
                        || Character.isISOControl(c)
                        || Character.getType(c) == Character.SURROGATE);
  }
}
