package org.threegate.file;

import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * Names of files that stand in a file. A model directory that names files elsewhere could have them
 * read or overwritten, so that only plain names are taken: those of files in the same directory.
 *
 * <pre>{@code
 * Path shard = directory.resolve(FileNames.plain("model-00001-of-00002.safetensors", "index"));
 * }</pre>
 */
public final class FileNames {
  private static final int LONGEST = 255;

  private FileNames() {}

  /**
   * The name, if it is one of a file in the same directory: without separators, controls or a
   * leading dot.
   *
   * @param where it stands, for the error
   * @throws InvalidInputException when it is anything else
   */
  public static String plain(String name, String where) {
    if (!isPlain(name)) {
      throw new InvalidInputException(
          where + ": names the file \"" + PrintableText.name(name) + "\", which is no plain name");
    }
    return name;
  }

  /** Whether a name is one of a file in the same directory. */
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
