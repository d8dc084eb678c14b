package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.run.InvalidInputException;

@Tag("binding")
class SafetensorsHeaderTest {
  private static SafetensorsHeader parse(String json, long dataBytes) {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    return SafetensorsHeader.parse("f", ByteBuffer.wrap(bytes), 8 + bytes.length + dataBytes);
  }

  @Test
  void aValidHeaderIsReadInFileOrder() {
    SafetensorsHeader header =
        parse(
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[6,14]},"
                + "\"a\":{\"dtype\":\"BF16\",\"shape\":[1,3],\"data_offsets\":[0,6]},"
                + "\"empty\":{\"shape\":[0,5],\"data_offsets\":[6,6],\"dtype\":\"I64\"},"
                + "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[14,15]}}   ",
            15);
    assertThat(header.metadata()).containsEntry("format", "pt");
    assertThat(header.entries())
        .extracting(SafetensorsHeader.Entry::name)
        .containsExactly("a", "empty", "b", "scalar");
    assertThat(header.entries().get(0).shape()).isEqualTo(List.of(1L, 3L));
  }

  /** Some tools keep a whole training configuration in the metadata. */
  @Test
  void metadataMayHaveMegabytes() {
    String long20 = "x".repeat(20_000_000);
    assertThat(parse("{\"__metadata__\":{\"config\":\"" + long20 + "\"}}", 0).metadata())
        .containsEntry("config", long20);
  }

  @Test
  void whiteSpaceMayFollowTheObjectOnly() {
    assertThat(parse("{}  \n", 0).entries()).isEmpty();
    assertThatThrownBy(() -> parse(" {}", 0))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("does not begin with '{'");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "[1]|0|does not begin with '{'",
        "{|0|not valid JSON",
        "{} x|0|not valid JSON",
        "{}{}|0|has text after",
        "{}|3|3 bytes after its last tensor",
        "{`a`:1}|0|not an object",
        "{`a`:{`dtype`:`F32`,`shape`:[1],`data_offsets`:[0,4]},`a`:{`dtype`:`F32`,`shape`:[1],`data_offsets`:[4,8]}}|8|Duplicate field",
        "{`a`:{`dtype`:`F32`,`dtype`:`F32`,`shape`:[1],`data_offsets`:[0,4]}}|4|Duplicate field",
        "{`a`:{`dtype`:`F33`,`shape`:[1],`data_offsets`:[0,4]}}|4|dtype \"F33\"",
        "{`a`:{`dtype`:3,`shape`:[1],`data_offsets`:[0,4]}}|4|which is not part of the format",
        "{`a`:{`dtype`:`F32`,`shape`:[-1],`data_offsets`:[0,4]}}|4|negative number -1",
        "{`a`:{`dtype`:`F32`,`shape`:[1.5],`data_offsets`:[0,4]}}|4|whole numbers",
        "{`a`:{`dtype`:`F32`,`shape`:3,`data_offsets`:[0,4]}}|4|not an array",
        "{`a`:{`dtype`:`F32`,`shape`:[9223372036854775807,2],`data_offsets`:[0,4]}}|4|overflows",
        "{`a`:{`dtype`:`F64`,`shape`:[4611686018427387904],`data_offsets`:[0,4]}}|4|overflows",
        "{`a`:{`dtype`:`F32`,`shape`:[99999999999999999999],`data_offsets`:[0,4]}}|4|does not fit",
        "{`a`:{`dtype`:`F32`,`shape`:[1],`data_offsets`:[4,0]}}|4|not a begin and an end",
        "{`a`:{`dtype`:`F32`,`shape`:[1],`data_offsets`:[0]}}|4|not a begin and an end",
        "{`a`:{`dtype`:`F32`,`shape`:[1],`data_offsets`:[0,5]}}|5|needs 4 bytes",
        "{`a`:{`dtype`:`F4`,`shape`:[3],`data_offsets`:[0,2]}}|2|needs 2 bytes",
        "{`a`:{`dtype`:`F32`,`shape`:[1]}}|0|lacks dtype, shape or data_offsets",
        "{`a`:{`dtype`:`F32`,`shape`:[1],`data_offsets`:[0,4],`x`:1}}|4|field \"x\"",
        "{`a`:{`dtype`:`U8`,`shape`:[4],`data_offsets`:[0,4]},`b`:{`dtype`:`U8`,`shape`:[4],`data_offsets`:[3,7]}}|7|overlaps",
        "{`a`:{`dtype`:`U8`,`shape`:[4],`data_offsets`:[0,4]},`b`:{`dtype`:`U8`,`shape`:[4],`data_offsets`:[0,4]}}|4|overlaps",
        "{`a`:{`dtype`:`U8`,`shape`:[4],`data_offsets`:[1,5]}}|5|gap of 1 bytes",
        "{`a`:{`dtype`:`U8`,`shape`:[4],`data_offsets`:[0,4]}}|3|truncated",
        "{`__metadata__`:{`a`:1}}|0|not a string",
        "{`__metadata__`:[]}|0|not an object"
      })
  void everyBrokenRuleIsNamed(String json, long dataBytes, String message) {
    assertThatThrownBy(() -> parse(json.replace('`', '"'), dataBytes))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("f: ")
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void textMustBeUtf8() {
    byte[] bytes = {'{', '"', (byte) 0xc3, '(', '"', ':', '{', '}', '}'};
    assertThatThrownBy(() -> SafetensorsHeader.parse("f", ByteBuffer.wrap(bytes), 17))
        .hasMessageContaining("not valid UTF-8");
  }

  @Test
  void deepNestingIsRefused() {
    assertThatThrownBy(() -> parse("{\"a\":" + "[".repeat(100_000), 0))
        .isInstanceOf(InvalidInputException.class);
    assertThatThrownBy(() -> parse("{\"a\":{\"shape\":" + "[".repeat(100_000), 0))
        .isInstanceOf(InvalidInputException.class);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, empty",
    "5, 0, only 5 bytes",
    "20, 100000001, the format allows at most 100000000",
    "20, -1, states a header of 18446744073709551615",
    "20, 13, ends beyond the file"
  })
  void theLengthIsCheckedAgainstTheFile(long fileBytes, long length, String message) {
    ByteBuffer prefix = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
    assertThatThrownBy(() -> SafetensorsHeader.length("f", prefix, fileBytes))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(message);
  }
}
