package org.threegate.cli;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.threegate.checkpoint.DigestKind;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a kind of digest in lower case. */
final class DigestConverter implements ITypeConverter<DigestKind> {
  @Override
  public DigestKind convert(String value) {
    return Arrays.stream(DigestKind.values())
        .filter(kind -> word(kind).equals(value))
        .findFirst()
        .orElseThrow(
            () ->
                new TypeConversionException(
                    "'"
                        + value
                        + "' is none of "
                        + Arrays.stream(DigestKind.values())
                            .map(DigestConverter::word)
                            .collect(Collectors.joining(", "))));
  }

  private static String word(DigestKind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }
}
