package org.threegate.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * The header of a safetensors file. Every rule of the format is enforced:
 *
 * <ul>
 *   <li>The length is at most 100 MB and lies within the file.
 *   <li>The text begins with a brace, as the format demands; white space may follow the object.
 *   <li>The text is valid UTF-8 and JSON without duplicate keys.
 *   <li>Dtypes are known; sizes do not overflow and match the offsets.
 *   <li>A shape has at most 64 dimensions. In an empty tensor the product of the dimensions other
 *       than 0 is below 2³¹, so that no loop over it runs long.
 *   <li>The tensors cover the data without gap or overlap, and no byte follows them.
 * </ul>
 *
 * @param entries tensors in the order of their data
 * @param metadata the strings of {@code __metadata__}
 * @param dataOffset position of the data in the file, in bytes
 */
record SafetensorsHeader(List<Entry> entries, Map<String, String> metadata, long dataOffset) {
  /** Bytes of the length before the header. */
  static final int LENGTH_BYTES = 8;

  private static final long LONGEST_HEADER = 100_000_000;
  private static final int MOST_DIMENSIONS = 64; // as numpy has it
  private static final String METADATA = "__metadata__";
  private static final String FETCH_AGAIN = "the file is damaged, fetch or write it again";

  /**
   * A tensor of the file.
   *
   * @param begin start of its bytes, relative to the data
   * @param end end of its bytes, relative to the data
   */
  record Entry(String name, TensorType type, List<Long> shape, long begin, long end) {}

  /**
   * Returns the length of the header in bytes, checked against the file.
   *
   * @param file name of the file, for errors
   * @param prefix the first bytes of the file: at least 8, if it has as many
   * @param fileBytes size of the file
   */
  static long length(String file, ByteBuffer prefix, long fileBytes) {
    if (fileBytes < LENGTH_BYTES) {
      throw new InvalidInputException(
          file
              + ": "
              + (fileBytes == 0 ? "empty" : "only " + fileBytes + " bytes")
              + ", not a safetensors file; "
              + FETCH_AGAIN);
    }
    long length = prefix.order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    if (length < 0 || length > LONGEST_HEADER) {
      throw new InvalidInputException(
          file
              + ": states a header of "
              + Long.toUnsignedString(length)
              + " bytes, but the format allows at most 100000000; it is not a safetensors file, or is damaged");
    }
    if (length > fileBytes - LENGTH_BYTES) {
      throw new InvalidInputException(
          file
              + ": the header of "
              + length
              + " bytes ends beyond the file of "
              + fileBytes
              + "; "
              + FETCH_AGAIN);
    }
    return length;
  }

  /**
   * Parses a header.
   *
   * @param file name of the file, for errors
   * @param header the JSON text in UTF-8
   * @param fileBytes size of the file
   * @throws InvalidInputException if the header violates a rule of the format
   */
  static SafetensorsHeader parse(String file, ByteBuffer header, long fileBytes) {
    long dataOffset = LENGTH_BYTES + (long) header.remaining();
    String json = InputFiles.decode(header, () -> file + ": header");
    if (!json.startsWith("{")) {
      throw new InvalidInputException(
          file + ": the header does not begin with '{'; " + FETCH_AGAIN);
    }
    List<Entry> entries = new ArrayList<>();
    Map<String, String> metadata = new LinkedHashMap<>();
    try (JsonParser parser = Json.HEADERS.createParser(json)) {
      parser.nextToken();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        if (parser.nextToken() != JsonToken.START_OBJECT) {
          throw invalid(file, name, "is not an object");
        }
        if (name.equals(METADATA)) {
          parseMetadata(file, parser, metadata);
        } else {
          entries.add(parseEntry(file, name, parser));
        }
      }
      if (parser.nextToken() != null) {
        throw new InvalidInputException(
            file + ": has text after the JSON of the header; " + FETCH_AGAIN);
      }
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(
          file + ": the header is not valid JSON: " + e.getOriginalMessage() + "; " + FETCH_AGAIN,
          e);
    } catch (IOException e) {
      throw new InvalidInputException(file + ": " + e.getMessage(), e);
    }
    entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    checkCover(file, entries, fileBytes - dataOffset);
    return new SafetensorsHeader(
        List.copyOf(entries),
        Collections.unmodifiableMap(new LinkedHashMap<>(metadata)),
        dataOffset);
  }

  private static void parseMetadata(String file, JsonParser parser, Map<String, String> metadata)
      throws IOException {
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw invalid(file, METADATA, "has a value for \"" + key + "\" that is not a string");
      }
      metadata.put(key, parser.getText());
    }
  }

  private static Entry parseEntry(String file, String name, JsonParser parser) throws IOException {
    TensorType type = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String field = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (field) {
        case "dtype" -> {
          String given = value == JsonToken.VALUE_STRING ? parser.getText() : "no string";
          type =
              TensorType.byName(given)
                  .orElseThrow(
                      () ->
                          invalid(
                              file,
                              name,
                              "has dtype \"" + given + "\", which is not part of the format"));
        }
        case "shape" -> shape = parseLongs(file, name, field, parser);
        case "data_offsets" -> offsets = parseLongs(file, name, field, parser);
        default ->
            throw invalid(
                file, name, "has a field \"" + field + "\", which is not part of the format");
      }
    }
    if (type == null || shape == null || offsets == null) {
      throw invalid(file, name, "lacks dtype, shape or data_offsets");
    }
    if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
      throw invalid(file, name, "has data_offsets " + offsets + ", not a begin and an end");
    }
    Entry entry = new Entry(name, type, List.copyOf(shape), offsets.get(0), offsets.get(1));
    checkSize(file, entry);
    return entry;
  }

  private static List<Long> parseLongs(String file, String name, String field, JsonParser parser)
      throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw invalid(file, name, "has a " + field + " that is not an array");
    }
    List<Long> values = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
        throw invalid(file, name, "has a " + field + " that does not consist of whole numbers");
      }
      long value;
      try {
        value = parser.getLongValue();
      } catch (com.fasterxml.jackson.core.exc.InputCoercionException e) {
        throw invalid(file, name, "has a number in its " + field + " that does not fit in 63 bits");
      }
      if (value < 0) {
        throw invalid(file, name, "has the negative number " + value + " in its " + field);
      }
      if (values.size() == MOST_DIMENSIONS) {
        throw invalid(file, name, "has more than " + MOST_DIMENSIONS + " numbers in its " + field);
      }
      values.add(value);
    }
    return values;
  }

  private static void checkSize(String file, Entry entry) {
    long bits;
    try {
      boolean empty = entry.shape().contains(0L);
      long elements =
          entry.shape().stream().filter(size -> size > 0).reduce(1L, Math::multiplyExact);
      if (empty && elements > Integer.MAX_VALUE) {
        throw invalid(
            file,
            entry.name(),
            "has shape " + entry.shape() + ", whose dimensions are too large for an empty tensor");
      }
      bits = empty ? 0 : Math.multiplyExact(elements, entry.type().bits());
    } catch (ArithmeticException e) {
      throw invalid(file, entry.name(), "has shape " + entry.shape() + ", whose size overflows");
    }
    if (bits % 8 != 0 || bits / 8 != entry.end() - entry.begin()) {
      throw invalid(
          file,
          entry.name(),
          "needs "
              + (bits + 7) / 8
              + " bytes for "
              + entry.type()
              + entry.shape()
              + " and has "
              + (entry.end() - entry.begin()));
    }
  }

  private static void checkCover(String file, List<Entry> entries, long dataBytes) {
    long covered = 0;
    for (Entry entry : entries) {
      if (entry.begin() != covered) {
        throw invalid(
            file,
            entry.name(),
            entry.begin() < covered
                ? "overlaps the tensor before it"
                : "leaves a gap of " + (entry.begin() - covered) + " bytes before it");
      }
      covered = entry.end();
    }
    if (covered != dataBytes) {
      throw new InvalidInputException(
          file
              + ": "
              + (covered > dataBytes
                  ? "truncated: its tensors need " + covered + " bytes of data, it has " + dataBytes
                  : (dataBytes - covered) + " bytes after its last tensor")
              + "; "
              + FETCH_AGAIN);
    }
  }

  private static InvalidInputException invalid(String file, String tensor, String what) {
    return new InvalidInputException(
        file + ": tensor \"" + tensor + "\" " + what + "; " + FETCH_AGAIN);
  }
}
