package org.threegate.binding.generator;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Writes the Java code of one module: {@code Main spi|jni|ffm|ffm-metadata HEADER OUTPUT}. */
public final class Main {
  private Main() {}

  /**
   * Reads the header and writes the files.
   *
   * @param arguments the part to write, the path of the header, the output directory
   * @throws HeaderException when the header contains something that the generator does not
   *     understand
   * @throws IOException when a file cannot be read or written
   */
  public static void main(String[] arguments) throws IOException {
    Path path = Path.of(arguments[1]);
    Path output = Path.of(arguments[2]);
    Header header = HeaderParser.parse(path.getFileName().toString(), Files.readString(path));
    for (SourceFile file : files(arguments[0], header)) {
      file.writeTo(output);
    }
  }

  private static List<SourceFile> files(String part, Header header) {
    return switch (part) {
      case "spi" -> SpiSources.of(header);
      case "jni" -> JniSources.of(header);
      case "ffm" -> FfmSources.of(header);
      case "ffm-metadata" -> FfmSources.metadata(header);
      default -> throw new IllegalArgumentException(part + " is not spi, jni, ffm or ffm-metadata");
    };
  }
}
