package org.threegate.binding.generator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class HeaderParserTest {
  private static final String STRUCT = "typedef struct tg_s {\n%s\n} tg_s;";

  /** Returns declarations, the line that is rejected, and a part of the message. */
  static Stream<Arguments> refused() {
    return Stream.of(
        // Constants and preprocessor lines.
        Arguments.of("#define TG_A 1.5", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A 010", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A \"text\"", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A 1 /* one */ + 2", 1, "unexpected character '+'"),
        Arguments.of("#define TG_A (1 << 3)", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A (1", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A -1", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A 99999999999999999999", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A 0x80000000", 1, "fit into int32_t"),
        Arguments.of("#define TG_A(x) 1", 1, "TG_NAME and an integer"),
        Arguments.of("#define OTHER 1", 1, "TG_NAME and an integer"),
        Arguments.of("#define TG_A 2147483648", 1, "fit into int32_t"),
        Arguments.of("\n#define TG_A 1\n#define TG_A 1", 3, "defined twice"),
        Arguments.of("#define TG_A \\\n1", 1, "must not continue on the next line"),
        Arguments.of("#include <stddef.h>", 1, "TG_NAME and an integer"),
        Arguments.of("#if TG_A\n#endif", 1, "conditions are allowed only for"),
        Arguments.of("#ifdef TG_A\n#endif", 1, "conditions are allowed only for"),
        Arguments.of("#pragma pack(1)", 1, "TG_NAME and an integer"),
        Arguments.of("#ifdef __cplusplus\nint32_t a;\n#endif", 2, "expected '}'"),
        Arguments.of("#if defined(__GNUC__)\n#define TG_A 1", 2, "only TG_API may depend"),
        Arguments.of("#endif\n#define TG_A 1", 2, "nothing may follow"),
        // Comments and characters.
        Arguments.of("\n// a comment", 2, "use /* ... */"),
        Arguments.of("/* one\ntwo", 1, "unterminated comment"),
        Arguments.of("typedef int32_t tg_ä;", 1, "unexpected character 'ä'"),
        // Typedefs.
        Arguments.of("typedef float tg_x;", 1, "a typedef must name"),
        Arguments.of("typedef enum tg_x { TG_A } tg_x;", 1, "a typedef must name"),
        Arguments.of("typedef union tg_x { int32_t a; } tg_x;", 1, "a typedef must name"),
        Arguments.of("typedef int32_t (*tg_callback)(void);", 1, "expected a lower-case name"),
        Arguments.of(
            "typedef int32_t other;", 1, "a type needs a unique name that begins with tg_"),
        Arguments.of("typedef int32_t tg_x, tg_y;", 1, "expected ';'"),
        Arguments.of("typedef int32_t tg_a_1;\ntypedef int32_t tg_a1;", 2, "needs a unique name"),
        Arguments.of("typedef int32_t tg_a;\ntypedef int64_t tg_a;", 2, "needs a unique name"),
        // Structs.
        Arguments.of(
            "typedef struct tg_a { int64_t x; } tg_b;",
            1,
            "a struct and its typedef must have the same name"),
        Arguments.of("typedef struct { int64_t x; } tg_b;", 1, "expected a lower-case name"),
        Arguments.of("struct tg_a { int64_t x; };", 1, "a declaration must begin with"),
        Arguments.of(STRUCT.formatted(""), 3, "a struct must have fields"),
        Arguments.of(STRUCT.formatted("int64_t x, y;"), 2, "expected ';'"),
        Arguments.of(STRUCT.formatted("int64_t x;\nint32_t x;"), 3, "this field twice"),
        Arguments.of(STRUCT.formatted("int32_t x : 3;"), 2, "unexpected character ':'"),
        Arguments.of(STRUCT.formatted("bool x;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("long x;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("size_t x;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("unsigned int x;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("tg_unknown* x;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("struct tg_s* next;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("union { int64_t a; } x;"), 2, "this type is not supported"),
        Arguments.of(STRUCT.formatted("float x;"), 2, "only behind a pointer"),
        Arguments.of(STRUCT.formatted("uint64_t x;"), 2, "only behind a pointer"),
        Arguments.of(STRUCT.formatted("const int64_t x;"), 2, "const is allowed only for"),
        Arguments.of(STRUCT.formatted("int64_t const* x;"), 2, "expected a lower-case name"),
        Arguments.of(STRUCT.formatted("int64_t volatile x;"), 2, "expected a lower-case name"),
        Arguments.of(STRUCT.formatted("int64_t* restrict x;"), 2, "expected a lower-case name"),
        Arguments.of(STRUCT.formatted("int64_t (*call)(void);"), 2, "expected a lower-case name"),
        Arguments.of(STRUCT.formatted("char x;"), 2, "the element of an array"),
        Arguments.of(STRUCT.formatted("int64_t x[];"), 2, "the length of an array"),
        Arguments.of(STRUCT.formatted("int64_t x[0];"), 2, "the length of an array"),
        Arguments.of(STRUCT.formatted("int64_t x[TG_UNKNOWN];"), 2, "the length of an array"),
        Arguments.of(STRUCT.formatted("int64_t x[2 * 3];"), 2, "expected ']'"),
        Arguments.of(STRUCT.formatted("int64_t x[2][3];"), 2, "expected ';'"),
        Arguments.of(
            STRUCT.formatted("int64_t* x[2];"), 2, "the elements of an array must be numbers"),
        Arguments.of(STRUCT.formatted("int64_t rowCount;"), 2, "expected a lower-case name"),
        Arguments.of(
            STRUCT.formatted("int32_t x;\nint64_t y;"), 3, "4 bytes of padding before the field y"),
        Arguments.of(
            STRUCT.formatted("int64_t x;\nint32_t y;"), 4, "4 bytes of padding at the end"),
        // Functions.
        Arguments.of("int32_t tg_f(void);", 1, "a declaration must begin with"),
        Arguments.of(
            "static inline int32_t tg_f(void) { return 1; }", 1, "a declaration must begin"),
        Arguments.of("TG_API void tg_f(void);", 1, "only behind a pointer"),
        Arguments.of("TG_API void* tg_f(void);", 1, "a function must return"),
        Arguments.of(
            "TG_API int32_t f(void);", 1, "a function needs a unique name that begins with tg_"),
        Arguments.of(
            "TG_API int32_t tg_f(void);\nTG_API int32_t tg_f(void);", 2, "needs a unique name"),
        Arguments.of("TG_API int32_t tg_notify(void);", 1, "a function needs a unique name"),
        Arguments.of("TG_API int32_t tg_new(void);", 1, "a function needs a unique name"),
        Arguments.of("TG_API int32_t tg_view_of(int64_t a);", 1, "a function needs a unique name"),
        Arguments.of("TG_API int32_t tg_f();", 1, "this type is not supported"),
        Arguments.of("TG_API int32_t tg_f(int32_t);", 1, "expected a lower-case name"),
        Arguments.of("TG_API int32_t tg_f(int32_t a,\nint64_t a);", 2, "must be unique"),
        Arguments.of("TG_API int32_t tg_f(int32_t class);", 1, "expected a lower-case name"),
        Arguments.of("TG_API int32_t tg_f(int32_t wait);", 1, "no method of java.lang.Object"),
        Arguments.of("TG_API int32_t tg_f(int32_t a, ...);", 1, "unexpected character '.'"),
        Arguments.of("TG_API int32_t tg_f(float a);", 1, "only behind a pointer"),
        Arguments.of("TG_API int32_t tg_f(char a);", 1, "only behind a pointer"),
        Arguments.of("TG_API int32_t tg_f(int32_t a[3]);", 1, "expected ')'"),
        Arguments.of("TG_API int32_t tg_f(const int32_t a);", 1, "const is allowed only for"),
        Arguments.of(
            "TG_API int32_t tg_f(int32_t (*call)(void));", 1, "expected a lower-case name"),
        Arguments.of(
            "typedef struct tg_s { int64_t x; } tg_s;\nTG_API int32_t tg_f(tg_s s);",
            2,
            "only behind a pointer"),
        Arguments.of("TG_API int32_t tg_f(void)", 2, "expected ';'"),
        Arguments.of("TG_API int32_t tg_f(void) { return 1; }", 1, "expected ';'"),
        Arguments.of("}", 1, "a declaration must begin with"));
  }

  @ParameterizedTest
  @MethodSource("refused")
  void whatIsNotUnderstoodIsRefusedWithItsLine(String declarations, int line, String reason) {
    assertThatThrownBy(() -> PlantedHeader.header(declarations))
        .isInstanceOf(HeaderException.class)
        .hasMessageStartingWith("planted.h:" + (PlantedHeader.FIRST_LINE + line - 1) + ": ")
        .hasMessageContaining(reason);
  }

  @Test
  void aHeaderHasAnIncludeGuard() {
    assertThatThrownBy(() -> HeaderParser.parse("planted.h", "#define TG_A 1\n"))
        .hasMessageContaining("planted.h:1: ")
        .hasMessageContaining("include guard");
    assertThatThrownBy(() -> HeaderParser.parse("planted.h", "#ifndef A\n#define B\n#endif\n"))
        .hasMessage("planted.h:2: '#define B': expected #define A");
    assertThatThrownBy(() -> HeaderParser.parse("planted.h", "#ifndef A\n#define A\n"))
        .hasMessageContaining("planted.h:3: the end of the file");
  }

  @Test
  void constantsKeepTheirValues() {
    assertThat(PlantedHeader.header(PlantedHeader.EVERY_KIND).constants())
        .extracting(Header.Constant::name, Header.Constant::value)
        .containsExactly(tuple("TG_FINE", 0), tuple("TG_BROKEN", -1), tuple("TG_LENGTH", 16));
  }

  @Test
  void structsHaveTheLayoutOfC() {
    Header header = PlantedHeader.header(PlantedHeader.EVERY_KIND);
    Header.Struct pair = header.structs().get(0);
    assertThat(pair.bytes()).isEqualTo(8);
    assertThat(pair.alignment()).isEqualTo(4);
    Header.Struct struct = header.structs().get(1);
    assertThat(struct.fields())
        .extracting(Header.Field::declaration)
        .containsExactly(
            "int64_t size",
            "tg_pair pairs",
            "const tg_pair* list",
            "const uint64_t* const* masks",
            "tg_share share",
            "int32_t counts[3]",
            "char text[16]",
            "int32_t reserved",
            "tg_count total");
    assertThat(struct.fields())
        .extracting(Header.Field::offset)
        .containsExactly(0, 8, 16, 24, 32, 40, 52, 68, 72);
    assertThat(struct.bytes()).isEqualTo(80);
    assertThat(struct.alignment()).isEqualTo(8);
  }

  @Test
  void commentsBelongToWhatTheyAreBesideOrAbove() {
    Header header = PlantedHeader.header(PlantedHeader.EVERY_KIND);
    assertThat(header.constants().get(0).comment()).isEmpty();
    assertThat(header.constants().get(1).comment().strip())
        .isEqualTo("less than `tg_fine` & worse");
    assertThat(header.structs().get(0).fields())
        .extracting(field -> Javadoc.paragraphs(field.comment()))
        .containsExactly(List.of("the one, over two lines"), List.of());
    assertThat(header.structs().get(1).fields())
        .extracting(field -> field.comment().strip())
        .containsExactly("", "", "", "of masks", "Above it.", "", "", "", "");
    assertThat(header.functions())
        .extracting(function -> function.comment().strip())
        .containsExactly(
            "Has no parameters.",
            "Has all kinds of them; shared with the next one.",
            "Has all kinds of them; shared with the next one.",
            "",
            "");
  }
}
