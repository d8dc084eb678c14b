package org.threegate.cli;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.run.MemoryBudget;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** The option that bounds the memory of a measurement. */
final class MemoryMixin {
  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      converter = SizeConverter.class,
      description =
          "Native memory for geometries, such as 8g or 512m (default: half of the machine's). It"
              + " bounds how many matrices are measured at the same time; threads that are left share"
              + " the work of single matrices.")
  private Optional<Size> memory = Optional.empty();

  /**
   * A number of bytes.
   *
   * @param text the size as it was given
   */
  record Size(String text, long bytes) {}

  MemoryBudget budget() {
    return memory
        .map(size -> MemoryBudget.ofBytes(size.bytes()))
        .orElseGet(MemoryBudget::ofMachine);
  }

  /** Returns the option as words of a command line. */
  List<String> command() {
    return memory.map(size -> List.of("--memory", size.text())).orElse(List.of());
  }

  /** Reads a size such as 8g. The units are powers of 1024, as those of {@code java -Xmx} are. */
  static final class SizeConverter implements ITypeConverter<Size> {
    private static final Pattern SIZE = Pattern.compile("([1-9][0-9]{0,9})([kmgt]?)");
    private static final int BITS_OF_UNIT = 10;

    @Override
    public Size convert(String value) {
      Matcher size = SIZE.matcher(value.toLowerCase(Locale.ROOT));
      if (!size.matches()) {
        throw new TypeConversionException("'" + value + "' is not a size such as 8g or 512m");
      }
      int shift = BITS_OF_UNIT * (" kmgt".indexOf(size.group(2).isEmpty() ? " " : size.group(2)));
      long count = Long.parseLong(size.group(1));
      if (count > Long.MAX_VALUE >> shift) {
        throw new TypeConversionException("'" + value + "' is more than 2^63 bytes");
      }
      return new Size(value, count << shift);
    }
  }
}
